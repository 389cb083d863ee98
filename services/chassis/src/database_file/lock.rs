//! Keeps a restore away from a database that is in use, and the other way round.
//!
//! A service shares the lock of a file beside the database, a restore has it alone: so it works
//! also when the database is missing, and on NFS, where it is a lock of the server. Besides, a
//! restore takes every lock of the database itself, which SQLite holds with either profile while
//! somebody has it open: that also keeps other programs in check.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind::NotFound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::with_ending;

/// Held until it is dropped.
pub(super) type Lock = File;

/// For a service: as many as like.
pub(super) fn share(database: &Path) -> anyhow::Result<Lock> {
    let (lock, shown) = open(database)?;
    match lock.try_lock_shared() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "the database {} is being restored: start again after that",
                database.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("can't lock {shown}"))
        }
    }
}

/// For a restore: nobody else has the database open. The second lock is the database's own, if
/// there is one. Until they are dropped the database must not be opened in this process: closing
/// it would let go of its locks.
pub(super) fn alone(database: &Path) -> anyhow::Result<(Lock, Option<Lock>)> {
    let in_use = || {
        let shown = database.display();
        anyhow::anyhow!(
            "a process has the database {shown} open: stop it first (on NFS, a lock of a machine \
             that died goes by itself after some minutes)"
        )
    };
    let (lock, shown) = open(database)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use()),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("can't lock {shown}"));
        }
    }
    let shown = database.display();
    let own = match OpenOptions::new().read(true).write(true).open(database) {
        Ok(own) => own,
        Err(error) if error.kind() == NotFound => return Ok((lock, None)),
        Err(error) => return Err(error).with_context(|| format!("can't open {shown}")),
    };
    match fcntl_lock(&own, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((lock, Some(own))),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(in_use()),
        Err(error) => Err(error).with_context(|| format!("can't lock {shown}")),
    }
}

/// Both ways to open it: NFS shares a lock with readers only, and gives one alone to writers only.
fn open(database: &Path) -> anyhow::Result<(File, String)> {
    let path = with_ending(database, ".lock");
    let shown = path.display().to_string();
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("can't open {shown}"))?;
    Ok((lock, shown))
}
