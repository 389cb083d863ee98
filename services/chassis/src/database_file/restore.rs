//! Puts a copy back in the place of a database, while nobody has that open.
//!
//! A kill at any moment leaves one of these, each of which another run completes:
//!
//! 1. the database as it was, perhaps with a draft beside it;
//! 2. no database, the old one set aside, perhaps without its journals, and a draft: nothing starts
//!    on that, see [`DatabaseFile::open`];
//! 3. the restored database.
//!
//! The database is set aside before its journals, and the draft comes last: so nothing ever meets a
//! journal of another database.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{DatabaseFile, Schema, is_there, lock, with_ending};
use crate::backups::TIME;
use crate::sqlite;

/// What the command does, in a line.
pub const RESTORE: &str =
    "put a copy back, the newest good one if none is named, while the service is stopped";

/// What the name of a database that was set aside has at its end, before the time.
pub(super) const BROKEN: &str = ".broken-";

/// What belongs to a database: never without it, never with another one.
pub(super) const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The copy on its way into the database's place.
pub(super) fn draft(database: &Path) -> PathBuf {
    with_ending(database, ".restore")
}

/// Does what the command line asks for behind the word `restore`, and tells `output`. None if it
/// makes no sense.
pub fn restore(
    file: &DatabaseFile,
    schema: &Schema,
    options: &[&str],
    now: Timestamp,
    output: &mut impl Write,
) -> Option<anyhow::Result<()>> {
    let restore = Restore { file, schema, now };
    match *options {
        [] => Some(restore.put_back(None, output)),
        ["--list"] => Some(restore.list(output)),
        [option] if option.starts_with('-') => None,
        [backup] => Some(restore.put_back(Some(Path::new(backup)), output)),
        _ => None,
    }
}

struct Restore<'a> {
    file: &'a DatabaseFile,
    schema: &'a Schema,
    now: Timestamp,
}

