//! What the shortener is told from outside.

use chassis::database_file::DatabaseFile;
use chassis::env::Env;
use url::Url;

/// The configuration of the shortener.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE` and its companions: the SQLite file that holds the links, and its copies.
    pub database: DatabaseFile,
    /// `KURZ_JWKS_URL`: where the keys are that access tokens are verified with.
    pub jwks_url: Url,
}

impl Config {
    pub(crate) fn from_env(env: &mut Env) -> Option<Self> {
        let database = DatabaseFile::from_env(env);
        let jwks_url = env.required("KURZ_JWKS_URL");
        Some(Self {
            database: database?,
            jwks_url: jwks_url?,
        })
    }
}
