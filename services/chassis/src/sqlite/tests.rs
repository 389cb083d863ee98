use std::future::pending;

use super::*;

const SCHEMA: &[Migration] = &[Migration::Sql(
    "CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT",
)];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
}

async fn open(path: &Path, profile: Profile) -> anyhow::Result<Database> {
    let (shutdown, ready) = (Shutdown::new(), Readiness::default());
    Database::open(path, profile, SCHEMA, &shutdown, &ready).await
}

async fn database(folder: &tempfile::TempDir, profile: Profile) -> Database {
    open(&folder.path().join("a b?.db"), profile).await.unwrap()
}

async fn add(database: &Database, name: &'static str) -> Result<usize, Error> {
    database
        .write(move |tx| Ok(tx.execute("INSERT INTO fruit VALUES (?1)", [name])?))
        .await
}

async fn count(database: &Database) -> i64 {
    database
        .read(|connection| {
            Ok::<_, Error>(
                connection.query_row("SELECT count(*) FROM fruit", [], |row| row.get(0))?,
            )
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_write_that_fails_takes_nobody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder, Profile::Local).await;
    let (first, twin, other) = tokio::join!(
        add(&database, "fig"),
        add(&database, "fig"),
        add(&database, "pear")
    );
    assert!(first.is_ok() != twin.is_ok());
    other.unwrap();
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn a_transaction_gathers_writes_for_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder, Profile::Local).await;
    let began = std::time::Instant::now();
    for name in ["fig", "pear", "plum", "quince"] {
        add(&database, name).await.unwrap();
    }
    assert!(began.elapsed() >= 3 * writer::GATHER);
    assert_eq!(count(&database).await, 4);
}

#[tokio::test]
async fn a_write_of_its_own_is_kept_or_undone_whole_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder, Profile::Local).await;
    let write = |names: [&'static str; 2]| {
        database.write_alone(move |tx| {
            for name in names {
                tx.execute("INSERT INTO fruit VALUES (?1)", [name])?;
            }
            Ok::<_, Error>(())
        })
    };
    let (first, twice, other) = tokio::join!(
        write(["fig", "pear"]),
        write(["plum", "plum"]),
        add(&database, "quince")
    );
    assert!(twice.is_err());
    first.unwrap();
    other.unwrap();
    assert_eq!(count(&database).await, 3);
}

#[tokio::test]
async fn once_closed_the_file_alone_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder, Profile::Local).await;
    add(&database, "fig").await.unwrap();
    // A reader that is in no hurry to end.
    let path = folder.path().join("a b?.db");
    let reader = Connection::open(&path).unwrap();
    let count = "SELECT count(*) FROM fruit";
    let seen: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1);
    database.close().await;
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let copied = Connection::open(&copy).unwrap();
    let seen: i64 = copied.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1);
}

/// The size of the database, or of what lies beside it with this ending.
fn megabytes(path: &Path, ending: &str) -> u64 {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    std::fs::metadata(name).unwrap().len() >> 20
}

/// Adds 320 rows of 64 KiB, a few in each transaction.
async fn add_much(database: &Database, prefix: &str) {
    for round in 0..20 {
        let adding = (0..16).map(|number| {
            let name = format!("{prefix}-{round}-{number}-{}", "x".repeat(64 << 10));
            database.write(move |tx| {
                Ok::<_, Error>(tx.execute("INSERT INTO fruit VALUES (?1)", [name])?)
            })
        });
        futures_util::future::try_join_all(adding).await.unwrap();
    }
}

#[tokio::test]
async fn the_log_is_moved_into_the_file_beside_the_writer_and_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let database = open(&path, Profile::Local).await.unwrap();
    let size = |ending| megabytes(&path, ending);
    // 40 MB each: every row is in the table and in its index.
    let rounds = ["first", "second", "third", "fourth", "fifth"];
    for (round, prefix) in rounds.into_iter().enumerate() {
        add_much(&database, prefix).await;
        // All but what makes no long log, and while nobody writes.
        let moved = (round as u64 + 1) * 40 - 18;
        crate::testing::eventually(|| async { (size("") >= moved).then_some(()) }).await;
    }
    // It never shrinks: what it has now is the longest that it was. On a machine that has no time
    // for the thread that moves it, the writer does that at 128 MB, and a group adds 2.
    assert!(size("-wal") < 140, "{} of 200 MB", size("-wal"));
    assert_eq!(count(&database).await, 5 * 320);
    database.close().await;
    assert!(!path.with_extension("db-wal").exists());
}

