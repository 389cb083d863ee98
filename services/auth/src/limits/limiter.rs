//! One limit for many keys: the generic cell rate algorithm, one number a key.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many at once, and then one more every so often.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// How many attempts may come at once; at least one.
    pub burst: u32,
    /// How long it takes until another attempt is allowed.
    pub every: Duration,
}

/// A limit, kept for each key apart, in bounded memory.
///
/// For each key it holds the time at which the whole burst would be there again; a key for which
/// that is past needs no memory. A key is kept as a 64-bit hash with a secret of this process.
pub struct Limiter {
    every_ms: i64,
    burst_ms: i64,
    max_keys: usize,
    hasher: RandomState,
    full_again_at: Mutex<HashMap<u64, i64>>,
}

impl Limiter {
    /// A limit of `rate` for each of at most `max_keys` keys.
    pub fn new(rate: Rate, max_keys: usize) -> Self {
        let every_ms = i64::try_from(rate.every.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        Self {
            every_ms,
            burst_ms: every_ms.saturating_mul(i64::from(rate.burst.max(1))),
            max_keys,
            hasher: RandomState::new(),
            full_again_at: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one attempt of `key`, or says how long to wait for the next one.
    pub fn take(&self, key: impl Hash, now_ms: i64) -> Result<(), Duration> {
        let key = self.hasher.hash_one(key);
        let mut keys = self
            .full_again_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let full_at = keys.get(&key).copied().unwrap_or(now_ms);
        // Further away than the whole burst can only be after the clock was set back.
        let full_at = full_at.clamp(now_ms, now_ms.saturating_add(self.burst_ms));
        let next = full_at.saturating_add(self.every_ms);
        let wait_ms = next.saturating_sub(now_ms).saturating_sub(self.burst_ms);
        if wait_ms > 0 {
            return Err(Duration::from_millis(wait_ms.unsigned_abs()));
        }
        if keys.len() >= self.max_keys && !keys.contains_key(&key) {
            make_room(&mut keys, self.max_keys, now_ms);
        }
        keys.insert(key, next);
        Ok(())
    }

    /// Undoes one [`Self::take`].
    pub fn give_back(&self, key: impl Hash) {
        let key = self.hasher.hash_one(key);
        let mut keys = self
            .full_again_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = keys.get_mut(&key) {
            *full_at = full_at.saturating_sub(self.every_ms);
        }
    }
}

/// Forgets keys that have their whole burst again; if all are in use, the half that tried least.
/// So a flood of fresh keys does not free the ones that are being held back, and the work is
/// spread over as many insertions.
fn make_room(keys: &mut HashMap<u64, i64>, max_keys: usize, now_ms: i64) {
    keys.retain(|_, full_at| *full_at > now_ms);
    if keys.len() > max_keys / 2 {
        let mut times: Vec<i64> = keys.values().copied().collect();
        let middle = times.len() / 2;
        let (_, &mut median, _) = times.select_nth_unstable(middle);
        keys.retain(|_, full_at| *full_at > median);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        every: Duration::from_secs(10),
    };

    #[test]
    fn after_the_burst_one_comes_through_at_a_time() {
        let limiter = Limiter::new(RATE, 10);
        for _ in 0..3 {
            assert_eq!(limiter.take("ada", 0), Ok(()));
        }
        assert_eq!(limiter.take("ada", 0), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take("ada", 9_999), Err(Duration::from_millis(1)));
        assert_eq!(limiter.take("ada", 10_000), Ok(()));
        assert_eq!(limiter.take("ada", 10_000), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take("grace", 10_000), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let limiter = Limiter::new(RATE, 10);
        for _ in 0..100 {
            assert_eq!(limiter.take("ada", 0), Ok(()));
            limiter.give_back("ada");
        }
        limiter.give_back("ada");
        for _ in 0..3 {
            assert_eq!(limiter.take("ada", 0), Ok(()));
        }
        assert!(limiter.take("ada", 0).is_err(), "nothing is given twice");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_long() {
        let limiter = Limiter::new(RATE, 10);
        assert_eq!(limiter.take("ada", 86_400_000), Ok(()));
        assert!(
            limiter
                .take("ada", 0)
                .is_err_and(|wait| wait <= Duration::from_secs(10))
        );
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_memory_and_frees_nobody_held_back() {
        let limiter = Limiter::new(RATE, 100);
        while limiter.take("thief", 0).is_ok() {}
        for key in 0..10_000 {
            assert_eq!(limiter.take(key, 0), Ok(()));
        }
        assert!(limiter.full_again_at.lock().unwrap().len() <= 100);
        assert!(limiter.take("thief", 0).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_comes_through(waits in prop::collection::vec(0i64..20_000, 1..80)) {
            let limiter = Limiter::new(RATE, 10);
            let mut now = 0;
            let mut through = 0;
            for wait in waits {
                now += wait;
                through += i64::from(limiter.take("ada", now).is_ok());
            }
            prop_assert!(through <= 3 + now / 10_000);
        }
    }
}
