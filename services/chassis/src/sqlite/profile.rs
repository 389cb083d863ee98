use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::bail;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::Fault;
use crate::ready::{Latch, Readiness};

/// How long a statement waits for a lock that another connection of this process holds.
const BUSY: Duration = Duration::from_secs(10);

/// How the start waits for a lock that another process holds on a network filesystem.
const FOREIGN_LOCK: Patience = Patience {
    // Longer than the lease of `NFSv4` and its grace period (90 seconds each unless somebody has
    // set them), after which the server gives away the lock of a host that died.
    limit: Duration::from_mins(5),
    retry: Duration::from_secs(1),
    tell: Duration::from_secs(30),
};

#[derive(Debug, Clone, Copy)]
struct Patience {
    /// How long it waits at most.
    limit: Duration,
    /// How long between two attempts.
    retry: Duration,
    /// How long between two lines in the log.
    tell: Duration,
}

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

    /// Opens the connection that writes. With `nfs` it waits for another process to end, or for the
    /// server to give its lock away, and says so; whoever gives up waiting drops the future.
    pub(super) async fn open(self, path: &Path, ready: &Readiness) -> anyhow::Result<Connection> {
        self.open_within(FOREIGN_LOCK, path, ready).await
    }

    async fn open_within(
        self,
        patience: Patience,
        path: &Path,
        ready: &Readiness,
    ) -> anyhow::Result<Connection> {
        let started = Instant::now();
        let mut latch = None;
        let mut told = None;
        loop {
            let owned = path.to_owned();
            let opened = tokio::task::spawn_blocking(move || {
                self.try_open(&owned)
                    .map_err(|error| Fault::or(&owned, error))
            })
            .await?;
            match opened {
                Err(error) if self == Self::Nfs && is_locked(&error) => {}
                opened => {
                    latch.as_ref().inspect(|latch: &&Latch| latch.open());
                    return opened;
                }
            }
            let waited = started.elapsed();
            if waited >= patience.limit {
                bail!(
                    "another process still holds its lock after {:?}: end that one first; each \
                     database has one process",
                    patience.limit
                );
            }
            latch.get_or_insert_with(|| ready.latch("the lock of another process on the database"));
            if told.is_none_or(|told| waited >= told + patience.tell) {
                told = Some(waited);
                tracing::warn!(
                    database = %path.display(),
                    waited_seconds = waited.as_secs(),
                    limit_seconds = patience.limit.as_secs(),
                    "another process holds the database: waiting for it to end, or for the NFS \
                     server to give its lock away (lease and grace time)"
                );
            }
            tokio::time::sleep(patience.retry).await;
        }
    }

    fn try_open(self, path: &Path) -> rusqlite::Result<Connection> {
        let busy = match self {
            Self::Local => BUSY,
            // Who waits for another process does so where the future can be dropped.
            Self::Nfs => Duration::ZERO,
        };
        let connection = self.connect_within(busy, path)?;
        // Takes the lock now rather than at the first write.
        connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    /// One more connection.
    pub(super) fn connect(self, path: &Path) -> rusqlite::Result<Connection> {
        self.connect_within(BUSY, path)
    }

    fn connect_within(self, busy: Duration, path: &Path) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(self.uri(path), OpenFlags::default())?;
        self.configure(&connection, busy)?;
        Ok(connection)
    }

    /// Sets up a connection that only reads.
    pub(super) fn configure_reader(self, connection: &Connection) -> rusqlite::Result<()> {
        self.configure(connection, BUSY)?;
        connection.pragma_update(None, "query_only", true)
    }

    /// Every connection is set up in the same way: also a reader may be the one that rolls an
    /// interrupted transaction back.
    fn configure(self, connection: &Connection, busy: Duration) -> rusqlite::Result<()> {
        connection.busy_timeout(busy)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let journal = match self {
            Self::Local => "wal",
            Self::Nfs => {
                // An error of the server would be a SIGBUS.
                connection.pragma_update(None, "mmap_size", 0)?;
                // The write-ahead log needs memory that processes share: no network has that.
                "truncate"
            }
        };
        // It answers with the mode that there is now, be it the one asked for or not.
        let sql = format!("PRAGMA journal_mode = {journal}");
        let got: String = connection.query_row(&sql, [], |row| row.get(0))?;
        if got == journal {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_ERROR),
            Some(format!(
                "its journal can't be {journal} here, and stays {got}; on a network filesystem \
                 KURZ_DATABASE_PROFILE must be nfs"
            )),
        ))
    }
}