impl Restore<'_> {
    /// Every copy, the newest first, and whether it is good.
    fn list(&self, output: &mut impl Write) -> anyhow::Result<()> {
        let copies = self.file.backups.list()?;
        if copies.is_empty() {
            let folder = self.file.backups.folder().display();
            writeln!(output, "there is no backup in {folder}")?;
        }
        for copy in copies {
            let verdict = match self.check(&copy.path) {
                Ok(()) => "good".to_owned(),
                Err(error) => format!("not to be used: {error:#}"),
            };
            let (path, size) = (copy.path.display(), size(&copy.path)?);
            writeln!(output, "{path}  {}  {size} bytes  {verdict}", copy.made)?;
        }
        Ok(())
    }

    fn put_back(&self, named: Option<&Path>, output: &mut impl Write) -> anyhow::Result<()> {
        self.file.make_folder()?;
        let _locks = lock::alone(&self.file.path)?;
        let database = &self.file.path;
        let draft = draft(database);
        // Half of an earlier one.
        sqlite::remove(&draft).with_context(|| format!("can't delete {}", draft.display()))?;
        let backup = match named {
            Some(named) => {
                let backup = self.find(named);
                self.take(&backup, &draft)
                    .with_context(|| format!("can't restore {}", backup.display()))?;
                backup
            }
            None => self.take_newest(&draft, output)?,
        };
        sync_folder(database)?;
        let aside = self.set_aside()?;
        sync_folder(database)?;
        std::fs::rename(&draft, database)
            .with_context(|| format!("can't put {} in its place", draft.display()))?;
        sync_folder(database)?;
        // Not before: nothing may come between these steps.
        for path in aside {
            writeln!(output, "set aside: {}", path.display())?;
        }
        let (shown, from, size) = (database.display(), backup.display(), size(database)?);
        writeln!(output, "restored: {shown} from {from}, {size} bytes")?;
        writeln!(output, "at the next start: {}", self.schema.after_restore)?;
        Ok(())
    }

    /// A path as it stands, or a name in the folder of the copies.
    fn find(&self, named: &Path) -> PathBuf {
        let inside = self.file.backups.folder().join(named);
        if !named.exists() && inside.exists() {
            return inside;
        }
        named.to_owned()
    }

    /// Makes the draft of the newest copy that is good; which one that is.
    fn take_newest(&self, draft: &Path, output: &mut impl Write) -> anyhow::Result<PathBuf> {
        for copy in self.file.backups.list()? {
            // Before it is copied: a bad one needs no room beside the database.
            if let Err(error) = self.check(&copy.path) {
                writeln!(output, "passed over: {}: {error:#}", copy.path.display())?;
                continue;
            }
            let what = || format!("can't restore {}", copy.path.display());
            self.take(&copy.path, draft).with_context(what)?;
            return Ok(copy.path);
        }
        bail!(
            "there is no good backup of {} in {} (KURZ_BACKUPS)",
            self.file.path.display(),
            self.file.backups.folder().display()
        )
    }

    /// Copies the backup to the draft, onto the disk, and checks what came there.
    fn take(&self, backup: &Path, draft: &Path) -> anyhow::Result<()> {
        ensure!(backup.is_file(), "there is no such file");
        // To open it would let go of the lock.
        ensure!(
            !is_same(backup, &self.file.path)?,
            "it is the database itself"
        );
        for journal in JOURNALS {
            let journal = with_ending(backup, journal);
            ensure!(
                !is_there(&journal)?,
                "{} lies beside it: it is a database in use or after a crash, not a copy that \
                 `backup` made",
                journal.display()
            );
        }
        let copy = || {
            let mut from = File::open(backup)?;
            let mut to = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(draft)?;
            std::io::copy(&mut from, &mut to)?;
            to.sync_all()
        };
        let taken = copy()
            .with_context(|| format!("can't copy it to {}", draft.display()))
            .and_then(|()| self.check(draft));
        if taken.is_err() {
            // The first failure is the one to tell.
            let _ = sqlite::remove(draft);
        }
        taken
    }

    /// Whether a file that nobody writes to is a whole database of this service that this version
    /// can open.
    fn check(&self, path: &Path) -> anyhow::Result<()> {
        let copy = sqlite::open_untouched(path)?;
        let version: usize = copy.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let known = self.schema.migrations;
        ensure!(
            version <= known.len(),
            "a newer version wrote it: its schema is {version}, and {} is the newest known here",
            known.len()
        );
        ensure!(version > 0, "it holds nothing");
        let expected = Connection::open_in_memory()?;
        for migration in &known[..version] {
            migration.run(&expected)?;
        }
        ensure!(
            names(&copy)? == names(&expected)?,
            "it is not a database of this service"
        );
        let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        ensure!(verdict == "ok", "it is damaged: {verdict}");
        Ok(())
    }

    /// Sets the old database aside, and its journals with it; under which names.
    fn set_aside(&self) -> anyhow::Result<Vec<PathBuf>> {
        let database = &self.file.path;
        let to = match self.unfinished()? {
            Some(earlier) => earlier,
            None => with_ending(database, &format!("{BROKEN}{}", self.now.strftime(TIME))),
        };
        let mut moved = Vec::new();
        for ending in [""].into_iter().chain(JOURNALS) {
            let (from, to) = (with_ending(database, ending), with_ending(&to, ending));
            if !from.exists() {
                continue;
            }
            ensure!(!to.exists(), "{} is there already: try again", to.display());
            std::fs::rename(&from, &to)
                .with_context(|| format!("can't set {} aside", from.display()))?;
            moved.push(to);
        }
        Ok(moved)
    }

    /// The database that an earlier restore set aside when it was killed, if journals are left that
    /// belong to it.
    fn unfinished(&self) -> anyhow::Result<Option<PathBuf>> {
        let database = &self.file.path;
        if database.exists() {
            return Ok(None);
        }
        let left = JOURNALS
            .into_iter()
            .filter(|journal| with_ending(database, journal).exists())
            .collect::<Vec<_>>();
        let newest = self.file.set_aside()?.into_iter().max();
        let fits = |aside: &PathBuf| {
            left.iter()
                .all(|journal| !with_ending(aside, journal).exists())
        };
        Ok(newest.filter(|aside| !left.is_empty() && fits(aside)))
    }
}

/// What the schema of a service consists of, but for what all databases have.
fn names(database: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    database
        .prepare(
            "SELECT type, name FROM sqlite_schema
             WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?
             ORDER BY type, name",
        )?
        .query_map([sqlite::HISTORY], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn size(path: &Path) -> anyhow::Result<u64> {
    let file = std::fs::metadata(path);
    Ok(file
        .with_context(|| format!("can't look at {}", path.display()))?
        .len())
}

/// Whether both names are of one file.
fn is_same(one: &Path, other: &Path) -> std::io::Result<bool> {
    if !other.exists() {
        return Ok(false);
    }
    let identity = |path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
    Ok(identity(one)? == identity(other)?)
}

/// Makes the names in a file's folder durable.
fn sync_folder(file: &Path) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let sync = || File::open(folder)?.sync_all();
    sync().with_context(|| format!("can't sync the folder {}", folder.display()))
}
