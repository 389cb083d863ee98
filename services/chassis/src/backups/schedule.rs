//! Copies that are made by themselves, and how many of them stay.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Backups, Copy};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::env::Env;
use crate::period::Period;
use crate::shutdown::Shutdown;
use crate::sqlite::Database;

/// How many copies stay unless told otherwise: two weeks of one each day.
pub const KEEP: usize = 14;

/// The most copies that may be asked for: each is a whole database.
const MOST: usize = 10_000;

/// What `KURZ_BACKUP_INTERVAL` may be. Each copy reads and writes the whole database, and with the
/// profile `nfs` writes wait for it; a copy a year old is none.
const INTERVALS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(366 * 24));

/// How often it is looked whether a copy is due: the clock may be set, and somebody may make or
/// delete copies by hand.
const LOOK: Duration = Duration::from_mins(1);

/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// When copies are made.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// A copy is made when the newest one is older.
    pub interval: Duration,
    /// How many of the newest ones stay.
    pub keep: usize,
}

impl Schedule {
    pub(super) fn from_env(env: &mut Env) -> Option<Self> {
        let interval = env.optional::<Period>("KURZ_BACKUP_INTERVAL");
        let keep = env.or("KURZ_BACKUP_KEEP", KEEP);
        let (shortest, longest) = INTERVALS;
        if interval.is_some_and(|Period(interval)| !(shortest..=longest).contains(&interval)) {
            env.fault("KURZ_BACKUP_INTERVAL", "is not from 1m to 366d");
        }
        if !(1..=MOST).contains(&keep) {
            let text = format!("{keep} is not from 1 to {MOST}");
            env.fault("KURZ_BACKUP_KEEP", &text);
        }
        let Period(interval) = interval?;
        Some(Self { interval, keep })
    }
}

/// Makes copies until the shutdown, if they have a schedule. A failure is told once, shown in a
/// metric and tried again; it never disturbs the service.
pub(crate) async fn run(backups: Backups, database: Database, clock: Clock, shutdown: Shutdown) {
    let Some(schedule) = backups.schedule else {
        return;
    };
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1.min(schedule.interval));
    let mut failing = false;
    while !shutdown.is_cancelled() {
        match round(&backups, schedule, &database, clock.now(), &shutdown).await {
            Ok(pause) => {
                if std::mem::replace(&mut failing, false) {
                    tracing::info!("backups are made again");
                }
                backoff.reset();
                tokio::select! {
                    () = tokio::time::sleep(pause.min(LOOK)) => {}
                    () = shutdown.cancelled() => {}
                }
            }
            Err(_) if shutdown.is_cancelled() => {}
            Err(error) => {
                backups.failures().increment(1);
                if !std::mem::replace(&mut failing, true) {
                    let error = format!("{error:#}");
                    tracing::error!(error, "no backup: trying again until there is one");
                }
                backoff.wait(&shutdown).await;
            }
        }
    }
}

fn describe_metrics() {
    metrics::describe_counter!(
        "kurz_backup_failures_total",
        "Copies of the database that could not be made"
    );
    metrics::describe_gauge!(
        "kurz_backup_last_success_timestamp_seconds",
        "When the newest copy of the database was made; 0 if there is none"
    );
}

/// What a start does before any copy can be made, whether or not there is a schedule.
pub(crate) fn begin(backups: &Backups) {
    describe_metrics();
    backups.failures().increment(0);
    let look = || {
        backups.clean_up()?;
        backups.list()
    };
    match look() {
        Ok(copies) => {
            let newest = copies.first().map(|copy| copy.made);
            if newest.is_some() || backups.schedule.is_some() {
                backups.note(newest.unwrap_or(Timestamp::UNIX_EPOCH));
            }
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "can't look at the backups");
        }
    }
}

/// Makes a copy if one is due; how long none will be.
async fn round(
    backups: &Backups,
    schedule: Schedule,
    database: &Database,
    now: Timestamp,
    shutdown: &Shutdown,
) -> anyhow::Result<Duration> {
    let copies = backups.list()?;
    let left = schedule.until_due(&copies, now);
    if !left.is_zero() {
        return Ok(left);
    }
    let copy = backups.make(database, now, shutdown).await?;
    tracing::info!(path = %copy.path.display(), "backup made");
    let copies = [vec![copy], copies].concat();
    for old in schedule.too_many(&copies, backups.reach, now) {
        let path = old.path.display();
        // The next copy tries again.
        match std::fs::remove_file(&old.path) {
            Ok(()) => tracing::info!(%path, "old backup deleted"),
            Err(error) => tracing::warn!(%path, %error, "an old backup can't be deleted"),
        }
    }
    Ok(schedule.interval)
}

