//! What is no error of a statement but of the file: then nothing more is read or written, and the
//! process ends.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::ffi;

use crate::shutdown::Shutdown;

/// A database that can't be relied on any more. The process ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database {} failed: {what}. Nothing more is written to it. {}. \
     See \"When a database fails\" in docs/operations.md",
    path.display(),
    kind.remedy()
)]
pub struct Fault {
    path: PathBuf,
    kind: Kind,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The device or the mount: on NFS this is also how a process learns that it has lost its lock.
    Device,
    /// The contents.
    Damage,
}

impl Kind {
    fn remedy(self) -> &'static str {
        match self {
            Self::Device => {
                "Look at its disk or mount and start again: every change that was confirmed is in it"
            }
            Self::Damage => "Put a backup in its place with the command `restore`",
        }
    }
}

impl Fault {
    /// The check at the start found something.
    pub(super) fn found(path: &Path, verdict: &str) -> Self {
        // Behind a heading.
        let verdict = verdict.lines().last().unwrap_or_default();
        // It tells of a page that it can't read in the same way as of one that is wrong.
        let (kind, what) = if verdict.contains("unable to get the page") {
            (Kind::Device, "it can't be read")
        } else {
            (Kind::Damage, "it is damaged")
        };
        Self {
            path: path.to_owned(),
            kind,
            what: format!("{what} ({verdict})"),
        }
    }

    /// What an error that just happened on this thread says of the file, if it is not the
    /// statement's. To be asked before anything else calls the system: its last error counts.
    fn of(path: &Path, error: &(dyn Error + 'static)) -> Option<Self> {
        Self::after(path, error, &io::Error::last_os_error())
    }

    fn after(path: &Path, error: &(dyn Error + 'static), last: &io::Error) -> Option<Self> {
        // At the end of the chain, however the error was wrapped on its way.
        let sqlite = std::iter::successors(Some(error), |&error| error.source())
            .find_map(|error| error.downcast_ref::<ffi::Error>())?;
        let kind = kind(sqlite.extended_code, last)?;
        Some(Self {
            path: path.to_owned(),
            kind,
            what: match kind {
                Kind::Device => format!("{sqlite} ({last})"),
                Kind::Damage => sqlite.to_string(),
            },
        })
    }

    /// The fault, if an error that just happened on this thread is one, else the error.
    pub(super) fn or(path: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let last = io::Error::last_os_error();
        let error = error.into();
        Self::after(path, error.as_ref(), &last).map_or(error, anyhow::Error::from)
    }
}

/// What a code of SQLite means for the file; `last` is the last error of the system.
fn kind(code: i32, last: &io::Error) -> Option<Kind> {
    match (code & 0xff, code) {
        // SQLite calls it so, too, when a page can't be read.
        (ffi::SQLITE_CORRUPT, _) if last.raw_os_error().is_some_and(is_of_device) => {
            Some(Kind::Device)
        }
        (ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB, _) => Some(Kind::Damage),
        // Of the process, not of the file.
        (_, ffi::SQLITE_IOERR_NOMEM) => None,
        // A full disk is SQLITE_FULL, but not a quota that is used up, and not one that a network
        // filesystem notices only when the file is forced to its disk.
        (
            _,
            ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_FSYNC
            | ffi::SQLITE_IOERR_DIR_FSYNC
            | ffi::SQLITE_IOERR_TRUNCATE,
        ) if is_full(last.kind()) => None,
        (ffi::SQLITE_IOERR, _) => Some(Kind::Device),
        _ => None,
    }
}

/// EIO or ENXIO, whose numbers are the same everywhere.
fn is_of_device(error: i32) -> bool {
    matches!(error, 5 | 6)
}

fn is_full(last: io::ErrorKind) -> bool {
    matches!(
        last,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Waits for the first fault of a database, on whichever connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    path: Arc<Path>,
    shutdown: Shutdown,
    fault: Arc<OnceLock<Fault>>,
}

impl Watch {
    pub(super) fn new(path: &Path, shutdown: &Shutdown) -> Self {
        Self {
            path: path.into(),
            shutdown: shutdown.clone(),
            fault: Arc::default(),
        }
    }

    /// Whether there was one: then nothing is to be done with the file any more, not even to close
    /// it, since the last connection would copy the log into it.
    pub(super) fn has_failed(&self) -> bool {
        self.fault.get().is_some()
    }

    /// Looks at an error that just happened on this thread; whether it is a fault. The first one
    /// begins the shutdown.
    pub(super) fn is_fault(&self, error: &(dyn Error + 'static)) -> bool {
        let Some(fault) = Fault::of(&self.path, error) else {
            return false;
        };
        if self.fault.set(fault.clone()).is_ok() {
            tracing::error!(error = %fault, "a database failed, and is closed");
            self.shutdown.fail(fault);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_not_a_broken_one() {
        // Numbers of errors as Linux and macOS agree on them.
        let [none, device, full] = [0, 5, 28].map(io::Error::from_raw_os_error);
        for (code, last, expected) in [
            (ffi::SQLITE_FULL, &full, None),
            (ffi::SQLITE_IOERR_WRITE, &full, None),
            (ffi::SQLITE_IOERR_FSYNC, &full, None),
            (ffi::SQLITE_IOERR_NOMEM, &none, None),
            (ffi::SQLITE_BUSY, &none, None),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, &none, None),
            (ffi::SQLITE_IOERR_FSYNC, &device, Some(Kind::Device)),
            // That there is no room does not explain it.
            (ffi::SQLITE_IOERR_READ, &full, Some(Kind::Device)),
            (ffi::SQLITE_IOERR_LOCK, &none, Some(Kind::Device)),
            (ffi::SQLITE_CORRUPT, &device, Some(Kind::Device)),
            (ffi::SQLITE_CORRUPT_INDEX, &none, Some(Kind::Damage)),
            (ffi::SQLITE_NOTADB, &none, Some(Kind::Damage)),
        ] {
            assert_eq!(kind(code, last), expected, "{code} {last}");
        }
    }

    #[test]
    fn a_fault_is_found_under_whatever_wraps_it() {
        #[derive(Debug, thiserror::Error)]
        enum Wrapped {
            #[error(transparent)]
            Transparent(anyhow::Error),
            #[error("named")]
            Named(#[from] rusqlite::Error),
        }
        let corrupt = || {
            let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
            rusqlite::Error::SqliteFailure(code, None)
        };
        let context = anyhow::Error::from(corrupt()).context("reading fruit");
        let none = io::Error::from_raw_os_error(0);
        for error in [
            Wrapped::Transparent(corrupt().into()),
            Wrapped::Transparent(context),
            Wrapped::Named(corrupt()),
        ] {
            let fault = Fault::after(Path::new("/data/x.db"), &error, &none).unwrap();
            assert_eq!(fault.kind, Kind::Damage);
            let text = fault.to_string();
            assert!(text.contains("/data/x.db") && text.contains("`restore`"));
        }
    }
}
