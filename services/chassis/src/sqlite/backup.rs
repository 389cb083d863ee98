//! A consistent copy of a database that is in use.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};

use super::{Closed, Database, Profile, remove};

impl Database {
    /// Writes a copy of this moment to the file `to`, which must not be there yet, and checks it.
    /// The file is there only when it is whole and on the disk; an error leaves nothing behind.
    ///
    /// Reads go on meanwhile. Writes, too, with the profile `local`; with `nfs` they wait until the
    /// copy is made.
    pub async fn back_up(&self, to: &Path) -> anyhow::Result<()> {
        let (folder, draft) = prepare(to)?;
        let copied = match self.copy(&draft).await {
            Ok(()) => finish(&folder, &draft, to).await,
            Err(error) => Err(error),
        };
        if copied.is_err() {
            // The first failure is the one to tell.
            let _ = remove(&draft);
        }
        copied.with_context(|| format!("can't back up to {}", to.display()))
    }

    async fn copy(&self, draft: &Path) -> anyhow::Result<()> {
        let name = draft.to_str().context("its path is not UTF-8")?.to_owned();
        let vacuum = move |connection: &Connection| {
            connection.execute("VACUUM INTO ?", [name])?;
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

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Closed(#[from] Closed),
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

async fn finish(folder: &Path, draft: &Path, to: &Path) -> anyhow::Result<()> {
    let (folder, draft, to) = (folder.to_owned(), draft.to_owned(), to.to_owned());
    let finish = move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(&draft, flags)?;
        let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        ensure!(verdict == "ok", "the copy is damaged: {verdict}");
        drop(copy);
        File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, &to)?;
        Ok(File::open(&folder)?.sync_all()?)
    };
    tokio::task::spawn_blocking(finish).await?
}
