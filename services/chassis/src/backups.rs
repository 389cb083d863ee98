//! Copies of a service's database, made while it is in use: by the command `backup`, and on a
//! schedule.

mod schedule;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::env::Env;
use crate::problem::Problem;
use crate::service::Command;
use crate::shutdown::Shutdown;
use crate::sqlite::{self, Database};

pub use schedule::{KEEP, Schedule};
pub(crate) use schedule::{begin, run};

/// How the time is written in the name of a copy.
pub(crate) const TIME: &str = "%Y%m%dT%H%M%SZ";

/// How the name of a copy ends while it is made.
const DRAFT: &str = ".db.new";

/// Where the copies of one database are, and when they are made. Clones share it.
#[derive(Debug, Clone)]
pub struct Backups {
    folder: Arc<Path>,
    /// The name of the database's file.
    database: Arc<str>,
    schedule: Option<Schedule>,
    /// How far back the oldest copy shall reach, however many there are.
    reach: Option<Duration>,
}

/// A copy, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// When it was made.
    pub made: Timestamp,
}

impl Backups {
    /// Copies of `database` in `folder`, which need not be there yet; nothing makes them by itself.
    pub fn new(folder: PathBuf, database: &Path) -> Self {
        let name = database.file_name().unwrap_or_default().to_string_lossy();
        Self {
            folder: folder.into(),
            database: name.into(),
            schedule: None,
            reach: None,
        }
    }

    /// `KURZ_BACKUPS`: the folder; `backups` beside the database. `KURZ_BACKUP_INTERVAL` and
    /// `KURZ_BACKUP_KEEP`: when copies are made, and how many stay.
    pub fn from_env(env: &mut Env, database: &Path) -> Self {
        let backups = match env.optional("KURZ_BACKUPS") {
            Some(folder) => Self::new(folder, database),
            None => Self::beside(database),
        };
        Self {
            schedule: Schedule::from_env(env),
            ..backups
        }
    }

    /// In the folder `backups` beside the database.
    pub fn beside(database: &Path) -> Self {
        Self::new(database.with_file_name("backups"), database)
    }

    /// The same, made by themselves.
    #[must_use]
    pub fn on(self, schedule: Schedule) -> Self {
        Self {
            schedule: Some(schedule),
            ..self
        }
    }

    /// The same, and the oldest copy that is younger than `reach` is kept besides the newest ones.
    #[must_use]
    pub fn reaching(self, reach: Duration) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }

    /// The command that makes one, on the admin listener at `path`.
    pub const fn command(path: &'static str) -> Command {
        Command {
            name: "backup",
            path,
            help: "copy the database while it is in use, check the copy, and say where it is",
        }
    }

    /// The route of that command.
    pub fn router(
        self,
        path: &str,
        database: Database,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Router {
        Router::new()
            .route(path, post(answer))
            .with_state((self, database, clock, shutdown))
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a copy called by the time, `clicks-20261124T120000Z.db`. An error if there is one of
    /// this second already, or if the shutdown begins.
    pub async fn make(
        &self,
        database: &Database,
        now: Timestamp,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Copy> {
        let name = format!("{}-{}.db", self.stem(), now.strftime(TIME));
        let path = self.folder.join(name);
        database.back_up(&path, shutdown.cancelled()).await?;
        self.note(now);
        Ok(Copy { path, made: now })
    }

    /// All of them, the newest first. Files with other names are not ours.
    pub fn list(&self) -> anyhow::Result<Vec<Copy>> {
        let is_copy = |path: PathBuf| {
            let made = self.time_in(&path, ".db")?;
            Some(Copy { path, made })
        };
        let mut copies: Vec<_> = self.files()?.into_iter().filter_map(is_copy).collect();
        copies.sort_unstable_by_key(|copy| std::cmp::Reverse(copy.made));
        Ok(copies)
    }

    /// Deletes what a process left that died while it made a copy.
    fn clean_up(&self) -> anyhow::Result<()> {
        for path in self.files()? {
            if self.time_in(&path, DRAFT).is_some() {
                sqlite::remove(&path)
                    .with_context(|| format!("can't delete {}", path.display()))?;
                tracing::info!(path = %path.display(), "half of a backup deleted");
            }
        }
        Ok(())
    }

    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let read = || match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<std::io::Result<_>>(),
        };
        read().with_context(|| format!("can't read the folder {}", self.folder.display()))
    }

    /// The time in the name of a file that is called as copies are, up to `ending`.
    fn time_in(&self, path: &Path, ending: &str) -> Option<Timestamp> {
        let name = path.file_name()?.to_str()?;
        let rest = name.strip_prefix(self.stem())?.strip_prefix('-')?;
        let time = DateTime::strptime(TIME, rest.strip_suffix(ending)?).ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    }

    /// The name of the database's file, without its ending.
    fn stem(&self) -> &str {
        let stem = Path::new(&*self.database).file_stem();
        stem.and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    fn failures(&self) -> metrics::Counter {
        metrics::counter!("kurz_backup_failures_total", "database" => self.database.to_string())
    }

    /// Shows when the newest copy was made.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn note(&self, newest: Timestamp) {
        metrics::gauge!(
            "kurz_backup_last_success_timestamp_seconds",
            "database" => self.database.to_string()
        )
        .set(newest.as_second() as f64);
    }
}

async fn answer(
    State((backups, database, clock, shutdown)): State<(Backups, Database, Clock, Shutdown)>,
) -> Result<String, Problem> {
    match backups.make(&database, clock.now(), &shutdown).await {
        Ok(copy) => Ok(format!("{}\n", copy.path.display())),
        Err(error) => {
            backups.failures().increment(1);
            tracing::error!(error = format!("{error:#}"), "no backup");
            Err(Problem::unavailable(format!("no backup: {error:#}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_of_the_own_database_are_listed_the_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::new(folder.path().join("backups"), Path::new("/data/clicks.db"));
        assert!(backups.list().unwrap().is_empty());
        std::fs::create_dir(backups.folder()).unwrap();
        for name in [
            "clicks-20261124T120000Z.db",
            "clicks-20261125T110000Z.db",
            "clicks-20261125T120000Z.db.new",
            "clicks-before-the-upgrade.db",
            "clicks-2-20261125T120000Z.db",
            "links-20261126T120000Z.db",
            "notes.txt",
        ] {
            std::fs::write(backups.folder().join(name), "").unwrap();
        }
        let copies = backups.list().unwrap();
        let made: Vec<_> = copies.iter().map(|copy| copy.made.to_string()).collect();
        assert_eq!(made, ["2026-11-25T11:00:00Z", "2026-11-24T12:00:00Z"]);
        let newest = backups.folder().join("clicks-20261125T110000Z.db");
        assert_eq!(copies[0].path, newest);
    }

    #[test]
    fn half_of_a_copy_is_deleted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::new(folder.path().to_owned(), Path::new("clicks.db"));
        let names = [
            "clicks-20261125T120000Z.db",
            "clicks-20261125T120001Z.db.new",
            "clicks-20261125T120001Z.db.new-journal",
            "links-20261125T120001Z.db.new",
        ];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        backups.clean_up().unwrap();
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(left, [true, false, false, true]);
    }
}
