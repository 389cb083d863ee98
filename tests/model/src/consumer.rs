//! The ingest of analytics: `services/analytics/src/ingest*`.

use crate::bounds::{Bounds, Rule, Rules};
use crate::database::{Position, sequences};
use crate::list::List;
use crate::stream::{Instance, Message};
use crate::world::{Step, World};

/// Messages of one transaction.
const SET: usize = 2;

/// `ingest::session`.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Session {
    phase: Phase,
    /// What the first look at the stream said.
    look: Look,
    /// The stream in whose life the server made the consumer.
    consumer: Instance,
    /// The sequence of the last message that was delivered.
    delivered: u8,
    /// Everything up to this sequence was read, or is stored as missed.
    read: u8,
    /// Messages that are to be committed.
    hand: List<Message, SET>,
    /// Sequences that were skipped before them.
    skipped: u16,
    /// They were read before, and leave the position where it is.
    are_old: bool,
    /// Their counters are committed, the rest is not.
    is_half: bool,
}

#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Off,
    Looked,
    Made,
    Following,
}

/// What `ingest::stream::attach` finds out.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
struct Look {
    epoch: u8,
    /// Reading goes on behind this sequence.
    behind: u8,
    /// `Attached::read_up_to`.
    read: u8,
    /// `Attached::end`.
    end: u8,
    held: Held,
}

/// `ingest::stream::Held`.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
enum Held {
    /// There is no position in this stream.
    #[default]
    New,
    Same,
    /// It is another stream under the same name and epoch.
    Other,
    Nothing,
}

