//! What analytics is told at its start.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chassis::backups::Backups;
use chassis::env::Env;
use chassis::sqlite::Profile;
use url::Url;

/// How long applied clicks stay in the stream unless told otherwise: as far back as a rebuild with
/// better rules reaches.
const DEFAULT_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The settings of analytics.
#[derive(Debug, Clone)]
pub struct Config {
    /// `KURZ_DATABASE`: the file `clicks.db`, owned by this process alone.
    pub database: PathBuf,
    /// `KURZ_DATABASE_PROFILE`: `local` (default) or `nfs`.
    pub profile: Profile,
    /// `KURZ_BACKUPS`: where copies of the database are.
    pub backups: Backups,
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
        let database: Option<PathBuf> = env.required("KURZ_DATABASE");
        let profile = env.or("KURZ_DATABASE_PROFILE", Profile::Local);
        let jwks_url = env.required("KURZ_JWKS_URL");
        let retention = env.or("KURZ_CLICK_RETENTION", Retention::default());
        let partitions = env.or("KURZ_PARTITIONS", 1);
        if partitions == 0 {
            env.fault("KURZ_PARTITIONS", "is 0; at least 1 is needed");
            return None;
        }
        let database = database?;
        Some(Self {
            backups: Backups::from_env(env, &database),
            database,
            profile,
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
        const SHAPE: &str = "not a duration like 30d, 720h, 90m or 3600s";
        let unit = text.chars().last().ok_or(SHAPE)?;
        let seconds_in_unit = match unit {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            's' => 1,
            _ => return Err(SHAPE),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| SHAPE)?;
        Ok(Self(Duration::from_secs(
            u64::from(number) * seconds_in_unit,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_number_and_a_unit() {
        assert_eq!("30d".parse(), Ok(Retention::default()));
        assert_eq!("720h".parse(), Ok(Retention::default()));
        for text in ["", "d", "30", "-1d", "1.5h", "30 d", "3ü"] {
            assert!(text.parse::<Retention>().is_err(), "{text}");
        }
    }
}
