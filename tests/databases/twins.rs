//! Two processes on one file.

use chassis::testing::eventually;

use crate::program::{Bench, Service};

const WAITS: &str = "another process holds the database: waiting";

#[tokio::test]
async fn a_twin_waits_says_so_and_takes_over() {
    for service in Service::ALL {
        let bench = Bench::new(service, "nfs").await;
        let first = bench.start().await;
        bench.write_well(&first, 0).await;
        let second = bench.spawn();
        eventually(|| async { second.log().contains(WAITS).then_some(()) }).await;
        let waits = |health: &String| health.contains("the lock of another process");
        eventually(|| async { second.health().await.filter(waits) }).await;
        // The first one is not disturbed.
        bench.write_well(&first, 1).await;
        first.kill();
        second.ready().await;
        assert!(bench.has(&second, 0).await && bench.has(&second, 1).await);
        bench.write_well(&second, 2).await;
        // Once, not every second.
        assert_eq!(second.log().matches(WAITS).count(), 1);
        assert!(second.terminate().await.success());
    }
}

#[tokio::test]
async fn a_twin_that_waits_can_be_stopped() {
    let bench = Bench::new(Service::Shortener, "nfs").await;
    let first = bench.start().await;
    let second = bench.spawn();
    eventually(|| async { second.log().contains(WAITS).then_some(()) }).await;
    assert!(second.terminate().await.success());
    bench.write_well(&first, 0).await;
    assert!(first.terminate().await.success());
}

#[tokio::test]
async fn a_twin_with_the_wrong_profile_changes_nothing() {
    let mut bench = Bench::new(Service::Shortener, "nfs").await;
    let first = bench.start().await;
    bench.write_well(&first, 0).await;
    bench.profile = "local";
    let mut second = bench.spawn();
    assert!(!second.ended().await.success());
    let log = second.log();
    assert!(log.contains("database is locked"), "{log}");
    bench.write_well(&first, 1).await;
    assert!(first.terminate().await.success());
    // And where nobody is in the way, a file may move between the profiles.
    for profile in ["local", "nfs"] {
        bench.profile = profile;
        let second = bench.start().await;
        assert!(bench.has(&second, 0).await && bench.has(&second, 1).await);
        assert!(second.terminate().await.success());
    }
    let log = bench.database.with_extension("db-wal");
    assert!(!log.exists());
}
