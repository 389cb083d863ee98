//! `clicks.db`: `services/analytics/src/store/*`, `ingest/ledger.rs`.

use crate::bounds::{Rule, Rules};
use crate::stream::{Batch, Instance, Message};
use crate::world::{Clicks, SPOOLS, bit};

/// Streams that there can be, one after the other.
const EPOCHS: usize = 4;

/// `store::position::Position`. The message itself stands for its fingerprint.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Position {
    pub(crate) epoch: u8,
    pub(crate) last: Message,
}

#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Database {
    /// Table `position`.
    pub(crate) position: Option<Position>,
    /// Table `spool`: the next number of each.
    pub(crate) next: [u8; SPOOLS],
    /// Table `gap`, each number of it.
    pub(crate) gaps: Clicks,
    /// Table `missed`: for each epoch the sequences.
    pub(crate) missed: [u16; EPOCHS],
    /// The counters: which clicks are in them.
    pub(crate) counted: Clicks,
    /// What only the one who checks knows: the stream in which the place was last found.
    pub(crate) found: Instance,
}

impl Database {
    /// Counts the clicks of a batch that are new by `Ledger::admit`; whether one of them was
    /// counted before.
    pub(crate) fn count(&mut self, batch: Batch, rules: Rules) -> bool {
        let mut twice = false;
        for (number, click) in (batch.first..).zip(batch.clicks.iter()) {
            let is_gap = self.gaps & bit(batch.spool, number) != 0;
            let is_new = number >= self.next[usize::from(batch.spool)] || is_gap;
            if is_new || !rules.have(Rule::Ledger) {
                twice |= self.counted & bit(batch.spool, *click) != 0;
                self.counted |= bit(batch.spool, *click);
            }
        }
        twice
    }

    /// `Ledger::admit` and `ledgers::save`.
    pub(crate) fn admit(&mut self, batch: Batch) {
        let next = &mut self.next[usize::from(batch.spool)];
        for number in batch.first..batch.next() {
            self.gaps &= !bit(batch.spool, number);
        }
        for number in *next..batch.first {
            self.gaps |= bit(batch.spool, number);
        }
        *next = (*next).max(batch.next());
    }

    /// `position::add_missed`.
    pub(crate) fn add_missed(&mut self, epoch: u8, sequences: u16) {
        self.missed[usize::from(epoch)] |= sequences;
    }
}

/// The sequences from `first` to `last`.
pub(crate) fn sequences(first: u8, last: u8) -> u16 {
    (first..=last).fold(0, |set, sequence| set | 1 << sequence)
}
