//! One SQLite database: one writer that commits for many at once, and a pool of readers.
//!
//! Every write that waits while the disk is busy joins the next transaction (group commit), each
//! behind its own savepoint, so that one that fails takes nobody with it. A write is durable when
//! [`Database::write`] returns.

mod backup;
mod profile;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use deadpool_sqlite::{Config, Hook, HookError, Pool, Runtime};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

pub use profile::Profile;
use writer::Writer;

/// The name under which a change or a comparison sees the other database.
pub const BESIDE: &str = "beside";

/// How many connections read at the same time: SQLite reads are short, and the cores are few.
const READERS: usize = 4;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    path: Arc<PathBuf>,
    profile: Profile,
    writer: Writer,
    readers: Pool,
}

/// The database was closed, or a thread that served it has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database is closed")]
pub struct Closed;

impl Database {
    /// Opens the file, makes it if it is not there, checks it, and brings its schema up to date.
    ///
    /// Refused with a clear error: a file that is damaged, or that a newer version wrote.
    pub async fn open(
        path: &Path,
        profile: Profile,
        migrations: &'static [&'static str],
    ) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        let owned = path.to_owned();
        let connection = tokio::task::spawn_blocking(move || prepare(&owned, profile, migrations))
            .await?
            .with_context(|| format!("can't open the database {shown}"))?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            profile,
            writer: Writer::start(connection)?,
            readers: readers(path, profile)?,
        })
    }

    /// Changes the database. `change` runs alone and must not commit; what it did is durable when
    /// this returns, and undone if it failed.
    pub async fn write<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        // So that what is written on the writer's thread still belongs to the caller's trace.
        let span = tracing::Span::current();
        self.writer
            .write(move |connection| span.in_scope(|| change(connection)), None)
            .await
    }

    /// The same as [`Database::write`] for a change that also reads the database `other`, under the
    /// name [`BESIDE`].
    pub async fn write_beside<T, E>(
        &self,
        other: &Self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        let uri = other.profile.uri(&other.path);
        self.writer.write(change, Some(uri)).await
    }

    /// Reads from one consistent state of this database, and from `other` under the name
    /// [`BESIDE`]. For long questions: over a connection of its own with the profile `local`; with
    /// `nfs`, where a reader is in the writer's way, writes wait until it is answered.
    pub async fn read_beside<T, E>(
        &self,
        other: &Self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        if self.profile == Profile::Nfs {
            return self.write_beside(other, query).await;
        }
        let (profile, path) = (self.profile, Arc::clone(&self.path));
        let uri = other.profile.uri(&other.path);
        let reading = tokio::task::spawn_blocking(move || {
            let connection = profile.connect(&path)?;
            attach(&connection, &uri)?;
            let snapshot = connection.unchecked_transaction()?;
            query(&snapshot)
        });
        reading.await.unwrap_or_else(|error| {
            tracing::error!(error = error.to_string(), "a query did not end");
            Err(E::from(Closed))
        })
    }

    /// Reads from one consistent state of the database.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        let connection = self.readers.get().await.map_err(|error| {
            tracing::error!(error = error.to_string(), "no connection to read with");
            E::from(Closed)
        })?;
        connection
            .interact(|connection| {
                let snapshot = connection.unchecked_transaction()?;
                query(&snapshot)
            })
            .await
            .unwrap_or_else(|error| {
                tracing::error!(error = error.to_string(), "a query did not end");
                Err(E::from(Closed))
            })
    }

    /// What the file lies on.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends all connections: what waits is written first, everything after is refused.
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}

/// Deletes a database that nobody has open, and whatever its connections left beside it.
pub fn remove(path: &Path) -> std::io::Result<()> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn attach(connection: &Connection, uri: &str) -> rusqlite::Result<()> {
    connection.execute(&format!("ATTACH ? AS {BESIDE}"), [uri])?;
    Ok(())
}

fn detach(connection: &Connection) -> rusqlite::Result<()> {
    // What was prepared still holds tables of it.
    connection.flush_prepared_statement_cache();
    connection.execute_batch(&format!("DETACH {BESIDE}"))
}

fn prepare(
    path: &Path,
    profile: Profile,
    migrations: &'static [&'static str],
) -> anyhow::Result<Connection> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut connection = profile.open(path)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    anyhow::ensure!(
        verdict == "ok",
        "it is damaged ({verdict}): set it aside and restore a backup, see docs/operations.md"
    );
    let steps = migrations.iter().map(|sql| M::up(sql)).collect();
    Migrations::new(steps)
        .to_latest(&mut connection)
        .context("its schema can't be brought up to date (was it written by a newer version?)")?;
    Ok(connection)
}

fn readers(path: &Path, profile: Profile) -> anyhow::Result<Pool> {
    let config = Config::new(profile.uri(path));
    let pool = config
        .builder(Runtime::Tokio1)?
        .max_size(READERS)
        .post_create(Hook::async_fn(move |wrapper, _| {
            Box::pin(async move {
                wrapper
                    .interact(move |connection| profile.configure_reader(connection))
                    .await
                    .map_err(|error| HookError::message(error.to_string()))?
                    .map_err(|error| HookError::message(error.to_string()))
            })
        }))
        .build()?;
    Ok(pool)
}

#[cfg(test)]
mod tests;