#[tokio::test]
async fn commits_that_alone_make_a_long_log_are_moved_beside_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let database = open(&path, Profile::Local).await.unwrap();
    let size = |ending| megabytes(&path, ending);
    let log = Connection::open(&path).unwrap();
    let is_moved = || {
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        let ends = log.query_row(sql, [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let (pages, moved) = ends.unwrap();
        pages == moved
    };
    for round in 1..=6 {
        // 20 MB in the table, and as much in its index.
        let adding = database.write(move |tx| {
            for number in 0..320 {
                let name = format!("{round}-{number}-{}", "x".repeat(64 << 10));
                tx.execute("INSERT INTO fruit VALUES (?1)", [name])?;
            }
            Ok::<_, Error>(())
        });
        adding.await.unwrap();
        crate::testing::eventually(|| async { is_moved().then_some(()) }).await;
    }
    // Each commit found everything moved, and began the log anew.
    assert!(size("-wal") < 50, "{} of 240 MB", size("-wal"));
    assert_eq!(count(&database).await, 6 * 320);
    database.close().await;
}

#[tokio::test]
async fn a_reader_of_an_old_state_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let database = open(&path, Profile::Local).await.unwrap();
    add(&database, "fig").await.unwrap();
    let reader = Connection::open(&path).unwrap();
    let old = reader.unchecked_transaction().unwrap();
    let seen = |reader: &Connection| -> i64 {
        reader
            .query_row("SELECT count(*) FROM fruit", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(seen(&old), 1);
    for prefix in ["first", "second"] {
        add_much(&database, prefix).await;
    }
    assert_eq!(seen(&old), 1);
    drop(old);
    add_much(&database, "third").await;
    assert_eq!(seen(&reader), 1 + 3 * 320);
    database.close().await;
}

#[tokio::test]
async fn both_profiles_keep_what_was_written() {
    for profile in [Profile::Local, Profile::Nfs] {
        let folder = tempfile::tempdir().unwrap();
        let first = database(&folder, profile).await;
        add(&first, "quince").await.unwrap();
        first.close().await;
        assert!(matches!(add(&first, "late").await, Err(Error::Closed(_))));
        assert_eq!(
            count(&database(&folder, profile).await).await,
            1,
            "{profile:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.db");
    std::fs::write(&path, "this is not a database, not at all".repeat(200)).unwrap();
    let Err(error) = open(&path, Profile::Local).await else {
        panic!("it was opened");
    };
    assert!(error.is::<Fault>(), "{error:#}");
}

/// What the file says when it is asked for a page that it no longer has in memory.
#[tokio::test]
async fn a_fault_closes_the_database_and_begins_the_shutdown() {
    for profile in [Profile::Local, Profile::Nfs] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let (shutdown, ready) = (Shutdown::new(), Readiness::default());
        let database = Database::open(&path, profile, SCHEMA, &shutdown, &ready)
            .await
            .unwrap();
        add(&database, "fig").await.unwrap();
        let refused = database.write(|_| {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            Err::<(), _>(Error::Sqlite(rusqlite::Error::SqliteFailure(full, None)))
        });
        assert!(matches!(refused.await, Err(Error::Sqlite(_))));
        add(&database, "pear").await.unwrap();
        assert!(!shutdown.is_cancelled());

        let failed = database.write(|tx| {
            tx.execute("INSERT INTO fruit VALUES ('kiwi')", [])?;
            let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            Err::<(), _>(Error::Sqlite(rusqlite::Error::SqliteFailure(corrupt, None)))
        });
        let (failed, other) = tokio::join!(failed, add(&database, "plum"));
        assert!(matches!(failed, Err(Error::Closed(_))));
        // In the same transaction or after it.
        assert!(matches!(other, Err(Error::Closed(_))), "{other:?}");
        let read = database.read(|_| Ok::<_, Error>(())).await;
        assert!(matches!(read, Err(Error::Closed(_))));
        shutdown.cancelled().await;
        let reason = shutdown.take_reason().unwrap();
        assert!(reason.is::<Fault>(), "{reason:#}");
        database.close().await;
        drop(database);
    }
}

#[tokio::test]
async fn a_backup_is_whole_and_is_made_while_others_write() {
    for profile in [Profile::Local, Profile::Nfs] {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder, profile).await;
        add(&database, "apple").await.unwrap();
        let to = folder.path().join("backups/one.db");
        let (copied, added) =
            tokio::join!(database.back_up(&to, pending()), add(&database, "pear"));
        copied.unwrap();
        added.unwrap();
        let again = database
            .back_up(&to, pending())
            .await
            .unwrap_err()
            .to_string();
        assert!(again.contains("is there already"), "{again}");
        database.close().await;

        let files = std::fs::read_dir(folder.path().join("backups")).unwrap();
        assert_eq!(files.count(), 1, "no draft is left");
        let copy = open(&to, profile).await.unwrap();
        assert!((1..=2).contains(&count(&copy).await));
        copy.close().await;
    }
}

#[tokio::test]
async fn a_change_can_read_another_database() {
    for profile in [Profile::Local, Profile::Nfs] {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (here, there) = (
            database(&here, profile).await,
            database(&there, profile).await,
        );
        add(&there, "fig").await.unwrap();
        let new = |connection: &Connection| {
            connection.query_row(
                "SELECT count(*) FROM beside.fruit WHERE name NOT IN (SELECT name FROM main.fruit)",
                [],
                |row| row.get::<_, i64>(0),
            )
        };
        let before = here.read_beside(&there, move |tx| Ok::<_, Error>(new(tx)?));
        assert_eq!(before.await.unwrap(), 1);
        let take = |tx: &Connection| {
            Ok::<_, Error>(tx.execute("INSERT INTO main.fruit SELECT name FROM beside.fruit", [])?)
        };
        let taken = here.write_beside(&there, take);
        let (taken, added) = tokio::join!(taken, add(&here, "kiwi"));
        assert_eq!((taken.unwrap(), added.unwrap()), (1, 1));
        // It failed, so it left nothing; and the other database can be attached again.
        here.write_beside(&there, take).await.unwrap_err();
        let after = here.read_beside(&there, move |tx| Ok::<_, Error>(new(tx)?));
        assert_eq!(after.await.unwrap(), 0);
        assert_eq!(count(&here).await, 2);
        there.close().await;
        remove(there.path()).unwrap();
        assert!(!there.path().exists());
        here.close().await;
    }
}
