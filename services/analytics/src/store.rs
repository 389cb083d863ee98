//! The SQL of `clicks.db`, one file for each concern. Every function works inside the transaction
//! of its caller.

pub mod account_totals;
pub mod accounts;
pub mod compare;
pub mod counters;
pub mod feed;
pub mod labels;
pub mod ledgers;
pub mod links;
pub mod partition;
pub mod position;
pub mod reports;
pub mod rows;
pub mod take_over;

use chassis::database_file::Schema;
use chassis::nice;
use chassis::sqlite::{Closed, Database, Migration};
use rusqlite::ErrorCode;

/// The schema, in the order of its versions.
pub const MIGRATIONS: &[Migration] = &[
    Migration::Sql(include_str!("../migrations/0001_init.sql")),
    Migration::Sql(include_str!("../migrations/0002_feed.sql")),
    Migration::Sql(include_str!("../migrations/0003_partition.sql")),
    Migration::Sql(include_str!("../migrations/0004_pages.sql")),
    Migration::Code(counters::pack_rows),
    Migration::Sql(include_str!("../migrations/0006_no_rows.sql")),
    Migration::Sql(include_str!("../migrations/0007_buffer.sql")),
];

/// The database.
pub const SCHEMA: Schema = Schema {
    name: "clicks",
    migrations: MIGRATIONS,
    after_restore: "what came since the backup is read from the stream and counted, each click \
                    once; what the stream no longer holds is kept as a gap",
};

/// How much of the database the connection that writes keeps in memory at most, in KiB. A set of
/// clicks changes the pages in their order, so few are needed again; what finds no place goes to the
/// log on the way, and not all at the commit, which nobody can interrupt.
const WRITER_CACHE_KIB: i32 = 8 << 10;

/// How nice the threads that count are. Counting can wait, a visitor can't: where both share two
/// processors, an answer would wait behind a transaction for as long as the kernel's turns last. It
/// still gets a tenth of a processor that others could use up, and the more clicks wait, the less
/// each of them costs.
pub const COUNTING_NICE: i32 = 10;

/// Tells the thread that writes how to do so.
pub async fn prepare_writer(database: &Database) -> Result<(), Error> {
    let told = database.write(|connection| {
        nice::yield_to_others(COUNTING_NICE);
        // A negative number is KiB, not pages.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        Ok(())
    });
    told.await
}

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused, or the disk did.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The process is stopping.
    #[error("the database is closed")]
    Closed(#[from] Closed),
}

/// What a worker does about a failure of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Waits and tries again for as long as it takes: the disk is full, or somebody is in the way.
    Wait,
    /// Tries again some times, then ends the process.
    WaitBriefly,
    /// Ends the process: going on could only make it worse. A device that fails, or a file that is
    /// damaged, has closed the database by itself.
    Stop,
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        let Self::Sqlite(error) = self else {
            return Remedy::Stop;
        };
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                // Of the others that are called so, the database has seen to itself.
                | ErrorCode::SystemIoFailure,
            ) => Remedy::Wait,
            Some(ErrorCode::CannotOpen) => Remedy::WaitBriefly,
            _ => Remedy::Stop,
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::MIGRATIONS;

    /// A database in memory with today's schema.
    pub(crate) fn database() -> rusqlite::Connection {
        let database = rusqlite::Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            migration.run(&database).unwrap();
        }
        database
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_full_disk_is_waited_for_and_a_closed_database_is_not() {
        let remedy = |code| {
            Error::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).remedy()
        };
        assert_eq!(remedy(ffi::SQLITE_FULL), Remedy::Wait);
        assert_eq!(remedy(ffi::SQLITE_BUSY), Remedy::Wait);
        // A quota, or a network filesystem that is full.
        assert_eq!(remedy(ffi::SQLITE_IOERR_WRITE), Remedy::Wait);
        assert_eq!(remedy(ffi::SQLITE_CANTOPEN), Remedy::WaitBriefly);
        assert_eq!(Error::from(Closed).remedy(), Remedy::Stop);
        assert_eq!(remedy(ffi::SQLITE_CORRUPT), Remedy::Stop);
    }
}
