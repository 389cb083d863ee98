//! What was seen of one spool: the rule that makes every click count once.

use std::ops::Range;

/// The next number expected, and the numbers below it that were never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    next: u64,
    gaps: Vec<Gap>,
    gaps_changed: bool,
}

/// Consecutive numbers that were never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first missing number.
    pub first: u64,
    /// The last missing number.
    pub last: u64,
    /// When it was noticed, in milliseconds since 1970.
    pub noticed_at_ms: i64,
}

impl Ledger {
    /// What was stored earlier. The gaps lie below `next` and do not touch each other's numbers.
    pub fn new(next: u64, mut gaps: Vec<Gap>) -> Self {
        gaps.sort_unstable_by_key(|gap| gap.first);
        Self {
            next,
            gaps,
            gaps_changed: false,
        }
    }

    /// The next number expected.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The missing numbers, in order.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether the gaps are others than those that were stored.
    pub fn gaps_changed(&self) -> bool {
        self.gaps_changed
    }

    /// Takes in the numbers of a batch, and says which of them are new, in order. Numbers that were
    /// skipped become a gap; numbers that fall into a gap are new and narrow it. `numbers` is not
    /// empty.
    pub fn admit(&mut self, numbers: Range<u64>, now_ms: i64) -> Vec<Range<u64>> {
        let mut new = self.fill_gaps(&numbers);
        if numbers.end > self.next {
            if numbers.start > self.next {
                self.add_gap(self.next..numbers.start, now_ms);
            }
            new.push(numbers.start.max(self.next)..numbers.end);
            self.next = numbers.end;
        }
        new
    }

    /// Notes that a batch with these numbers came and could not be read: what was not seen of them
    /// is missing.
    pub fn lose(&mut self, numbers: &Range<u64>, now_ms: i64) {
        if numbers.end > self.next {
            self.add_gap(self.next..numbers.end, now_ms);
            self.next = numbers.end;
        }
    }

    fn add_gap(&mut self, numbers: Range<u64>, noticed_at_ms: i64) {
        self.gaps.push(Gap {
            first: numbers.start,
            last: numbers.end - 1,
            noticed_at_ms,
        });
        self.gaps_changed = true;
    }

    /// Takes `numbers` out of the gaps; those that were in one.
    fn fill_gaps(&mut self, numbers: &Range<u64>) -> Vec<Range<u64>> {
        let mut filled = Vec::new();
        if numbers.start >= self.next || self.gaps.is_empty() {
            return filled;
        }
        let mut left = Vec::with_capacity(self.gaps.len() + 1);
        for gap in &self.gaps {
            let both = gap.first.max(numbers.start)..(gap.last + 1).min(numbers.end);
            if both.is_empty() {
                left.push(*gap);
                continue;
            }
            if gap.first < both.start {
                left.push(Gap {
                    last: both.start - 1,
                    ..*gap
                });
            }
            if both.end <= gap.last {
                left.push(Gap {
                    first: both.end,
                    ..*gap
                });
            }
            filled.push(both);
        }
        if !filled.is_empty() {
            self.gaps = left;
            self.gaps_changed = true;
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn gaps(ledger: &Ledger) -> Vec<(u64, u64)> {
        ledger
            .gaps()
            .iter()
            .map(|gap| (gap.first, gap.last))
            .collect()
    }

    fn admit(ledger: &mut Ledger, numbers: Range<u64>) -> Vec<(u64, u64)> {
        ledger
            .admit(numbers, 1)
            .into_iter()
            .map(|new| (new.start, new.end))
            .collect()
    }

    #[test]
    fn a_batch_that_was_seen_is_nothing_new() {
        let mut ledger = Ledger::default();
        assert_eq!(admit(&mut ledger, 0..5), [(0, 5)]);
        assert!(ledger.admit(0..5, 1).is_empty());
        assert!(ledger.admit(1..4, 1).is_empty());
        assert_eq!(admit(&mut ledger, 3..8), [(5, 8)]);
        assert!(gaps(&ledger).is_empty());
    }

    #[test]
    fn a_spool_that_begins_late_has_a_gap() {
        let mut ledger = Ledger::default();
        assert_eq!(admit(&mut ledger, 7..9), [(7, 9)]);
        assert_eq!(gaps(&ledger), [(0, 6)]);
    }

    #[test]
    fn a_batch_narrows_the_gaps_that_it_falls_into() {
        let mut ledger = Ledger::default();
        ledger.admit(0..2, 1);
        ledger.admit(10..12, 1);
        ledger.admit(20..22, 1);
        assert_eq!(admit(&mut ledger, 4..6), [(4, 6)]);
        assert_eq!(gaps(&ledger), [(2, 3), (6, 9), (12, 19)]);
        assert_eq!(ledger.admit(0..25, 1), [2..4, 6..10, 12..20, 22..25]);
        assert!(gaps(&ledger).is_empty());
    }

    #[test]
    fn an_unreadable_batch_is_a_gap_that_a_retry_closes() {
        let mut ledger = Ledger::default();
        ledger.admit(0..3, 1);
        ledger.lose(&(2..6), 1);
        assert_eq!((ledger.next(), gaps(&ledger)), (6, vec![(3, 5)]));
        assert_eq!(admit(&mut ledger, 2..6), [(3, 6)]);
        assert!(gaps(&ledger).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_comes_every_number_is_new_once(
            batches in prop::collection::vec((0_u64..60, 1_u64..20, prop::bool::weighted(0.1)), 1..60),
        ) {
            let mut ledger = Ledger::default();
            let mut seen = BTreeSet::new();
            for (first, count, unreadable) in batches {
                let numbers = first..first + count;
                if unreadable {
                    ledger.lose(&numbers, 0);
                    continue;
                }
                let new: Vec<u64> = ledger.admit(numbers.clone(), 0).into_iter().flatten().collect();
                let expected: Vec<u64> = numbers.filter(|number| !seen.contains(number)).collect();
                prop_assert_eq!(&new, &expected);
                seen.extend(new);
                // Stored and loaded again, nothing is forgotten.
                ledger = Ledger::new(ledger.next(), ledger.gaps().to_vec());
                let missing: u64 = gaps(&ledger).iter().map(|(first, last)| last - first + 1).sum();
                prop_assert_eq!(ledger.next(), seen.len() as u64 + missing);
            }
        }
    }
}
