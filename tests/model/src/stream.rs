//! The stream `CLICKS`, as nats-server keeps it: `events::streams::CLICKS`.

use crate::bounds::{Bounds, Rule, Rules};
use crate::list::List;
use crate::world::{Clicks, World, bit};

/// What a batch holds at most, whatever the bounds say.
pub(crate) const BATCH: usize = 3;

/// `events::ClickBatch`.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Batch {
    pub(crate) spool: u8,
    /// The number of its first click.
    pub(crate) first: u8,
    /// Which click stands under each number: the same as the number, unless one was given twice.
    pub(crate) clicks: List<u8, BATCH>,
}

impl Batch {
    /// The number behind its last click.
    pub(crate) fn next(self) -> u8 {
        self.first + u8::try_from(self.clicks.len()).unwrap_or(u8::MAX)
    }

    /// Its clicks.
    pub(crate) fn set(self) -> Clicks {
        self.clicks
            .iter()
            .fold(0, |set, click| set | bit(self.spool, *click))
    }
}

/// `chassis::bus::StoredMessage`.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Message {
    pub(crate) sequence: u8,
    pub(crate) batch: Batch,
    /// Stands for the time of storing: of two messages that were stored at one sequence of one
    /// stream, before and after it was restored, each has its own.
    pub(crate) stored_at: u8,
}

/// A message that was deleted.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Purged {
    pub(crate) sequence: u8,
    pub(crate) clicks: Clicks,
    /// Whether it had been read at that moment.
    pub(crate) was_read: bool,
}

/// Which stream it is, and which life of it: the server's consumers end with it.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Instance {
    /// `kurz-epoch` in its metadata.
    pub(crate) epoch: u8,
    /// How often any stream was restored so far.
    pub(crate) restores: u8,
}

#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Stream {
    pub(crate) instance: Instance,
    pub(crate) messages: List<Message, 10>,
    pub(crate) last: u8,
}

impl Stream {
    /// The first sequence that it holds, or would hold.
    pub(crate) fn first(&self) -> u8 {
        self.messages
            .first()
            .map_or(self.last + 1, |message| message.sequence)
    }

    pub(crate) fn at(&self, sequence: u8) -> Option<&Message> {
        self.messages
            .iter()
            .find(|message| message.sequence == sequence)
    }

    /// `STREAM.MSG.GET`, last by subject.
    pub(crate) fn last_of(&self, spool: u8) -> Option<&Message> {
        self.messages
            .iter()
            .rev()
            .find(|message| message.batch.spool == spool)
    }

    pub(crate) fn set(&self) -> Clicks {
        self.messages
            .iter()
            .fold(0, |set, message| set | message.batch.set())
    }

    /// Stores a batch behind the last message of its subject, if that is `expected` (0: none); the
    /// sequence.
    fn store(&mut self, batch: Batch, expected: u8, bounds: &Bounds, rules: Rules) -> Option<u8> {
        let last = self.last_of(batch.spool).map_or(0, |last| last.sequence);
        if rules.have(Rule::ExpectedSequence) && last != expected {
            return None;
        }
        if self.messages.len() >= usize::from(bounds.capacity) {
            return None;
        }
        self.last += 1;
        self.messages.push(Message {
            sequence: self.last,
            batch,
            stored_at: self.instance.restores,
        });
        Some(self.last)
    }
}

impl World {
    /// The stream answers a publish.
    pub(crate) fn store(&mut self, at: usize, is_heard: bool, bounds: &Bounds, rules: Rules) {
        let publish = self.network.remove(at);
        let stored = self
            .stream
            .store(publish.batch, publish.expected, bounds, rules);
        if !is_heard {
            self.used.network += 1;
        }
        let Some(owner) = publish.owner else { return };
        match stored.filter(|_| is_heard) {
            Some(sequence) => self.acknowledged(owner, publish.batch.next(), sequence),
            None => self.refused(owner, publish.batch.next(), is_heard, rules),
        }
    }

    /// `retention::sweep` deletes everything before a sequence.
    pub(crate) fn sweep(&mut self, before: u8) {
        let missed = self.database.missed[usize::from(self.stream.instance.epoch)];
        let deleted = self.stream.messages.iter();
        let unread = deleted
            .filter(|message| message.sequence < before && missed & 1 << message.sequence == 0)
            .fold(0, |set, message| set | message.batch.set());
        self.ghost.swept_uncounted |= unread & !self.database.counted != 0;
        self.purge(before);
    }

    /// Deletes everything before a sequence.
    pub(crate) fn purge(&mut self, before: u8) {
        for message in self.stream.messages {
            if message.sequence < before {
                self.remember_purged(message);
            }
        }
        self.stream
            .messages
            .retain(|message| message.sequence >= before);
    }

    /// Deletes one message.
    pub(crate) fn delete(&mut self, sequence: u8) {
        if let Some(message) = self.stream.at(sequence) {
            self.remember_purged(*message);
        }
        self.stream
            .messages
            .retain(|message| message.sequence != sequence);
    }

    fn remember_purged(&mut self, message: Message) {
        let clicks = message.batch.set();
        self.ghost.gone |= clicks;
        self.ghost.purged.push(Purged {
            sequence: message.sequence,
            clicks,
            was_read: self.database.position.is_some_and(|position| {
                position.epoch == self.stream.instance.epoch
                    && position.last.sequence >= message.sequence
            }),
        });
    }

    pub(crate) fn make_anew(&mut self) {
        self.used.anew += 1;
        let stream = Stream {
            instance: Instance {
                epoch: self.used.anew,
                restores: self.used.stream_restores,
            },
            ..Stream::default()
        };
        self.replace(&stream);
    }

    pub(crate) fn restore_stream(&mut self) {
        self.used.stream_restores += 1;
        let Some(mut stream) = self.stream_backup else {
            return;
        };
        stream.instance.restores = self.used.stream_restores;
        self.replace(&stream);
    }

    fn replace(&mut self, stream: &Stream) {
        let was = self.stream.set();
        let purged = self
            .ghost
            .purged
            .iter()
            .fold(0, |set, purged| set | purged.clicks);
        self.ghost.gone |= was & !stream.set();
        self.ghost.replaced = (self.ghost.replaced | was | purged) & !stream.set();
        self.ghost.purged.truncate(0);
        self.stream = *stream;
    }
}
