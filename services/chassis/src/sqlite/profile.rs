use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a statement waits for a lock that another connection of this process holds.
const BUSY: Duration = Duration::from_secs(10);

/// How long the start waits for a lock that another host holds on a network filesystem: longer
/// than an `NFSv4` lease and its grace period, after which the server gives the lock away.
const FOREIGN_LOCK: Duration = Duration::from_mins(5);

/// What the file lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// A disk of this machine: write-ahead log, every commit fsynced.
    #[default]
    Local,
    /// NFS: one lock for the life of the process, rollback journal, every commit fsynced.
    Nfs,
}

impl Profile {
    pub(super) fn uri(self, path: &Path) -> String {
        let path = path.to_string_lossy();
        let escaped: String = path
            .chars()
            .map(|letter| match letter {
                '%' => "%25".to_owned(),
                '?' => "%3f".to_owned(),
                '#' => "%23".to_owned(),
                other => other.to_string(),
            })
            .collect();
        match self {
            Self::Local => format!("file:{escaped}"),
            Self::Nfs => format!("file:{escaped}?vfs=unix-excl"),
        }
    }

    /// Opens the connection that writes.
    pub(super) fn open(self, path: &Path) -> rusqlite::Result<Connection> {
        let started = Instant::now();
        loop {
            match self.try_open(path) {
                Err(error)
                    if self == Self::Nfs
                        && is_locked(&error)
                        && started.elapsed() < FOREIGN_LOCK =>
                {
                    tracing::warn!(
                        database = %path.display(),
                        "another process holds the database: waiting for its lock"
                    );
                    #[expect(clippy::disallowed_methods, reason = "on a blocking thread")]
                    std::thread::sleep(Duration::from_secs(1));
                }
                result => return result,
            }
        }
    }

    fn try_open(self, path: &Path) -> rusqlite::Result<Connection> {
        let connection = self.connect(path)?;
        match self {
            Self::Local => {
                connection.pragma_update(None, "journal_mode", "WAL")?;
            }
            Self::Nfs => {
                connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
            }
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Takes the lock now rather than at the first write.
        connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
        Ok(connection)
    }

    /// One more connection.
    pub(super) fn connect(self, path: &Path) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(self.uri(path), OpenFlags::default())?;
        self.configure(&connection)?;
        Ok(connection)
    }

    /// Sets up a connection that only reads.
    pub(super) fn configure_reader(self, connection: &Connection) -> rusqlite::Result<()> {
        self.configure(connection)?;
        connection.pragma_update(None, "query_only", true)
    }

    fn configure(self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        if self == Self::Nfs {
            connection.pragma_update(None, "mmap_size", 0)?;
        }
        Ok(())
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl FromStr for Profile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local" => Ok(Self::Local),
            "nfs" => Ok(Self::Nfs),
            _ => Err("must be local or nfs"),
        }
    }
}
