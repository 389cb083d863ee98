//! What the service needs to know before it starts.

use std::path::PathBuf;

use chassis::database_file::DatabaseFile;
use chassis::env::Env;
use chassis::sqlite::Profile;

use crate::limits::Limits;

/// The settings of auth. [`Config::new`] has the defaults of everything but the database.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE` and its companions: the SQLite file, and its copies.
    pub database: DatabaseFile,
    /// How often somebody may try. Not an environment variable: a setting that turns protection
    /// off would sooner or later be set.
    pub limits: Limits,
}

impl Config {
    /// The defaults, on this database.
    pub fn new(database: impl Into<PathBuf>, profile: Profile) -> Self {
        Self {
            database: DatabaseFile::new(database, profile),
            limits: Limits::default(),
        }
    }

    /// Reads the environment; `None` if it has a fault (which `env` has noted).
    pub fn from_env(env: &mut Env) -> Option<Self> {
        Some(Self {
            database: DatabaseFile::from_env(env)?,
            limits: Limits::default(),
        })
    }
}
