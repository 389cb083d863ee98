//! `services/redirector/src/publisher*`.

use crate::bounds::{Bounds, Rule, Rules};
use crate::spool::Spool;
use crate::stream::{BATCH, Batch};
use crate::world::{Step, World};

/// Which publisher: that of a process's own spool (even), or of what earlier ones left (odd).
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Owner(u8);

impl Owner {
    fn new(process: usize, is_left: bool) -> Self {
        Self(u8::try_from(process * 2).unwrap_or(u8::MAX) + u8::from(is_left))
    }

    pub(crate) fn process(self) -> usize {
        usize::from(self.0 / 2)
    }

    fn is_left(self) -> bool {
        self.0 % 2 == 1
    }
}

/// A batch on its way to the stream.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Publish {
    pub(crate) batch: Batch,
    /// `Nats-Expected-Last-Subject-Sequence`.
    pub(crate) expected: u8,
    /// Who waits for the answer.
    pub(crate) owner: Option<Owner>,
}

impl Publish {
    fn key(&self) -> impl Ord {
        let batch = &self.batch;
        (
            self.owner,
            batch.spool,
            batch.first,
            batch.next(),
            self.expected,
        )
    }
}

impl Ord for Publish {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Publish {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// `publisher::courier::Courier`.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Courier {
    /// Every click before this one is in the stream.
    pub(crate) position: u8,
    /// The sequence of the subject's last message.
    expected: Option<u8>,
    /// A batch is on its way.
    is_waiting: bool,
}

impl Courier {
    /// `Courier::new`.
    pub(crate) fn of_new_spool() -> Self {
        Self {
            expected: Some(0),
            ..Self::default()
        }
    }

    /// `Courier::of_leftover`.
    pub(crate) fn of_leftover() -> Self {
        Self::default()
    }

    fn is_in_doubt(self) -> bool {
        self.expected.is_none() && !self.is_waiting
    }
}

impl World {
    fn courier(&self, owner: Owner) -> (&Courier, &Spool) {
        let process = &self.processes[owner.process()];
        if owner.is_left() {
            (&process.left_courier, &process.left[0])
        } else {
            (&process.courier, &process.spool)
        }
    }

    fn courier_mut(&mut self, owner: Owner) -> (&mut Courier, &mut Spool) {
        let process = &mut self.processes[owner.process()];
        if owner.is_left() {
            (&mut process.left_courier, &mut process.left[0])
        } else {
            (&mut process.courier, &mut process.spool)
        }
    }

    pub(crate) fn publisher_steps(&self, bounds: &Bounds, rules: Rules, steps: &mut Vec<Step>) {
        for process in 0..self.processes.len() {
            if !self.processes[process].is_copy {
                self.courier_steps(Owner::new(process, false), bounds, steps);
            }
            if !self.processes[process].left.is_empty() {
                let owner = Owner::new(process, true);
                self.courier_steps(owner, bounds, steps);
                if self.courier(owner).0.expected.is_some() && self.chapter_is_done(owner) {
                    steps.push(Step::DeleteLeftover { process });
                }
            }
        }
        for (at, publish) in self.network.iter().enumerate() {
            steps.push(Step::Store { at });
            if publish.owner.is_none() {
                steps.push(Step::Lose { at });
            } else if self.used.network < bounds.network {
                // Without this rule a refusal and a lost answer would be told apart.
                if rules.have(Rule::ReadWhatIsThere) {
                    steps.push(Step::Lose { at });
                }
                steps.extend([Step::StoreAndLoseAnswer { at }, Step::GiveUp { at }]);
            }
        }
    }

    fn courier_steps(&self, owner: Owner, bounds: &Bounds, steps: &mut Vec<Step>) {
        let (courier, spool) = self.courier(owner);
        if courier.is_waiting {
            return;
        }
        if courier.is_in_doubt() {
            steps.push(Step::FindPlace { owner });
            return;
        }
        let end = if owner.is_left() {
            spool.end_of_chapter()
        } else {
            spool.next()
        };
        let from = courier.position.max(spool.first);
        let most = end.saturating_sub(from).min(bounds.batch);
        steps.extend((1..=most).map(|count| Step::Send { owner, count }));
    }

    /// `Courier::find_place`, and what follows at once: `Lane::acknowledge`, `Courier::skip_to`.
    /// Between the leader's answer and its arrival the publisher does nothing, so that whatever is
    /// stored in that time is stored behind this step.
    pub(crate) fn find_place(&mut self, owner: Owner) {
        let id = self.courier(owner).1.id;
        let found = self.stream.last_of(id).copied();
        let (courier, spool) = self.courier_mut(owner);
        courier.expected = Some(found.map_or(0, |message| message.sequence));
        let mut stored = found.map_or(0, |message| message.batch.next());
        if !owner.is_left() {
            stored = stored.min(spool.next());
        }
        courier.position = courier.position.max(stored).max(spool.first);
        if !owner.is_left() {
            let position = courier.position;
            spool.acknowledge(position);
        }
    }

    /// `Courier::send`.
    pub(crate) fn send(&mut self, owner: Owner, count: u8, rules: Rules) {
        assert!(usize::from(count) <= BATCH, "too many clicks in a batch");
        let (courier, spool) = self.courier_mut(owner);
        courier.position = courier.position.max(spool.first);
        let batch = spool.batch(courier.position, count);
        courier.is_waiting = true;
        let expected = courier.expected.take().unwrap_or_default();
        if !rules.have(Rule::KeepUntilAcknowledged) {
            spool.forget(batch.next());
        }
        self.network.push(Publish {
            batch,
            expected,
            owner: Some(owner),
        });
        self.network.sort_unstable();
    }

    /// The acknowledgement arrives.
    pub(crate) fn acknowledged(&mut self, owner: Owner, next: u8, sequence: u8) {
        let (courier, spool) = self.courier_mut(owner);
        courier.is_waiting = false;
        courier.expected = Some(sequence);
        courier.position = next;
        if !owner.is_left() {
            spool.acknowledge(next);
        }
    }

    /// No acknowledgement arrives: an error, or nothing in time.
    pub(crate) fn refused(&mut self, owner: Owner, next: u8, is_heard: bool, rules: Rules) {
        let last = self.stream.last_of(self.courier(owner).1.id);
        let last = last.map_or(0, |message| message.sequence);
        let (courier, _) = self.courier_mut(owner);
        courier.is_waiting = false;
        courier.expected = None;
        if !rules.have(Rule::ReadWhatIsThere) && is_heard {
            courier.expected = Some(last);
            courier.position = next;
        }
    }

    /// A publish is lost. Whoever waits for it is in doubt when its time is up.
    pub(crate) fn lose(&mut self, at: usize) {
        let publish = self.network.remove(at);
        if let Some(owner) = publish.owner {
            self.used.network += 1;
            self.refused(owner, 0, false, Rules::ALL);
        }
    }

    /// Nobody waits any more; the publish goes on.
    pub(crate) fn give_up(&mut self, at: usize) {
        self.used.network += 1;
        if let Some(owner) = self.network[at].owner.take() {
            self.refused(owner, 0, false, Rules::ALL);
        }
        self.network.sort_unstable();
    }

    /// Whether nothing of a process is left to publish.
    pub(crate) fn all_published(&self) -> bool {
        self.network.is_empty()
            && self.processes.iter().all(|process| {
                let own = &process.courier;
                let done = own.position >= process.spool.next() && own.expected.is_some();
                process.left.is_empty() && (done || process.is_copy)
            })
    }
}
