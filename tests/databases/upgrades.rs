//! Files that other versions wrote. `golden/<version>/` has a database of each service as that
//! version left it: text, so that a change of it can be read. For a release with another schema:
//!
//! ```sh
//! cargo test -p e2e --test databases make_the_golden_files -- --ignored    # needs sqlite3
//! ```
//!
//! Keep the files of the versions before it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use uuid::Uuid;

use crate::program::{Bench, Service};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/databases/golden");

/// How much of everything a golden file holds.
const WRITTEN: u64 = 3;

/// Whose links and clicks are in them.
const OWNER: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// A golden file of a service, and the version that wrote it.
fn golden(service: Service) -> Vec<(String, PathBuf)> {
    let versions = fs::read_dir(GOLDEN).unwrap();
    let files = versions.map(|entry| {
        let folder = entry.unwrap().path();
        let version = folder.file_name().unwrap().to_str().unwrap().to_owned();
        (version, folder.join(service.name()).with_extension("sql"))
    });
    files.filter(|(_, file)| file.exists()).collect()
}

/// What a file says of itself.
struct Shape {
    version: i64,
    /// Each table and index, and how it was made.
    made: Vec<(String, String)>,
    /// How many rows each table has.
    rows: Vec<(String, i64)>,
}

impl Shape {
    fn of(database: &Path) -> Self {
        let database = Connection::open(database).unwrap();
        let version = database.pragma_query_value(None, "user_version", |row| row.get(0));
        let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut query = database.prepare(sql).unwrap();
        let made = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let made: Vec<(String, String)> = made.unwrap().map(Result::unwrap).collect();
        let mut rows = Vec::new();
        for (name, sql) in &made {
            if sql.starts_with("CREATE TABLE") {
                let sql = format!("SELECT count(*) FROM \"{name}\"");
                let count = database.query_row(&sql, [], |row| row.get(0)).unwrap();
                rows.push((name.clone(), count));
            }
        }
        Self {
            version: version.unwrap(),
            made,
            rows,
        }
    }
}

#[tokio::test]
async fn what_every_released_version_left_is_read_and_grown() {
    for service in Service::ALL {
        let mut fresh = Bench::new(service, "local").await;
        fresh.owner = OWNER;
        assert!(fresh.start().await.terminate().await.success());
        let expected = Shape::of(&fresh.database);

        let files = golden(service);
        assert!(!files.is_empty(), "{service:?}");
        for (released, file) in files {
            let mut bench = Bench::new(service, "local").await;
            bench.owner = OWNER;
            let dump = fs::read_to_string(&file).unwrap();
            let restored = Connection::open(&bench.database).unwrap();
            restored.execute_batch(&dump).unwrap();
            drop(restored);
            let before = Shape::of(&bench.database);

            let program = bench.start().await;
            for number in 0..WRITTEN {
                let is_there = bench.has(&program, number).await;
                assert!(
                    is_there,
                    "{service:?} {released}: {number}\n{}",
                    program.log()
                );
            }
            if service == Service::Analytics {
                assert_eq!(bench.clicks(&program).await, WRITTEN);
            } else {
                bench.write_well(&program, WRITTEN).await;
            }
            assert!(program.terminate().await.success());
            let after = Shape::of(&bench.database);
            assert_eq!(after.version, expected.version, "{service:?} {released}");
            assert_eq!(after.made, expected.made, "{service:?} {released}");
            for (table, rows) in before.rows {
                let kept = after.rows.iter().find(|(name, _)| *name == table);
                // The outbox is for sending, and SQLite keeps its own books; the rest only grows.
                let is_ours = table != "outbox" && table != "sqlite_sequence";
                let lost = is_ours && kept.is_some_and(|(_, now)| *now < rows);
                assert!(!lost, "{service:?} {released}: {table} had {rows} rows");
            }
        }
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_stays_as_it_is() {
    for service in Service::ALL {
        let bench = Bench::new(service, "local").await;
        let program = bench.start().await;
        bench.write_well(&program, 0).await;
        assert!(program.terminate().await.success());
        let newer = Connection::open(&bench.database).unwrap();
        let known = Shape::of(&bench.database).version;
        newer
            .execute_batch(
                "PRAGMA user_version = 99;
                 CREATE TABLE of_the_future (x INTEGER) STRICT;
                 INSERT INTO schema_history (version, program) VALUES (99, '9.8.7')",
            )
            .unwrap();
        drop(newer);
        let before = fs::read(&bench.database).unwrap();

        let mut program = bench.spawn();
        let status = program.ended().await;
        let log = program.log();
        assert_eq!(status.code(), Some(1), "{log}");
        for words in [
            bench.database.to_str().unwrap(),
            "schema has version 99",
            "written by version 9.8.7",
            "Run that version, or restore a backup",
        ] {
            assert!(log.contains(words), "{words} is not in: {log}");
        }
        assert_eq!(fs::read(&bench.database).unwrap(), before);

        let back = Connection::open(&bench.database).unwrap();
        back.pragma_update(None, "user_version", known).unwrap();
        drop(back);
        let program = bench.start().await;
        assert!(bench.has(&program, 0).await);
    }
}

#[tokio::test]
#[ignore = "writes the golden files of this version; for a release with another schema"]
async fn make_the_golden_files() {
    let folder = Path::new(GOLDEN).join(env!("CARGO_PKG_VERSION"));
    fs::create_dir_all(&folder).unwrap();
    for service in Service::ALL {
        let mut bench = Bench::new(service, "local").await;
        bench.owner = OWNER;
        let program = bench.start().await;
        for number in 0..WRITTEN {
            bench.write_well(&program, number).await;
        }
        assert!(program.terminate().await.success());
        let version = Shape::of(&bench.database).version;
        let dump = Command::new("sqlite3")
            .arg(&bench.database)
            .arg(".dump")
            .output()
            .expect("there is a program sqlite3");
        assert!(dump.status.success());
        let dump = String::from_utf8(dump.stdout).unwrap();
        let text = format!(
            "-- A database of {} {}, for tests only: its secrets guard nothing.\n{dump}\
             PRAGMA user_version={version};\n",
            service.name(),
            env!("CARGO_PKG_VERSION")
        );
        fs::write(folder.join(service.name()).with_extension("sql"), text).unwrap();
    }
}
