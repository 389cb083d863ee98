//! A consistent copy of a database that is in use.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind::NotFound;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::{Closed, Database, Profile, remove};

/// How much room a copy leaves on its disk at least, which may be the database's, too.
const ROOM: u64 = 16 << 20;

impl Database {
    /// Writes a copy of this moment to the file `to`, which must not be there yet, and checks it.
    /// The file is there only when it is whole and on the disk; an error leaves nothing behind, and
    /// so does `stop`, which ends it early.
    ///
    /// Reads go on meanwhile. Writes, too, with the profile `local`; with `nfs` they wait until the
    /// copy is made.
    pub async fn back_up(&self, to: &Path, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (folder, draft) = prepare(to)?;
        let running = Running::default();
        let copied = {
            let copying = async {
                leave_room(&folder, &self.path)?;
                self.copy(&draft, &running).await?;
                finish(&folder, &draft, to, &running).await
            };
            tokio::pin!(copying, stop);
            tokio::select! {
                copied = &mut copying => copied,
                () = stop => {
                    running.interrupt();
                    copying.await
                }
            }
        };
        if copied.is_err() {
            // The first failure is the one to tell.
            let _ = remove(&draft);
        }
        copied.with_context(|| format!("can't back up to {}", to.display()))
    }

    async fn copy(&self, draft: &Path, running: &Running) -> anyhow::Result<()> {
        let name = draft.to_str().context("its path is not UTF-8")?.to_owned();
        let running = running.clone();
        let vacuum = move |connection: &Connection| {
            running.on(connection, || connection.execute("VACUUM INTO ?", [name]))?;
            Ok::<_, Error>(())
        };
        match self.profile {
            Profile::Local => {
                let path = self.path.clone();
                let copy = move || vacuum(&Profile::Local.connect(&path)?);
                tokio::task::spawn_blocking(copy).await??;
            }
            // A reader would keep the writer from committing until that gives up.
            Profile::Nfs => self.writer.alone(vacuum).await?,
        }
        Ok(())
    }
}

/// Opens a file that nobody writes to, without a lock and without anything beside it: its folder may
/// be read-only.
pub(crate) fn open_untouched(path: &Path) -> rusqlite::Result<Connection> {
    let uri = format!("{}?immutable=1", Profile::Local.uri(path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// The long statement of a copy, so that it can be ended, and no other one with it.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    handle: Option<InterruptHandle>,
    stopped: bool,
}

impl Running {
    fn on<T>(
        &self,
        connection: &Connection,
        statement: impl FnOnce() -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.stopped {
                let code = rusqlite::ffi::SQLITE_INTERRUPT;
                let error = rusqlite::ffi::Error::new(code);
                return Err(rusqlite::Error::SqliteFailure(error, None));
            }
            state.handle = Some(connection.get_interrupt_handle());
        }
        let result = statement();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).handle = None;
        result
    }

    fn interrupt(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped = true;
        if let Some(handle) = &state.handle {
            handle.interrupt();
        }
    }
}

/// Makes the folder and an empty draft, which is for its owner only: it may come to hold secrets.
fn prepare(to: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    ensure!(!to.exists(), "{} is there already", to.display());
    let folder = to.parent().context("a backup has a folder")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let mut draft = OsString::from(to);
    draft.push(".new");
    let draft = PathBuf::from(draft);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("can't make {}", draft.display()))?;
    Ok((folder.to_owned(), draft))
}

/// Refuses a copy that could take the last room of a disk: the database may lie on the same one.
fn leave_room(folder: &Path, database: &Path) -> anyhow::Result<()> {
    let mut needed = ROOM;
    for ending in ["", "-wal"] {
        let mut file = database.as_os_str().to_owned();
        file.push(ending);
        match std::fs::metadata(file) {
            Ok(file) => needed += file.len(),
            Err(error) if error.kind() == NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    ensure!(
        free >= needed,
        "it needs {needed} bytes of room, and there are {free}"
    );
    Ok(())
}

async fn finish(folder: &Path, draft: &Path, to: &Path, running: &Running) -> anyhow::Result<()> {
    let (folder, draft, to) = (folder.to_owned(), draft.to_owned(), to.to_owned());
    let running = running.clone();
    let finish = move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(&draft, flags)?;
        let check = || copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        let verdict: String = running.on(&copy, check)?;
        ensure!(verdict == "ok", "the copy is damaged: {verdict}");
        drop(copy);
        File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, &to)?;
        Ok(File::open(&folder)?.sync_all()?)
    };
    tokio::task::spawn_blocking(finish).await?
}
