//! What the service needs to know before it starts.

use std::path::PathBuf;

use chassis::backups::Backups;
use chassis::env::Env;
use chassis::sqlite::Profile;

use crate::limits::Limits;

/// The settings of auth. [`Config::new`] has the defaults of everything but the database.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE`: the SQLite file; made when missing.
    pub database: PathBuf,
    /// `KURZ_DATABASE_PROFILE`: what kind of disk the file is on. Default: local.
    pub profile: Profile,
    /// `KURZ_BACKUPS`: where copies of the database are.
    pub backups: Backups,
    /// How often somebody may try. Not an environment variable: a setting that turns protection
    /// off would sooner or later be set.
    pub limits: Limits,
}

impl Config {
    /// The defaults, on this database.
    pub fn new(database: impl Into<PathBuf>, profile: Profile) -> Self {
        let database = database.into();
        Self {
            backups: Backups::beside(&database),
            database,
            profile,
            limits: Limits::default(),
        }
    }

    /// Reads the environment; `None` if it has a fault (which `env` has noted).
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let database: Option<PathBuf> = env.required("KURZ_DATABASE");
        let profile = env.or("KURZ_DATABASE_PROFILE", Profile::Local);
        let database = database?;
        Some(Self {
            backups: Backups::from_env(env, &database),
            ..Self::new(database, profile)
        })
    }
}
