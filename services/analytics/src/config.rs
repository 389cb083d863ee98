//! What analytics is told at its start.

use std::str::FromStr;
use std::time::Duration;

use chassis::database_file::DatabaseFile;
use chassis::env::Env;
use chassis::period::Period;
use events::Partition;
use url::Url;

use crate::forward::PartitionUrls;

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
    /// `KURZ_PARTITION` and `KURZ_PARTITIONS`: which part of the accounts is counted here, from 0
    /// on, and into how many they are divided (1).
    pub partition: Partition,
    /// `KURZ_PARTITION_URLS`: where the other parts are, if there are any.
    pub others: Option<PartitionUrls>,
}

impl Config {
    /// Reads the settings; faults are noted in `env`.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        let database = DatabaseFile::from_env(env);
        let jwks_url = env.required("KURZ_JWKS_URL");
        let retention = env.or("KURZ_CLICK_RETENTION", Retention::default());
        let partition = partition(env);
        let others = env.optional("KURZ_PARTITION_URLS");
        let partition = partition?;
        if partition.is_one_of_many() && others.is_none() {
            env.fault(
                "KURZ_PARTITION_URLS",
                "is missing (or malformed); with more than one partition each asks the others",
            );
            return None;
        }
        let mut database = database?;
        // A rebuild begins with the oldest copy that still joins the stream.
        database.backups = database.backups.reaching(retention.0);
        Some(Self {
            database,
            jwks_url: jwks_url?,
            retention,
            partition,
            others: others.filter(|_| partition.is_one_of_many()),
        })
    }
}

/// Two processes that take the same part because one was not told its own would both be wrong: who
/// divides has to say which part this is.
fn partition(env: &mut Env) -> Option<Partition> {
    let of = env.or("KURZ_PARTITIONS", 1);
    if !(1..=Partition::MOST).contains(&of) {
        env.fault("KURZ_PARTITIONS", "must be a number from 1 to 64");
        return None;
    }
    let number = if of == 1 {
        env.or("KURZ_PARTITION", 0)
    } else {
        env.required("KURZ_PARTITION")?
    };
    let partition = Partition::new(number, of);
    if partition.is_none() {
        let text = format!("is {number}; of {of} partitions the last one is {}", of - 1);
        env.fault("KURZ_PARTITION", &text);
    }
    partition
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Config, String> {
        let needed = [
            ("KURZ_DATABASE", "clicks.db"),
            ("KURZ_JWKS_URL", "http://auth/jwks.json"),
        ];
        let pairs = needed.iter().chain(more);
        let pairs = pairs.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let mut env = Env::from_pairs("analytics", pairs);
        let config = Config::from_env(&mut env);
        env.finish(config).map_err(|faults| faults.to_string())
    }

    const URLS: (&str, &str) = ("KURZ_PARTITION_URLS", "http://analytics-{partition}:8080");

    #[test]
    fn alone_it_needs_no_partition() {
        let config = read(&[]).unwrap();
        assert_eq!(config.partition, Partition::WHOLE);
        assert!(config.others.is_none());
    }

    #[test]
    fn one_of_many_is_told_which_one_and_where_the_others_are() {
        let three = ("KURZ_PARTITIONS", "3");
        let config = read(&[three, ("KURZ_PARTITION", "2"), URLS]).unwrap();
        assert_eq!(Some(config.partition), Partition::new(2, 3));
        assert!(config.others.is_some());
        for (faulty, named) in [
            (vec![three, URLS], "KURZ_PARTITION is missing"),
            (
                vec![three, ("KURZ_PARTITION", "0")],
                "KURZ_PARTITION_URLS is missing",
            ),
            (
                vec![three, ("KURZ_PARTITION", "3"), URLS],
                "the last one is 2",
            ),
            (vec![("KURZ_PARTITION", "1")], "the last one is 0"),
            (vec![("KURZ_PARTITIONS", "0")], "from 1 to 64"),
            (vec![("KURZ_PARTITIONS", "65")], "from 1 to 64"),
            (
                vec![
                    three,
                    ("KURZ_PARTITION", "0"),
                    ("KURZ_PARTITION_URLS", "http://a:1"),
                ],
                "{partition}",
            ),
        ] {
            let faults = read(&faulty).unwrap_err();
            assert!(faults.contains(named), "{faulty:?}: {faults}");
        }
    }
}
