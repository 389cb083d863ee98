//! How the threads that count share the processors with those who answer visitors.
//!
//! To read a set takes up to half a second of a processor, and to store it as long again. However
//! nice a thread is, the kernel leaves it where it runs for some milliseconds, also when somebody
//! wakes up there who should go first: visitors queue for as long. So while clicks keep coming, such
//! a thread works in short turns and rests in between, for longer where there is less to do. Once
//! they stop, or when there are more than can be counted so, it goes straight on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// For how long it works in one go.
const TURN: Duration = Duration::from_micros(250);

/// For how long it rests then, at least.
const REST: Duration = TURN;

/// For how long it rests at most.
const LONGEST_REST: Duration = Duration::from_micros(750);

/// Over how long the work on a set is spread, if it takes as long as that on the one before: half of
/// the time for which the next one is gathered.
const SPREAD: Duration = Duration::from_secs(2);

/// When nothing has come for so long, no more is waited for, and there is nobody to let go first.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// How the clicks come.
#[derive(Debug)]
pub struct Flow {
    began: Instant,
    /// When the last message came, microseconds after `began`.
    last_us: AtomicU64,
    is_behind: AtomicBool,
    /// For how long the last set was worked on, without rests, in microseconds.
    read_us: AtomicU64,
    stored_us: AtomicU64,
}

/// What is done with a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is decoded, or what was decoded is freed.
    Read,
    /// It is counted.
    Store,
}

impl Flow {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            last_us: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
            read_us: AtomicU64::new(0),
            stored_us: AtomicU64::new(0),
        }
    }

    /// A message came just now.
    pub fn came(&self) {
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(us, Ordering::Relaxed);
    }

    /// Whether more has come than is counted.
    pub fn set_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Relaxed);
    }

    /// Turns of somebody who works on what comes.
    pub fn turns(&self, work: Work) -> Turns<'_> {
        let last_us = match work {
            Work::Read => &self.read_us,
            Work::Store => &self.stored_us,
        };
        let worked = Duration::from_micros(last_us.load(Ordering::Relaxed));
        Turns {
            of: Some((self, last_us)),
            rest: rest_after(worked),
            began: Instant::now(),
            worked: Duration::ZERO,
        }
    }

    fn is_calm(&self) -> bool {
        let last = Duration::from_micros(self.last_us.load(Ordering::Relaxed));
        !self.is_behind.load(Ordering::Relaxed) && self.began.elapsed().saturating_sub(last) < QUIET
    }
}

/// The turns of one piece of work.
#[derive(Debug)]
pub struct Turns<'a> {
    /// None if it never rests; and where to say how long it worked.
    of: Option<(&'a Flow, &'a AtomicU64)>,
    rest: Duration,
    began: Instant,
    /// In the turns before.
    worked: Duration,
}

impl Turns<'_> {
    /// Work that never rests: somebody waits for it.
    pub fn without_rest() -> Self {
        Turns {
            of: None,
            rest: Duration::ZERO,
            began: Instant::now(),
            worked: Duration::ZERO,
        }
    }

    /// Rests if the turn is over and somebody should go first. To be called where a rest does no
    /// harm, as often as possible: a few times in each turn.
    #[expect(
        clippy::disallowed_methods,
        reason = "others are let go first for a time; no state is waited for"
    )]
    pub fn rest(&mut self) {
        let Some((flow, _)) = self.of else {
            return;
        };
        let turn = self.began.elapsed();
        if turn < TURN {
            return;
        }
        self.worked += turn;
        if flow.is_calm() {
            thread::sleep(self.rest);
        }
        self.began = Instant::now();
    }
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        if let Some((_, last_us)) = self.of {
            let worked = u64::try_from(self.worked.as_micros()).unwrap_or(u64::MAX);
            last_us.store(worked, Ordering::Relaxed);
        }
    }
}

/// How long the rests are when the last set was worked on for so long.
fn rest_after(worked: Duration) -> Duration {
    let turns = worked.as_micros() / TURN.as_micros();
    let rests = SPREAD.saturating_sub(worked).as_micros();
    let rest = rests.checked_div(turns).unwrap_or(u128::MAX);
    let rest = Duration::from_micros(u64::try_from(rest).unwrap_or(u64::MAX));
    rest.clamp(REST, LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether work that had its turn rests now.
    fn rests(flow: &Flow) -> bool {
        let mut turns = flow.turns(Work::Store);
        let ago = Instant::now().checked_sub(TURN).unwrap();
        turns.began = ago;
        turns.rest();
        turns.began.duration_since(ago) >= TURN + REST
    }

    #[test]
    fn it_rests_while_clicks_come() {
        let flow = Flow::new();
        // A busy machine may take longer for one step than clicks may stay away.
        let comes = || {
            flow.came();
            rests(&flow)
        };
        assert!((0..1_000).any(|_| comes()));
    }

    #[test]
    fn it_does_not_rest_when_none_come_or_too_many() {
        let flow = Flow::new();
        flow.set_behind(true);
        flow.came();
        assert!(!flow.is_calm(), "more comes than is counted");
        flow.set_behind(false);
        let quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            thread::yield_now();
        }
        assert!(!flow.is_calm(), "nothing has come for long");
    }

    #[test]
    fn the_less_there_is_to_do_the_longer_it_rests() {
        let ms = Duration::from_millis;
        for (worked, rest) in [
            (ms(0), LONGEST_REST),
            (ms(500), LONGEST_REST),
            (ms(800), Duration::from_micros(375)),
            (ms(1_000), REST),
            (ms(5_000), REST),
        ] {
            assert_eq!(rest_after(worked), rest, "{worked:?}");
        }
        let flow = Flow::new();
        flow.stored_us.store(1_000_000, Ordering::Relaxed);
        assert_eq!(flow.turns(Work::Store).rest, REST);
        assert_eq!(flow.turns(Work::Read).rest, LONGEST_REST);
        // The one that stored had no turn.
        assert_eq!(flow.turns(Work::Store).rest, LONGEST_REST);
    }

    #[test]
    fn a_turn_has_its_length() {
        let flow = Flow::new();
        let mut turns = flow.turns(Work::Store);
        let later = Instant::now() + Duration::from_mins(1);
        turns.began = later;
        turns.rest();
        assert_eq!(turns.began, later, "it goes on");
        turns.began = Instant::now().checked_sub(TURN).unwrap();
        turns.rest();
        assert!(turns.began < later, "it is over, and the next one begins");
    }
}
