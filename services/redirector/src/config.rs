use std::path::PathBuf;
use std::time::Duration;

use chassis::env::{Env, Secret};
use events::Partition;
use url::Url;

use crate::recorder::{Durability, RecorderConfig, SyncPolicy};

/// How much of the disk the spool may take unless told otherwise: about six million clicks.
const SPOOL_BYTES: u64 = 1 << 30;

/// How long a start with a snapshot waits for the bus before it serves the snapshot as it is, in
/// seconds. Long enough for a bus that restarts together with us, short for a visitor.
const SNAPSHOT_WAIT_SECONDS: u64 = 10;

/// The shortest salt that is taken: 128 bits written as hexadecimal, or a good passphrase.
const MIN_SALT_BYTES: usize = 16;

/// What the redirector is told from outside.
#[derive(Debug)]
pub struct Config {
    /// `KURZ_CLICK_DURABILITY`: `memory`, `spool` (default) or `ack`. What a click has reached
    /// before its visitor is answered.
    pub durability: Durability,
    /// `KURZ_SPOOL`: the folder of the spool and of the link table's snapshot. On a local disk.
    pub spool: PathBuf,
    /// `KURZ_SPOOL_BYTES`: how much the spool may take, in bytes.
    pub spool_bytes: u64,
    /// `KURZ_SPOOL_SYNC`: when the spool is fsynced.
    pub spool_sync: SyncPolicy,
    /// `KURZ_PARTITIONS`: how many partitions the clicks have. The same for every redirector and
    /// for analytics; changes only through a rebuild.
    pub partitions: u32,
    /// `KURZ_GEOIP`: a country database in MaxMind's format. Without it clicks have no country.
    pub geoip: Option<PathBuf>,
    /// `KURZ_HOME_URL`: where `GET /` leads. Without it there is a small page.
    pub home_url: Option<Url>,
    /// `KURZ_VISITOR_SALT`: the secret from which each day's visitor key is derived. The same for
    /// every redirector, so that a visitor is one visitor wherever the request lands.
    pub visitor_salt: Secret,
    /// `KURZ_SNAPSHOT_WAIT`: how long a start waits for the bus, in seconds, before it serves the
    /// snapshot of the link table.
    pub snapshot_wait: Duration,
}

impl Config {
    /// Reads the environment; every fault is noted in `env`, and then there is no config.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let durability = env.or("KURZ_CLICK_DURABILITY", Durability::default());
        let spool = env.or("KURZ_SPOOL", PathBuf::from("./spool"));
        let spool_bytes = env.or("KURZ_SPOOL_BYTES", SPOOL_BYTES);
        let spool_sync = env.or("KURZ_SPOOL_SYNC", SyncPolicy::default());
        let partitions = env.or("KURZ_PARTITIONS", 1);
        let geoip = env.optional("KURZ_GEOIP");
        let home_url = env.optional("KURZ_HOME_URL");
        let wait = env.or("KURZ_SNAPSHOT_WAIT", SNAPSHOT_WAIT_SECONDS);
        let visitor_salt = env.required_secret("KURZ_VISITOR_SALT");
        if !(1..=Partition::MOST).contains(&partitions) {
            env.fault("KURZ_PARTITIONS", "must be a number from 1 to 64");
        }
        if home_url
            .as_ref()
            .is_some_and(|url: &Url| !matches!(url.scheme(), "http" | "https"))
        {
            env.fault("KURZ_HOME_URL", "must be an http or https address");
        }
        let visitor_salt = visitor_salt?;
        if visitor_salt.expose().len() < MIN_SALT_BYTES {
            env.fault("KURZ_VISITOR_SALT", "must have at least 16 characters");
        }
        Some(Self {
            durability,
            spool,
            spool_bytes,
            spool_sync,
            partitions,
            geoip,
            home_url,
            visitor_salt,
            snapshot_wait: Duration::from_secs(wait),
        })
    }

    /// The part that the recorder needs.
    pub(crate) fn recorder(&self) -> RecorderConfig {
        RecorderConfig {
            durability: self.durability,
            folder: self.spool.clone(),
            bytes: self.spool_bytes,
            sync: self.spool_sync,
            partitions: self.partitions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut env = Env::from_pairs("redirector", pairs);
        let config = Config::from_env(&mut env);
        env.finish(config).map_err(|faults| faults.to_string())
    }

    #[test]
    fn only_the_salt_must_be_set() {
        let config = read(&[("KURZ_VISITOR_SALT", "sixteen or more!")]).unwrap();
        assert_eq!(config.durability, Durability::Spool);
        assert_eq!(config.spool, PathBuf::from("./spool"));
        assert_eq!((config.spool_bytes, config.partitions), (1 << 30, 1));
        assert!(!format!("{config:?}").contains("sixteen"));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = read(&[
            ("KURZ_CLICK_DURABILITY", "paper"),
            ("KURZ_SPOOL_BYTES", "much"),
            ("KURZ_PARTITIONS", "0"),
            ("KURZ_HOME_URL", "javascript:alert(1)"),
            ("KURZ_VISITOR_SALT", "short"),
        ])
        .unwrap_err();
        for name in [
            "CLICK_DURABILITY",
            "SPOOL_BYTES",
            "PARTITIONS",
            "HOME_URL",
            "VISITOR_SALT",
        ] {
            assert!(faults.contains(&format!("KURZ_{name} ")), "{faults}");
        }
        assert!(
            !faults.contains("short"),
            "a secret is never printed: {faults}"
        );
    }
}
