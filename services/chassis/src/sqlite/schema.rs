//! The schema of a database: brought up to date in one transaction, with a note of who did it.

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

/// The version of the program, which all programs of a release share.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Which version of the program brought the schema to which version. It is no part of the services'
/// schemas: a program that refuses a database reads here whom to name.
pub(crate) const HISTORY: &str = "schema_history";

const CREATE_HISTORY: &str = "
CREATE TABLE IF NOT EXISTS schema_history (
    version INTEGER NOT NULL PRIMARY KEY,
    program TEXT NOT NULL
) STRICT
";

/// One step from a version of the schema to the next. It must not commit.
#[derive(Debug, Clone, Copy)]
pub enum Migration {
    /// Statements.
    Sql(&'static str),
    /// What SQL can't say.
    Code(fn(&Connection) -> rusqlite::Result<()>),
}

impl Migration {
    /// Takes the step.
    pub fn run(self, tx: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Sql(statements) => tx.execute_batch(statements),
            Self::Code(change) => change(tx),
        }
    }
}

/// Does the migrations that the database does not have yet: all of them or none. Its version is how
/// many it has (`PRAGMA user_version`).
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    migrations: &[Migration],
) -> anyhow::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = migrations.len();
    ensure!(
        version <= known,
        "its schema has version {version}, and {PROGRAM} knows only up to {known}: it was written \
         by {}. Run that version, or restore a backup from before the upgrade: see \"Upgrade\" in \
         docs/operations.md",
        writer(&tx, version)?
    );
    if version == known {
        return Ok(());
    }
    tx.execute_batch(CREATE_HISTORY)?;
    for (migration, version) in migrations.iter().zip(1..).skip(version) {
        migration.run(&tx).with_context(|| {
            format!("its schema can't be brought to version {version}, and stays as it was")
        })?;
        tx.execute(
            "INSERT OR REPLACE INTO schema_history (version, program) VALUES (?1, ?2)",
            params![version, PROGRAM],
        )?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    tracing::info!(from = version, to = known, "the schema is up to date");
    Ok(())
}

/// Who brought the schema to this version.
fn writer(connection: &Connection, version: usize) -> rusqlite::Result<String> {
    if !connection.table_exists(None, HISTORY)? {
        return Ok("a newer version".to_owned());
    }
    let program: Option<String> = connection
        .query_row(
            "SELECT program FROM schema_history WHERE version = ?1",
            [version],
            |row| row.get(0),
        )
        .optional()?;
    Ok(program.map_or("a newer version".to_owned(), |program| {
        format!("version {program}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRUIT: Migration = Migration::Sql("CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT");
    const COLOUR: Migration =
        Migration::Sql("ALTER TABLE fruit ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'");

    fn database() -> Connection {
        let mut database = Connection::open_in_memory().unwrap();
        bring_up_to_date(&mut database, &[FRUIT]).unwrap();
        database
            .execute("INSERT INTO fruit VALUES ('fig')", [])
            .unwrap();
        database
    }

    /// Everything that a database says of itself.
    fn everything(database: &Connection) -> Vec<String> {
        let mut lines = Vec::new();
        let mut collect = |sql: &str| {
            let mut statement = database.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            lines.extend(rows.map(|row: rusqlite::Result<String>| row.unwrap()));
        };
        collect("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name");
        collect("SELECT name FROM fruit ORDER BY name");
        collect("SELECT version || ' by ' || program FROM schema_history ORDER BY version");
        collect("SELECT cast(user_version AS TEXT) FROM pragma_user_version");
        lines
    }

    #[test]
    fn what_is_there_survives_an_upgrade() {
        let mut database = database();
        bring_up_to_date(&mut database, &[FRUIT, COLOUR]).unwrap();
        let colour: String = database
            .query_row("SELECT colour FROM fruit WHERE name = 'fig'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(colour, "green");
        let notes = [format!("1 by {PROGRAM}"), format!("2 by {PROGRAM}")];
        let everything = everything(&database);
        assert!(notes.iter().all(|note| everything.contains(note)));
        assert_eq!(everything.last().unwrap(), "2");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let mut database = database();
        let before = everything(&database);
        let broken = Migration::Sql(
            "INSERT INTO fruit (name) VALUES ('kiwi'); INSERT INTO nowhere VALUES (1)",
        );
        let error = bring_up_to_date(&mut database, &[FRUIT, COLOUR, broken]).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("version 3") && text.contains("nowhere"),
            "{text}"
        );
        assert_eq!(everything(&database), before);
        // And nothing is in the way of one that works.
        bring_up_to_date(&mut database, &[FRUIT, COLOUR]).unwrap();
    }

    #[test]
    fn a_newer_database_is_refused_and_says_who_wrote_it() {
        let mut database = database();
        bring_up_to_date(&mut database, &[FRUIT, COLOUR]).unwrap();
        database
            .execute(
                "UPDATE schema_history SET program = '9.8.7' WHERE version = 2",
                [],
            )
            .unwrap();
        let before = everything(&database);
        let refused = |database: &mut Connection| {
            let error = bring_up_to_date(database, &[FRUIT]).unwrap_err();
            error.to_string()
        };
        let text = refused(&mut database);
        assert!(text.contains("written by version 9.8.7"), "{text}");
        assert_eq!(everything(&database), before);
        database.execute("DROP TABLE schema_history", []).unwrap();
        let text = refused(&mut database);
        assert!(text.contains("written by a newer version"), "{text}");
    }
}
