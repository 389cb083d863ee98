//! A consistent copy of a database that is in use.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};

use super::{Database, Profile, remove};

impl Database {
    /// Writes a copy of this moment to the file `to`, which must not be there yet, and checks it.
    /// Reads and writes go on meanwhile. The file is there only when it is whole and on the disk;
    /// an error leaves nothing behind.
    pub async fn back_up(&self, to: &Path) -> anyhow::Result<()> {
        let (profile, from, to) = (self.profile, self.path.clone(), to.to_owned());
        tokio::task::spawn_blocking(move || back_up(profile, &from, &to)).await?
    }
}

fn back_up(profile: Profile, from: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(!to.exists(), "{} is there already", to.display());
    let folder = to.parent().context("a backup has a folder")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let mut draft = OsString::from(to);
    draft.push(".new");
    let draft = Path::new(&draft);
    remove(draft)?;
    let copied = copy(profile, from, draft).and_then(|()| {
        std::fs::rename(draft, to)?;
        Ok(File::open(folder)?.sync_all()?)
    });
    if copied.is_err() {
        // The first failure is the one to tell.
        let _ = remove(draft);
    }
    copied.with_context(|| format!("can't back up to {}", to.display()))
}

fn copy(profile: Profile, from: &Path, draft: &Path) -> anyhow::Result<()> {
    let name = draft.to_str().context("its path is not UTF-8")?;
    profile.connect(from)?.execute("VACUUM INTO ?", [name])?;
    // It may hold secrets.
    std::fs::set_permissions(draft, Permissions::from_mode(0o600))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let verdict: String = Connection::open_with_flags(draft, flags)?.query_row(
        "PRAGMA integrity_check(1)",
        [],
        |row| row.get(0),
    )?;
    ensure!(verdict == "ok", "the copy is damaged: {verdict}");
    Ok(File::open(draft)?.sync_all()?)
}
