//! What analytics is told at its start.

use std::str::FromStr;
use std::time::Duration;

use chassis::database_file::DatabaseFile;
use chassis::env::Env;
use chassis::period::Period;
use url::Url;

/// How long applied clicks stay in the stream unless told otherwise: as far back as a rebuild with
/// better rules reaches.
const DEFAULT_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The settings of analytics.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE` and its companions: the file `clicks.db`, owned by this process alone, and its
    /// copies.
    pub database: DatabaseFile,
    /// `KURZ_JWKS_URL`: where the keys of the access tokens are.
    pub jwks_url: Url,
    /// `KURZ_CLICK_RETENTION`: how long applied clicks stay in the stream (`30d`).
    pub retention: Retention,
    /// `KURZ_PARTITIONS`: how many partitions the redirectors publish to (1). This process applies
    /// all of them.
    pub partitions: u32,
}

impl Config {
    /// Reads the settings; faults are noted in `env`.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let database = DatabaseFile::from_env(env);
        let jwks_url = env.required("KURZ_JWKS_URL");
        let retention = env.or("KURZ_CLICK_RETENTION", Retention::default());
        let partitions = env.or("KURZ_PARTITIONS", 1);
        if partitions == 0 {
            env.fault("KURZ_PARTITIONS", "is 0; at least 1 is needed");
            return None;
        }
        let mut database = database?;
        // A rebuild begins with the oldest copy that still joins the stream.
        database.backups = database.backups.reaching(retention.0);
        Some(Self {
            database,
            jwks_url: jwks_url?,
            retention,
            partitions,
        })
    }
}

/// How long something is kept: a whole number of days, hours, minutes or seconds (`30d`, `720h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(pub Duration);

impl Default for Retention {
    fn default() -> Self {
        Self(DEFAULT_RETENTION)
    }
}

impl FromStr for Retention {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Period(retention) = text.parse()?;
        Ok(Self(retention))
    }
}
