//! What the shortener is told from outside.

use std::path::PathBuf;

use chassis::backups::Backups;
use chassis::env::Env;
use chassis::sqlite::Profile;
use url::Url;

/// The configuration of the shortener.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE`: the SQLite file that holds the links.
    pub database: PathBuf,
    /// `KURZ_DATABASE_PROFILE`: `local` (default) or `nfs`.
    pub database_profile: Profile,
    /// `KURZ_BACKUPS`: where copies of the database are.
    pub backups: Backups,
    /// `KURZ_JWKS_URL`: where the keys are that access tokens are verified with.
    pub jwks_url: Url,
}

impl Config {
    pub(crate) fn from_env(env: &mut Env) -> Option<Self> {
        let database: Option<PathBuf> = env.required("KURZ_DATABASE");
        let database_profile = env.or("KURZ_DATABASE_PROFILE", Profile::Local);
        let jwks_url = env.required("KURZ_JWKS_URL");
        let database = database?;
        Some(Self {
            backups: Backups::from_env(env, &database),
            database,
            database_profile,
            jwks_url: jwks_url?,
        })
    }
}