impl World {
    pub(crate) fn consumer_steps(&self, bounds: &Bounds, rules: Rules, steps: &mut Vec<Step>) {
        let session = &self.session;
        if session.phase != Phase::Off && self.used.consumer_crashes < bounds.consumer_crashes {
            steps.push(Step::CrashConsumer);
        }
        match session.phase {
            Phase::Off => steps.push(Step::Look),
            Phase::Looked => steps.push(Step::Follow),
            Phase::Made => steps.push(Step::Confirm),
            Phase::Following if !session.hand.is_empty() => {
                steps.push(Step::Commit);
                if !rules.have(Rule::OneTransaction) && !session.is_half {
                    steps.push(Step::CommitCounters);
                }
            }
            Phase::Following if session.consumer != self.stream.instance => {
                steps.push(Step::EndSession);
                if !rules.have(Rule::OneConsumer) {
                    steps.push(Step::Recreate);
                }
            }
            Phase::Following => {
                let ready = self.waiting().take(SET).count();
                let ready = u8::try_from(ready).unwrap_or(0);
                steps.extend((1..=ready).map(|count| Step::Fetch { count }));
                // `Watch::changed`: the stream says that there is more, and nothing comes.
                if ready == 0 && session.read < self.stream.last {
                    steps.push(Step::EndSession);
                }
            }
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &Message> {
        let delivered = self.session.delivered;
        let messages = self.stream.messages.iter();
        messages.filter(move |message| message.sequence > delivered)
    }

    /// `ingest::stream::attach`, up to the making of the consumer. If the stream can't become
    /// another one, nobody can come in between, and the three steps are one.
    pub(crate) fn look(&mut self, bounds: &Bounds, rules: Rules) {
        self.session = Session {
            phase: Phase::Looked,
            look: self.look_at_stream(rules),
            ..Session::default()
        };
        if !bounds.replace_the_stream() {
            self.follow();
            self.confirm(rules);
        }
    }

    fn look_at_stream(&self, rules: Rules) -> Look {
        let stream = &self.stream;
        let mut look = Look {
            epoch: stream.instance.epoch,
            end: stream.last,
            ..Look::default()
        };
        let own = |position: &Position| position.epoch == look.epoch || !rules.have(Rule::Epoch);
        let Some(position) = self.database.position.filter(own) else {
            return look;
        };
        let sequence = position.last.sequence;
        look.held = self.held(position, rules);
        look.read = sequence;
        match look.held {
            Held::Same => look.behind = sequence,
            Held::Other if rules.have(Rule::RestoredIsUnread) => look.read = stream.first() - 1,
            _ => {}
        }
        look
    }

    /// `ingest::stream::holds`, and whether the stream ends before the position.
    fn held(&self, position: Position, rules: Rules) -> Held {
        let sequence = position.last.sequence;
        if !rules.have(Rule::Fingerprint) {
            return Held::Same;
        }
        match self.stream.at(sequence) {
            Some(message) if *message == position.last => Held::Same,
            Some(message)
                if !rules.have(Rule::StoredTime) && message.batch == position.last.batch =>
            {
                Held::Same
            }
            Some(_) => Held::Other,
            None if self.stream.last < sequence => Held::Other,
            None => Held::Nothing,
        }
    }

    /// `Bus::follow`.
    pub(crate) fn follow(&mut self) {
        self.session.phase = Phase::Made;
        self.session.consumer = self.stream.instance;
        self.session.delivered = self.session.look.behind;
    }

    /// The rest of `ingest::stream::attach`, and what `ingest::session` stores before it reads. The
    /// requests are one step: the consumer is asked last, and ends with its stream, so that the
    /// stream was the same one all the time.
    pub(crate) fn confirm(&mut self, rules: Rules) {
        if rules.have(Rule::CheckAgain) {
            let look = self.look_at_stream(rules);
            let was = self.session.look;
            let is_alive = self.session.consumer == self.stream.instance;
            if !is_alive || (look.epoch, look.held) != (was.epoch, was.held) {
                self.session = Session::default();
                return;
            }
            self.session.look = look;
        }
        let look = self.session.look;
        self.session.phase = Phase::Following;
        self.session.read = look.read;
        self.database.found = self.stream.instance;
        if look.held == Held::Other && rules.have(Rule::RestoredIsForgotten) {
            // The fingerprint of no message.
            let last = Message {
                sequence: look.read,
                ..Message::default()
            };
            let epoch = look.epoch;
            self.database.position = Some(Position { epoch, last });
        }
        let gone = self.gone_at_the_end(rules);
        self.database.add_missed(look.epoch, gone);
    }

    /// `ingest::missed::skipped`, its last part: once nothing is left to read, the sequences up to
    /// the end of the stream that were not read.
    fn gone_at_the_end(&mut self, rules: Rules) -> u16 {
        let (read, end) = (self.session.read, self.session.look.end);
        if end <= read || self.waiting().next().is_some() {
            return 0;
        }
        self.session.read = end;
        if rules.have(Rule::MissedAtTheEnd) {
            sequences(read + 1, end)
        } else {
            0
        }
    }

    /// `ingest::fetch::fetch`, and the jumps that `ingest::session` finds. If analytics can't die
    /// before the commit, nobody can tell when that happens, and it happens at once.
    pub(crate) fn fetch(&mut self, count: u8, bounds: &Bounds, rules: Rules) {
        let messages: Vec<Message> = self.waiting().copied().take(usize::from(count)).collect();
        let read_before = self.session.read;
        for message in messages {
            let session = &mut self.session;
            if rules.have(Rule::Jumps) && message.sequence > session.read + 1 {
                session.skipped |= sequences(session.read + 1, message.sequence - 1);
            }
            session.delivered = message.sequence;
            session.read = session.read.max(message.sequence);
            session.hand.push(message);
        }
        self.session.skipped |= self.gone_at_the_end(rules);
        self.session.are_old =
            self.session.delivered <= read_before && rules.have(Rule::PlaceStays);
        if !rules.have(Rule::OwnPosition) {
            self.save_position();
        }
        if bounds.consumer_crashes == 0 {
            self.commit(rules);
        }
    }

    /// `ingest::apply::apply` in one transaction.
    pub(crate) fn commit(&mut self, rules: Rules) {
        if !self.session.is_half {
            self.commit_counters(rules);
        }
        for message in self.session.hand {
            self.database.admit(message.batch);
        }
        self.database
            .add_missed(self.session.look.epoch, self.session.skipped);
        self.save_position();
        self.session.hand.truncate(0);
        self.session.skipped = 0;
        self.session.are_old = false;
        self.session.is_half = false;
    }

    /// The counters, and nothing else.
    pub(crate) fn commit_counters(&mut self, rules: Rules) {
        // Each message is counted against the numbers that the ones before it leave.
        let mut database = self.database;
        for message in self.session.hand {
            self.ghost.counted_twice |= database.count(message.batch, rules);
            database.admit(message.batch);
        }
        self.database.counted = database.counted;
        self.session.is_half = true;
    }

    fn save_position(&mut self) {
        if self.session.are_old {
            return;
        }
        if let Some(last) = self.session.hand.last() {
            self.database.position = Some(Position {
                epoch: self.session.look.epoch,
                last: *last,
            });
        }
    }

    /// The client makes a new consumer behind the last sequence, in whatever stream is there.
    pub(crate) fn recreate(&mut self) {
        self.session.consumer = self.stream.instance;
    }

    /// Whether analytics runs.
    pub(crate) fn consumer_is_off(&self) -> bool {
        self.session.phase == Phase::Off
    }

    /// Whether everything that the stream holds is applied, and what it lost is noted.
    pub(crate) fn all_applied(&self) -> bool {
        let session = &self.session;
        session.phase == Phase::Following
            && session.hand.is_empty()
            && session.consumer == self.stream.instance
            && session.read >= self.stream.last
            && self.waiting().next().is_none()
    }

    /// How far `retention::sweep` may delete: before this sequence.
    pub(crate) fn sweep_limit(&self, rules: Rules) -> Option<u8> {
        let epoch = self.stream.instance.epoch;
        let applied = self.database.position.filter(|at| at.epoch == epoch)?;
        let sequence = applied.last.sequence;
        let allowed = if rules.have(Rule::RecognisedBeforeDeleting) {
            self.held(applied, rules) == Held::Same
        } else {
            sequence <= self.stream.last
        };
        allowed.then_some(sequence)
    }
}
