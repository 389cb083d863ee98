//! Which lost clicks the kills of redirectors explain, at the level `memory`.

use std::time::Duration;

/// How long clicks may still be in memory after the period in which they were answered: until the
/// redirector is connected again, has given up an acknowledgement that does not come and has paused
/// for the last time, which is 3.5 seconds, and then until it has published them.
const CATCH_UP: Duration = Duration::from_secs(5);

/// The time in which one fault happened, or none.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// From the beginning of the load.
    pub began: Duration,
    /// Clicks answered in it, and not counted.
    pub lost: u64,
    /// What the redirectors killed in it may have had in memory.
    pub may_lose: u64,
}

impl Period {
    /// One without a fault.
    pub fn calm(began: Duration) -> Self {
        Self {
            began,
            lost: 0,
            may_lose: 0,
        }
    }
}

/// The periods with lost clicks that no kill explains, and how many. A kill explains those that were
/// answered in its own period, and in earlier ones from which clicks can still be in memory.
pub fn unexplained(periods: &[Period]) -> Vec<(usize, u64)> {
    let mut room: Vec<_> = periods.iter().map(|period| period.may_lose).collect();
    let mut found = Vec::new();
    for (index, period) in periods.iter().enumerate() {
        let mut lost = period.lost;
        let over = periods
            .get(index + 1)
            .map_or(Duration::MAX, |next| next.began);
        for (kill, room) in room.iter_mut().enumerate().skip(index) {
            if kill > index && periods[kill].began > over.saturating_add(CATCH_UP) {
                break;
            }
            let explained = lost.min(*room);
            lost -= explained;
            *room -= explained;
        }
        if lost > 0 {
            found.push((index, lost));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(began: u64, lost: u64, may_lose: u64) -> Period {
        Period {
            began: Duration::from_secs(began),
            lost,
            may_lose,
        }
    }

    #[test]
    fn a_kill_explains_its_own_period_and_what_is_just_before() {
        let periods = [
            period(0, 0, 0),
            period(1, 30, 0),
            period(4, 20, 0),
            period(6, 50, 100),
            period(8, 0, 0),
        ];
        assert_eq!(unexplained(&periods), []);
    }

    #[test]
    fn a_kill_explains_no_more_than_was_in_memory() {
        let periods = [period(0, 30, 0), period(1, 80, 100), period(2, 0, 0)];
        assert_eq!(unexplained(&periods), [(1, 10)]);
        let periods = [period(0, 0, 0), period(1, 201, 200), period(2, 0, 0)];
        assert_eq!(unexplained(&periods), [(1, 1)]);
    }

    #[test]
    fn a_kill_explains_nothing_behind_it_or_long_before() {
        let periods = [
            period(0, 1, 0),
            period(2, 0, 0),
            period(8, 0, 100),
            period(9, 2, 0),
        ];
        assert_eq!(unexplained(&periods), [(0, 1), (3, 2)]);
    }
}
