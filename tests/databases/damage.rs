//! Files whose contents are not what SQLite wrote.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use reqwest::StatusCode;
use rusqlite::Connection;

use crate::program::{Bench, Service, fails_with};

/// The page size of SQLite.
const PAGE: usize = 4096;

/// Writes garbage over the file, from a byte on; what was there.
fn overwrite(database: &Path, from: usize, to: usize) -> Vec<u8> {
    let whole = fs::read(database).unwrap();
    let to = to.min(whole.len());
    assert!(from < to, "the file is too short");
    let file = OpenOptions::new().write(true).open(database).unwrap();
    file.write_all_at(&vec![0xa5; to - from], from as u64)
        .unwrap();
    whole
}

/// A bench whose database holds something, all of it in the file itself.
async fn filled(service: Service, profile: &'static str) -> Bench {
    let bench = Bench::new(service, profile).await;
    let program = bench.start().await;
    for number in 0..3 {
        bench.write_well(&program, number).await;
    }
    assert!(program.terminate().await.success());
    let database = Connection::open(&bench.database).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let rest: i64 = database
        .query_row(checkpoint, [], |row| row.get(0))
        .unwrap();
    assert_eq!(rest, 0);
    bench
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_the_start() {
    for service in Service::ALL {
        let bench = filled(service, "local").await;
        let whole = overwrite(&bench.database, 2 * PAGE, usize::MAX);
        let mut program = bench.spawn();
        fails_with(&mut program, &bench.database, &["`restore`"]).await;

        fs::write(&bench.database, &whole).unwrap();
        overwrite(&bench.database, 0, 100);
        let mut program = bench.spawn();
        let words = ["is not a database", "`restore`"];
        fails_with(&mut program, &bench.database, &words).await;

        fs::write(&bench.database, &whole).unwrap();
        let program = bench.start().await;
        for number in 0..3 {
            assert!(bench.has(&program, number).await);
        }
        assert!(program.terminate().await.success());
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_in_use_ends_the_process() {
    for service in Service::ALL {
        for profile in ["local", "nfs"] {
            let bench = filled(service, profile).await;
            let mut program = bench.start().await;
            // All but the first page, which tells SQLite whether to read the others again.
            overwrite(&bench.database, PAGE, usize::MAX);
            // Unless a worker of its own was quicker.
            if let Some(status) = bench.read(&program).await {
                let log = program.log();
                assert_eq!(
                    status,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{service:?} {profile}: {log}"
                );
            }
            let words = ["malformed", "`restore`"];
            fails_with(&mut program, &bench.database, &words).await;
        }
    }
}
