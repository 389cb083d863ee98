//! Copies of a service's database, made while it is in use: the command `backup`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::Timestamp;

use crate::clock::Clock;
use crate::env::Env;
use crate::problem::Problem;
use crate::service::Command;
use crate::sqlite::Database;

/// Where the copies of one database are, and what they are called. Clones share it.
#[derive(Debug, Clone)]
pub struct Backups {
    folder: Arc<Path>,
    /// The name of the database's file, without its ending.
    stem: Arc<str>,
}

impl Backups {
    /// Copies of `database` in `folder`, which need not be there yet.
    pub fn new(folder: PathBuf, database: &Path) -> Self {
        let stem = database.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            folder: folder.into(),
            stem: stem.into(),
        }
    }

    /// `KURZ_BACKUPS`: the folder; `backups` beside the database.
    pub fn from_env(env: &mut Env, database: &Path) -> Self {
        match env.optional("KURZ_BACKUPS") {
            Some(folder) => Self::new(folder, database),
            None => Self::beside(database),
        }
    }

    /// In the folder `backups` beside the database.
    pub fn beside(database: &Path) -> Self {
        Self::new(database.with_file_name("backups"), database)
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
    pub fn router(self, path: &str, database: Database, clock: Clock) -> Router {
        Router::new()
            .route(path, post(answer))
            .with_state((self, database, clock))
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a copy called by the time, `clicks-20261124T120000Z.db`; its path. An error if there is
    /// one of this second already.
    pub async fn make(&self, database: &Database, now: Timestamp) -> anyhow::Result<PathBuf> {
        let time = now.strftime("%Y%m%dT%H%M%SZ");
        let path = self.folder.join(format!("{}-{time}.db", self.stem));
        database.back_up(&path).await?;
        Ok(path)
    }

    /// All of them, the newest first.
    pub fn list(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("can't read {}", self.folder.display()))?,
        };
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<PathBuf>>>()?;
        paths.retain(|path| self.is_copy(path));
        paths.sort_unstable_by(|one, other| other.cmp(one));
        Ok(paths)
    }

    fn is_copy(&self, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let rest = stem.and_then(|stem| stem.strip_prefix(&*self.stem));
        path.extension().is_some_and(|ending| ending == "db")
            && rest.is_some_and(|rest| rest.starts_with('-'))
    }
}

async fn answer(
    State((backups, database, clock)): State<(Backups, Database, Clock)>,
) -> Result<String, Problem> {
    match backups.make(&database, clock.now()).await {
        Ok(path) => Ok(format!("{}\n", path.display())),
        Err(error) => {
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
            "links-20261126T120000Z.db",
            "notes.txt",
        ] {
            std::fs::write(backups.folder().join(name), "").unwrap();
        }
        let names = ["clicks-20261125T110000Z.db", "clicks-20261124T120000Z.db"];
        let expected = names.map(|name| backups.folder().join(name));
        assert_eq!(backups.list().unwrap(), expected);
    }
}
