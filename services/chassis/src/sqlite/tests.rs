use super::*;

const SCHEMA: &[&str] = &["CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT"];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
}

async fn database(folder: &tempfile::TempDir, profile: Profile) -> Database {
    Database::open(&folder.path().join("a b?.db"), profile, SCHEMA)
        .await
        .unwrap()
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
    assert!(Database::open(&path, Profile::Local, SCHEMA).await.is_err());
}
