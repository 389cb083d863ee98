//! The folder of all spools: one process at a time, so many bytes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// The file whose lock says that a redirector uses the folder.
const LOCK: &str = "lock";
/// How the name of a segment ends.
const EXTENSION: &str = "clicks";

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the spool folder {} is in use by another redirector: give each its own", .0.display())]
    InUse(PathBuf),
    /// It can't be made, read or written.
    #[error("can't use the spool folder {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How many bytes all segments may take together. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    /// At most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    /// How many bytes are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, if that many are free.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(Reservation {
            budget: self.clone(),
            bytes,
        })
    }

    /// Takes `bytes` that are there already, even beyond the limit.
    pub(super) fn take(&self, bytes: u64) -> Reservation {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Reservation {
            budget: self.clone(),
            bytes,
        }
    }
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A folder that this process alone uses, as long as a clone of this lives.
#[derive(Debug, Clone)]
pub struct Folder {
    path: Arc<Path>,
    /// Its lock goes with the last clone, or with the process however that dies.
    _lock: Arc<Lock>,
}

/// A file whose lock is given up when this goes. Closing it is not enough: a process that is just
/// being forked has it open, too, until it runs another program.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it comes next, whatever comes of this.
        let _ = self.0.unlock();
    }
}

impl Folder {
    /// Makes the folder if need be, and locks it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(fail)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.into(),
                _lock: Arc::new(Lock(lock)),
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// The name of a segment of `spool`; `serial` only keeps names apart.
    pub(super) fn segment(&self, spool: Uuid, serial: u64) -> PathBuf {
        self.path.join(format!("{spool}-{serial:08}.{EXTENSION}"))
    }

    /// Every segment in it with the spool that it belongs to by its name, in no order. Files with
    /// other names are left alone.
    pub(super) fn segments(&self) -> io::Result<Vec<(Uuid, PathBuf)>> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            if let Some(spool) = spool_of(&path) {
                segments.push((spool, path));
            }
        }
        Ok(segments)
    }
}

fn spool_of(path: &Path) -> Option<Uuid> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let (spool, _serial) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    Uuid::try_parse(spool).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_at_once_even_while_a_process_is_being_forked() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        assert!(matches!(
            Folder::open(place.path()),
            Err(OpenError::InUse(_))
        ));
        // What a child has between fork and exec.
        let inherited = folder._lock.0.try_clone().unwrap();
        drop(folder);
        Folder::open(place.path()).unwrap();
        drop(inherited);
    }
}
