//! Calls to the system that fail under a running process.

use chassis::testing::eventually;
use reqwest::StatusCode;

use crate::program::{Bench, Service, fails_with};

/// The message of a device that failed.
const DEVICE: &[&str] = &["Input/output error", "start again"];

#[tokio::test]
async fn auth_stops_when_its_journal_can_not_be_forced_to_the_disk() {
    a_write_that_fails_ends_the_process(Service::Auth, "local", "sync:EIO").await;
}

#[tokio::test]
async fn auth_stops_when_the_server_refuses_its_write() {
    a_write_that_fails_ends_the_process(Service::Auth, "nfs", "write:EIO").await;
}

#[tokio::test]
async fn the_shortener_stops_when_its_journal_can_not_be_written() {
    a_write_that_fails_ends_the_process(Service::Shortener, "local", "write:EIO").await;
}

#[tokio::test]
async fn the_shortener_stops_when_the_server_does_not_confirm_a_write() {
    a_write_that_fails_ends_the_process(Service::Shortener, "nfs", "sync:EIO").await;
}

#[tokio::test]
async fn analytics_stops_when_its_journal_can_not_be_forced_to_the_disk() {
    a_write_that_fails_ends_the_process(Service::Analytics, "local", "sync:EIO").await;
}

#[tokio::test]
async fn analytics_stops_when_the_server_takes_its_lock_away() {
    // As NFS does: whatever is done with the file is an error.
    let lost = "read:EIO read-on:EIO write:EIO sync:EIO";
    a_write_that_fails_ends_the_process(Service::Analytics, "nfs", lost).await;
}

async fn a_write_that_fails_ends_the_process(service: Service, profile: &'static str, calls: &str) {
    let bench = Bench::new(service, profile).await;
    let mut program = bench.start().await;
    for number in 0..3 {
        bench.write_well(&program, number).await;
    }
    bench.disk.fail(calls);
    // What deletes the rows of the outbox may have met the fault before.
    if let Some(Ok(answer)) = bench.try_write(&program, 3).await {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let kind = &answer.headers()["content-type"];
        assert_eq!(kind, "application/problem+json");
    }
    fails_with(&mut program, &bench.database, DEVICE).await;

    bench.disk.mend();
    let program = bench.start().await;
    for number in 0..3 {
        assert!(bench.has(&program, number).await, "{number} was confirmed");
    }
    if service == Service::Analytics {
        // The click that could not be stored waited in the stream.
        bench.counted(&program, 4).await;
        bench.write_well(&program, 4).await;
    } else {
        bench.write_well(&program, 5).await;
    }
    let log = program.log();
    assert!(program.terminate().await.success(), "{log}");
}

#[tokio::test]
async fn a_reader_that_fails_ends_the_process() {
    for service in Service::ALL {
        // On NFS a reader asks the file, not a log that others may have written.
        let bench = Bench::new(service, "nfs").await;
        let program = bench.start().await;
        bench.write_well(&program, 0).await;
        assert!(program.terminate().await.success());
        // Nothing of it is in memory.
        let mut program = bench.start().await;
        bench.disk.fail("read:EIO read-on:EIO");
        // Unless a worker of its own was quicker.
        if let Some(status) = bench.read(&program).await {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{service:?}");
        }
        fails_with(&mut program, &bench.database, DEVICE).await;
    }
}

#[tokio::test]
async fn a_disk_that_fails_at_the_start_is_named() {
    let bench = Bench::new(Service::Shortener, "local").await;
    let program = bench.start().await;
    bench.write_well(&program, 0).await;
    assert!(program.terminate().await.success());
    bench.disk.fail("read:EIO");
    let mut program = bench.spawn();
    fails_with(&mut program, &bench.database, DEVICE).await;
    // What only the check of the whole file reads.
    bench.disk.fail("read-on:EIO");
    let mut program = bench.spawn();
    fails_with(&mut program, &bench.database, &["start again"]).await;
    bench.disk.mend();
    let program = bench.start().await;
    assert!(bench.has(&program, 0).await);
}

#[tokio::test]
async fn a_full_disk_ends_no_process() {
    for (profile, calls) in [
        ("local", "write:ENOSPC"),
        ("local", "write:EDQUOT"),
        ("nfs", "write:EDQUOT"),
        // A network filesystem may take the bytes, and find no room for them later.
        ("nfs", "sync:ENOSPC"),
    ] {
        let bench = Bench::new(Service::Shortener, profile).await;
        let program = bench.start().await;
        bench.write_well(&program, 0).await;
        bench.disk.fail(calls);
        for number in 1..4 {
            let answer = bench.write(&program, number).await.unwrap();
            let status = answer.status();
            assert!(status.is_server_error(), "{profile} {calls}: {status}");
        }
        assert!(bench.has(&program, 0).await, "reads go on");
        bench.disk.mend();
        for number in 1..4 {
            let answer = bench.write(&program, number).await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED, "{profile} {calls}");
        }
        let log = program.log();
        assert!(program.terminate().await.success(), "{log}");
    }
}

#[tokio::test]
async fn clicks_wait_for_room_on_a_full_disk() {
    for (profile, calls) in [("local", "write:ENOSPC"), ("nfs", "sync:EDQUOT")] {
        let bench = Bench::new(Service::Analytics, profile).await;
        let program = bench.start().await;
        bench.write_well(&program, 0).await;
        bench.disk.fail(calls);
        for number in 1..4 {
            bench.write(&program, number).await;
        }
        let waits = || {
            program
                .log()
                .contains("the clicks can't be stored: trying again")
        };
        eventually(|| async { waits().then_some(()) }).await;
        bench.disk.mend();
        bench.counted(&program, 4).await;
        let log = program.log();
        assert!(program.terminate().await.success(), "{log}");
    }
}