impl Schedule {
    /// How long until the newest of these copies is too old. One from the future says nothing: a
    /// clock was wrong.
    fn until_due(&self, copies: &[Copy], now: Timestamp) -> Duration {
        let ages = copies.iter().map(|copy| now.duration_since(copy.made));
        let newest = ages.filter(|age| !age.is_negative()).min();
        newest.map_or(Duration::ZERO, |age| {
            self.interval.saturating_sub(age.unsigned_abs())
        })
    }

    /// Which of the copies have to go. The first of them was made a moment ago and checked: it
    /// stays in any case, and so does the oldest one that is younger than `reach`.
    fn too_many<'a>(
        &self,
        copies: &'a [Copy],
        reach: Option<Duration>,
        now: Timestamp,
    ) -> Vec<&'a Copy> {
        let reach = reach.and_then(|reach| SignedDuration::try_from(reach).ok());
        let reaches =
            |copy: &&Copy| reach.is_some_and(|reach| now.duration_since(copy.made) < reach);
        let oldest = copies.iter().rfind(reaches);
        let old = copies.iter().skip(self.keep.max(1));
        old.filter(|copy| Some(*copy) != oldest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-24T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// Copies of these ages in days.
    fn copies(ages: &[i64]) -> Vec<Copy> {
        let copy = |days: &i64| Copy {
            path: format!("{days}").into(),
            made: now() - SignedDuration::from_hours(24 * days),
        };
        ages.iter().map(copy).collect()
    }

    fn daily(keep: usize) -> Schedule {
        let interval = Duration::from_hours(24);
        Schedule { interval, keep }
    }

    #[test]
    fn a_copy_is_due_when_the_newest_is_older_than_the_interval() {
        let due_in = |ages: &[i64]| daily(3).until_due(&copies(ages), now());
        assert_eq!(due_in(&[]), Duration::ZERO);
        assert_eq!(due_in(&[0, 9]), Duration::from_hours(24));
        assert_eq!(due_in(&[1]), Duration::ZERO);
        assert_eq!(due_in(&[400]), Duration::ZERO);
        // A clock was wrong: what it made is not believed.
        assert_eq!(due_in(&[-300, 2]), Duration::ZERO);
    }

    #[test]
    fn the_oldest_go_but_never_the_one_just_made() {
        let gone = |keep, ages: &[i64], reach: Option<u64>| {
            let copies = copies(ages);
            let reach = reach.map(|days| Duration::from_hours(24 * days));
            let gone = daily(keep).too_many(&copies, reach, now()).into_iter();
            let gone = gone.map(|copy| copy.path.to_str().unwrap().to_owned());
            gone.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(gone(3, &[0, 1, 2], None), "");
        assert_eq!(gone(3, &[0, 1, 2, 3, 4], None), "3 4");
        assert_eq!(gone(1, &[0, 1], None), "1");
        // One of the future beside it.
        assert_eq!(gone(1, &[0, -5, 1], None), "-5 1");
        // For a rebuild, the one that reaches back farthest stays too, until it does not any more.
        assert_eq!(gone(2, &[0, 1, 2, 29, 31], Some(30)), "2 31");
        assert_eq!(gone(2, &[0, 1, 2, 30], Some(30)), "30");
    }

    #[test]
    fn settings_have_bounds() {
        let read = |interval: &str, keep: &str| {
            let pairs = [
                ("KURZ_BACKUP_INTERVAL", interval),
                ("KURZ_BACKUP_KEEP", keep),
            ];
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut env = Env::from_pairs("auth", pairs);
            let schedule = Schedule::from_env(&mut env);
            env.finish(Some(schedule)).ok()
        };
        let schedule = read("24h", "").unwrap().unwrap();
        assert_eq!(schedule.interval, Duration::from_hours(24));
        assert_eq!(schedule.keep, KEEP);
        assert!(read("", "").unwrap().is_none());
        assert!(read("1m", "1").unwrap().is_some());
        for (interval, keep) in [
            ("59s", "1"),
            ("367d", "1"),
            ("often", "1"),
            ("1d", "0"),
            ("1d", "10001"),
            ("", "0"),
        ] {
            assert!(read(interval, keep).is_none(), "{interval} {keep}");
        }
    }
}