fn is_locked(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<rusqlite::Error>();
    matches!(
        error.and_then(rusqlite::Error::sqlite_error_code),
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that holds SQLite's lock on the file until it is dropped.
    struct Holder(Child);

    impl Holder {
        fn new(path: &Path) -> Self {
            const SCRIPT: &str = "\
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()";
            let mut child = Command::new("python3")
                .args(["-c", SCRIPT])
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let mut said = BufReader::new(child.stdout.take().unwrap());
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "held\n");
            Self(child)
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn the_wait_for_a_foreign_lock_is_told_and_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let holder = Holder::new(&path);
        let short = Patience {
            limit: Duration::from_millis(50),
            retry: Duration::from_millis(1),
            tell: Duration::from_millis(10),
        };
        let error = Profile::Nfs
            .open_within(short, &path, &Readiness::default())
            .await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("still holds its lock"), "{text}");

        let ready = Readiness::default();
        let long = Patience {
            limit: Duration::from_secs(20),
            ..short
        };
        let opening = tokio::spawn({
            let (path, ready) = (path.clone(), ready.clone());
            async move { Profile::Nfs.open_within(long, &path, &ready).await }
        });
        crate::testing::eventually(|| async { (!ready.waiting_for().is_empty()).then_some(()) })
            .await;
        drop(holder);
        opening.await.unwrap().unwrap();
        assert!(ready.waiting_for().is_empty());
    }

    #[test]
    fn every_connection_is_set_up_as_its_profile_says() {
        for (profile, journal) in [(Profile::Local, "wal"), (Profile::Nfs, "truncate")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.db");
            let writer = profile.try_open(&path).unwrap();
            writer
                .execute_batch("CREATE TABLE fruit (name TEXT)")
                .unwrap();
            let reader = Connection::open_with_flags(profile.uri(&path), OpenFlags::default());
            let reader = reader.unwrap();
            profile.configure_reader(&reader).unwrap();
            let set = |connection: &Connection, name: &str| -> i64 {
                connection
                    .pragma_query_value(None, name, |row| row.get(0))
                    .unwrap()
            };
            for (connection, query_only) in [(&writer, 0), (&reader, 1)] {
                let mode: String = connection
                    .pragma_query_value(None, "journal_mode", |row| row.get(0))
                    .unwrap();
                assert_eq!(mode, journal);
                // FULL; MEMORY.
                assert_eq!(set(connection, "synchronous"), 2);
                assert_eq!(set(connection, "temp_store"), 2);
                assert_eq!(set(connection, "foreign_keys"), 1);
                assert_eq!(set(connection, "trusted_schema"), 0);
                assert_eq!(set(connection, "mmap_size"), 0);
                assert_eq!(set(connection, "query_only"), query_only);
            }
            let beside = |ending: &str| folder.path().join(format!("x.db{ending}")).exists();
            assert_eq!(beside("-wal"), profile == Profile::Local);
            assert_eq!(beside("-shm"), profile == Profile::Local);
        }
    }

    #[test]
    fn a_database_with_a_log_can_move_to_nfs_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        for profile in [Profile::Local, Profile::Nfs, Profile::Local] {
            let connection = profile.try_open(&path).unwrap();
            let sql = "CREATE TABLE IF NOT EXISTS fruit (name TEXT); INSERT INTO fruit VALUES (1)";
            connection.execute_batch(sql).unwrap();
        }
        let connection = Profile::Nfs.try_open(&path).unwrap();
        let count: i64 = connection
            .query_row("SELECT count(*) FROM fruit", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 3);
        let beside = |ending: &str| folder.path().join(format!("x.db{ending}")).exists();
        assert!(!beside("-wal") && !beside("-shm"));
    }
}
