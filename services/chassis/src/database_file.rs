//! A service's database: where its file is, what it lies on, and where its copies are. The one
//! place that opens it, and the one that puts a copy back.

mod lock;
mod restore;

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind::{AlreadyExists, NotFound};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::backups::{self, Backups};
use crate::clock::Clock;
use crate::env::Env;
use crate::ready::Readiness;
use crate::shutdown::Shutdown;
use crate::sqlite::{Database, Migration, Profile};

pub use restore::{RESTORE, restore};

/// Where a database is.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    /// `KURZ_DATABASE`: the file.
    pub path: PathBuf,
    /// `KURZ_DATABASE_PROFILE`: what it lies on.
    pub profile: Profile,
    /// `KURZ_BACKUPS`, `KURZ_BACKUP_INTERVAL`, `KURZ_BACKUP_KEEP`: its copies.
    pub backups: Backups,
}

/// What a service's database is.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// One word for it, on the command line.
    pub name: &'static str,
    /// Its schema, in the order of its versions.
    pub migrations: &'static [Migration],
    /// What the next start does after a copy was put back, for whoever did that.
    pub after_restore: &'static str,
}

impl DatabaseFile {
    /// With its copies in the folder `backups` beside it, made by hand only.
    pub fn new(path: impl Into<PathBuf>, profile: Profile) -> Self {
        let path = path.into();
        Self {
            backups: Backups::beside(&path),
            path,
            profile,
        }
    }

    /// Reads the environment; `None` if it has a fault, which is noted there.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let path = env.required::<PathBuf>("KURZ_DATABASE");
        let profile = env.or("KURZ_DATABASE_PROFILE", Profile::default());
        let path = path?;
        Some(Self {
            backups: Backups::from_env(env, &path),
            path,
            profile,
        })
    }

    /// Opens the database, for its owner only, and copies it as scheduled until the shutdown. It is
    /// made if it is not there; but not if anything says that there was one: that would look well
    /// and be empty.
    pub async fn open(
        &self,
        schema: &Schema,
        clock: Clock,
        shutdown: &Shutdown,
        ready: &Readiness,
    ) -> anyhow::Result<Database> {
        self.make_folder()?;
        let lock = lock::share(&self.path)?;
        self.make_if_new()?;
        let (path, profile, migrations) = (&self.path, self.profile, schema.migrations);
        let database = Database::open(path, profile, migrations, shutdown, ready).await?;
        backups::begin(&self.backups);
        let (backups, copied) = (self.backups.clone(), database.clone());
        let worker = shutdown.clone();
        shutdown.spawn("backups", async move {
            backups::run(backups, copied, clock, worker.clone()).await;
            // Held as long as anything may be written.
            worker.drained().await;
            drop(lock);
            Ok(())
        });
        Ok(database)
    }

    fn make_folder(&self) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))
    }

    /// Makes an empty file that nobody else on this machine can read: it comes to hold signing keys
    /// and password hashes. SQLite gives its journals the same rights.
    fn make_if_new(&self) -> anyhow::Result<()> {
        let shown = self.path.display();
        if is_there(&self.path).with_context(|| format!("can't look at {shown}"))? {
            return Ok(());
        }
        if let Some(trace) = self.trace()? {
            bail!(
                "the database {shown} is missing or empty, but there was one: {trace}. Put a copy \
                 back with the command `restore`; or, to begin with an empty database on purpose, \
                 first move that elsewhere"
            );
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match made {
            Err(error) if error.kind() != AlreadyExists => {
                Err(error).with_context(|| format!("can't make the database {shown}"))
            }
            _ => Ok(()),
        }
    }

    /// What shows that there was a database once: its copies, and what a restore left.
    fn trace(&self) -> anyhow::Result<Option<String>> {
        let draft = restore::draft(&self.path);
        let (aside, copies) = (self.set_aside()?, self.backups.list()?);
        let mut traces = Vec::new();
        if draft.exists() {
            traces.push(format!(
                "{} is from a restore that did not end",
                draft.display()
            ));
        }
        if let Some(aside) = aside.first() {
            traces.push(format!("a restore set aside {}", aside.display()));
        }
        if let Some(newest) = copies.first() {
            traces.push(format!(
                "there are {} backups of it, the newest {}",
                copies.len(),
                newest.path.display()
            ));
        }
        Ok((!traces.is_empty()).then(|| traces.join(", ")))
    }

    /// The databases that restores have set aside, in no order.
    fn set_aside(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let prefix = with_ending(&self.path, restore::BROKEN);
        let prefix = prefix.file_name().unwrap_or_default();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)
            .with_context(|| format!("can't read the folder {}", folder.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            let is_journal = restore::JOURNALS
                .iter()
                .any(|ending| name.as_encoded_bytes().ends_with(ending.as_bytes()));
            if name
                .as_encoded_bytes()
                .starts_with(prefix.as_encoded_bytes())
                && !is_journal
            {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Whether there is a database, or a journal: a file of no bytes holds none.
fn is_there(path: &Path) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(file.len() > 0),
        Err(error) if error.kind() == NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The path with more at the end of its name.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests;
