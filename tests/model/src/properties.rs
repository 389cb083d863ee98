//! What must hold.

use crate::world::{Clicks, World};

/// A property that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A click was counted twice.
    CountedTwice,
    /// A number was given to two clicks.
    NumberGivenTwice,
    /// A gap or a missed message where nothing was lost.
    FalseAlarm,
    /// All is drained, and a click is neither counted nor reported. Excepted are clicks that a
    /// spool lost with the power, and the last ones of a spool that were in a stream that is gone:
    /// nobody is left who knows of them.
    LostInSilence,
    /// The messages of a spool do not follow each other in the stream without a repeat or a hole.
    OutOfOrder,
    /// The retention deleted a click that was not counted.
    Swept,
    /// It goes on for ever, or no more, and is not drained.
    Stuck,
}

/// What every state must be free of. [`Violation::Stuck`] is a property of ways, not of states.
const OF_STATES: [Violation; 6] = [
    Violation::CountedTwice,
    Violation::NumberGivenTwice,
    Violation::FalseAlarm,
    Violation::OutOfOrder,
    Violation::LostInSilence,
    Violation::Swept,
];

impl World {
    /// Whether all clicks are where they should be.
    pub(crate) fn is_drained(&self) -> bool {
        self.all_published() && self.all_applied()
    }

    /// The first violation of those in `wanted`, or of all, if it is empty.
    pub(crate) fn violation(&self, wanted: &[Violation]) -> Option<Violation> {
        OF_STATES.into_iter().find(|violation| {
            (wanted.is_empty() || wanted.contains(violation)) && self.violates(*violation)
        })
    }

    fn violates(&self, violation: Violation) -> bool {
        match violation {
            Violation::CountedTwice => self.ghost.counted_twice,
            Violation::NumberGivenTwice => self.ghost.given_twice,
            Violation::FalseAlarm => self.raises_a_false_alarm(),
            Violation::OutOfOrder => self.is_out_of_order(),
            Violation::LostInSilence => self.is_drained() && self.lost_in_silence() != 0,
            Violation::Swept => self.ghost.swept_uncounted,
            Violation::Stuck => false,
        }
    }

    fn lost_in_silence(&self) -> Clicks {
        let missed = self.database.missed[usize::from(self.stream.instance.epoch)];
        let mut known = self.database.counted | self.database.gaps;
        for purged in &*self.ghost.purged {
            if missed & 1 << purged.sequence != 0 {
                known |= purged.clicks;
            }
        }
        // A restore can bring back what was reported as missed.
        for message in &*self.stream.messages {
            if missed & 1 << message.sequence != 0 {
                known |= message.batch.set();
            }
        }
        self.ghost.answered & !known & !self.ghost.torn & !self.ghost.replaced
    }

    /// Numbers are clicks here: none was given twice.
    fn raises_a_false_alarm(&self) -> bool {
        let database = &self.database;
        if database.gaps & (database.counted | !self.ghost.gone) != 0 {
            return true;
        }
        // Behind a restore, what one stream has missed may be in the next one.
        if self.used.anew + self.used.stream_restores > 0 {
            return false;
        }
        // A database that was restored has to ask for what was read, too.
        let read_too = self.used.database_restores > 0;
        let deleted = self.ghost.purged.iter();
        let deleted = deleted
            .filter(|purged| read_too || !purged.was_read)
            .fold(0, |set, purged| set | 1 << purged.sequence);
        database.missed[0] & !deleted != 0
    }

    fn is_out_of_order(&self) -> bool {
        // A restored stream has lost batches in the middle for ever; one that was emptied begins
        // with whatever comes.
        if self.used.stream_restores > 0 || !self.ghost.purged.is_empty() || self.used.anew > 0 {
            return false;
        }
        (0..self.spools).any(|spool| {
            let mut next = 0;
            let messages = self.stream.messages.iter();
            messages
                .filter(|message| message.batch.spool == spool)
                .any(|message| {
                    message.batch.first != std::mem::replace(&mut next, message.batch.next())
                })
        })
    }
}
