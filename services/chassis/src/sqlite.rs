//! One SQLite database: one writer that commits for many at once, and a pool of readers.
//!
//! Every write that waits while the disk is busy joins the next transaction (group commit), each
//! behind its own savepoint, so that one that fails takes nobody with it; and a transaction gathers
//! writes until 4 ms after the one before it began. A write is durable when [`Database::write`]
//! returns.
//!
//! When the file itself fails ([`Fault`]), for a writer or a reader, whoever waits learns that the
//! database is closed, nothing more is read or written, and the process stops. A disk that is full
//! is an error of the statement only.

mod backup;
mod checkpoints;
mod fault;
mod profile;
mod schema;
mod writer;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadpool_sqlite::{Config, Hook, HookError, Pool, PoolError, Runtime};
use rusqlite::Connection;

use crate::ready::Readiness;
use crate::shutdown::Shutdown;

pub(crate) use backup::open_untouched;
pub use fault::Fault;
use fault::Watch;
pub use profile::Profile;
pub(crate) use schema::HISTORY;
pub use schema::Migration;
use writer::{Company, Writer};

/// The name under which a change or a comparison sees the other database.
pub const BESIDE: &str = "beside";

/// How many connections read at the same time: SQLite reads are short, and the cores are few.
const READERS: usize = 4;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    path: Arc<PathBuf>,
    profile: Profile,
    watch: Watch,
    writer: Writer,
    readers: Pool,
}

/// The database was closed, its file failed, or a thread that served it has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database is closed")]
pub struct Closed;

impl Database {
    /// Opens the file, makes it if it is not there, checks it, and brings its schema up to date.
    ///
    /// Refused with a clear error: a file that is damaged ([`Fault`]), or that a newer version
    /// wrote. With the profile `nfs` it waits while another process has the file; `ready` says so.
    /// A fault later on begins `shutdown`.
    pub async fn open(
        path: &Path,
        profile: Profile,
        migrations: &'static [Migration],
        shutdown: &Shutdown,
        ready: &Readiness,
    ) -> anyhow::Result<Self> {
        let connection = prepare(path, profile, migrations, ready)
            .await
            .map_err(|error| {
                if error.is::<Fault>() {
                    error
                } else {
                    error.context(format!("can't open the database {}", path.display()))
                }
            })?;
        let watch = Watch::new(path, shutdown);
        let log = match profile {
            Profile::Local => Some(profile.connect(path)?),
            Profile::Nfs => None,
        };
        Ok(Self {
            path: Arc::new(path.to_owned()),
            profile,
            writer: Writer::start(connection, log, watch.clone())?,
            watch,
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
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        self.write_traced(change, Company::Any).await
    }

    /// The same as [`Database::write`] for a change of very many rows. It shares its transaction
    /// with nobody, so that nobody waits for it who came with it, and SQLite does not keep each page
    /// that it changes twice to be able to undo it apart from others.
    pub async fn write_alone<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        self.write_traced(change, Company::Nobody).await
    }

    async fn write_traced<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        company: Company,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        // So that what is written on the writer's thread still belongs to the caller's trace.
        let span = tracing::Span::current();
        self.writer
            .write(
                move |connection| span.in_scope(|| change(connection)),
                company,
            )
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
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        let uri = other.profile.uri(&other.path);
        self.writer.write(change, Company::Beside(uri)).await
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
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        if self.profile == Profile::Nfs {
            return self.write_beside(other, query).await;
        }
        let (profile, path) = (self.profile, Arc::clone(&self.path));
        let uri = other.profile.uri(&other.path);
        let watch = self.watch.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let connection = profile.connect(&path)?;
            attach(&connection, &uri)?;
            ask(&connection, &watch, query)
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
        E: Error + From<rusqlite::Error> + From<Closed> + Send + 'static,
    {
        let connection = self.readers.get().await.map_err(|error| {
            tracing::error!(error = error.to_string(), "no connection to read with");
            if let PoolError::Backend(error)
            | PoolError::PostCreateHook(HookError::Backend(error)) = &error
            {
                self.watch.is_fault(error);
            }
            E::from(Closed)
        })?;
        let watch = self.watch.clone();
        connection
            .interact(move |connection| ask(connection, &watch, query))
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
        if !self.watch.has_failed() {
            self.readers.close();
            self.writer.close().await;
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.watch.has_failed() {
            // Closed by the end of the process: the last connection to close would write.
            std::mem::forget(self.readers.clone());
        }
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

async fn prepare(
    path: &Path,
    profile: Profile,
    migrations: &'static [Migration],
    ready: &Readiness,
) -> anyhow::Result<Connection> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut connection = profile.open(path, ready).await?;
    let owned = path.to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        check(&owned, &connection).map_err(|error| Fault::or(&owned, error))?;
        schema::bring_up_to_date(&mut connection, migrations)
            .map_err(|error| Fault::or(&owned, error))?;
        Ok(connection)
    });
    checked.await?
}

fn check(path: &Path, connection: &Connection) -> anyhow::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(Fault::found(path, &verdict).into())
    }
}

/// Asks in a transaction, so that all of it sees one state.
fn ask<T, E>(
    connection: &Connection,
    watch: &Watch,
    query: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E>
where
    E: Error + From<rusqlite::Error> + From<Closed> + 'static,
{
    if watch.has_failed() {
        return Err(E::from(Closed));
    }
    let snapshot = connection.unchecked_transaction()?;
    query(&snapshot).map_err(|error| {
        if watch.is_fault(&error) {
            E::from(Closed)
        } else {
            error
        }
    })
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
                    .map_err(HookError::Backend)
            })
        }))
        .build()?;
    Ok(pool)
}

#[cfg(test)]
mod tests;
