//! Redirectors and their spools: `services/redirector/src/spool*`, `recorder.rs`.

use crate::bounds::{Bounds, Rule, Rules};
use crate::list::List;
use crate::publisher::{Courier, Owner};
use crate::stream::Batch;
use crate::world::{CLICKS, PROCESSES, SPOOLS, Step, World, bit};

/// Clicks in a segment of a spool.
const SEGMENT: u8 = 2;

/// A spool's files.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Spool {
    pub(crate) id: u8,
    /// The number of the first click that is not deleted: where a segment begins.
    pub(crate) first: u8,
    /// Which click stands under each number from there on.
    pub(crate) clicks: List<u8, CLICKS>,
}

impl Spool {
    /// The number of the next click.
    pub(crate) fn next(self) -> u8 {
        self.first + u8::try_from(self.clicks.len()).unwrap_or(u8::MAX)
    }

    /// `Spool::batch`, `Chapter::batch`: so many clicks from `from` on.
    pub(crate) fn batch(self, from: u8, count: u8) -> Batch {
        let mut batch = Batch {
            spool: self.id,
            first: from,
            ..Batch::default()
        };
        let skip = usize::from(from - self.first);
        for click in self.clicks.iter().skip(skip).take(usize::from(count)) {
            batch.clicks.push(*click);
        }
        batch
    }

    /// The end of the segment that `first` begins, or of what is in it.
    pub(crate) fn end_of_chapter(self) -> u8 {
        self.next().min((self.first / SEGMENT + 1) * SEGMENT)
    }

    /// Deletes everything before `first`.
    fn cut(&mut self, first: u8) {
        while self.first < first && !self.clicks.is_empty() {
            self.clicks.remove(0);
            self.first += 1;
        }
    }

    /// `Spool::acknowledge`: deletes acknowledged segments, but for the one that is written.
    pub(crate) fn acknowledge(&mut self, next: u8) {
        let written = self.next().saturating_sub(1) / SEGMENT * SEGMENT;
        self.cut((next / SEGMENT * SEGMENT).min(written));
    }

    /// Deletes one by one: only without [`Rule::KeepUntilAcknowledged`].
    pub(crate) fn forget(&mut self, next: u8) {
        self.cut(next);
    }
}

/// A redirector, or one that was started with a copied folder.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Process {
    /// The spool that is written.
    pub(crate) spool: Spool,
    pub(crate) courier: Courier,
    /// `Leftover::find`: what earlier processes left, oldest first.
    pub(crate) left: List<Spool, 3>,
    /// Publishes the first of them.
    pub(crate) left_courier: Courier,
    /// Redirects answered over all starts.
    pub(crate) answered: u8,
    /// It was started with a copied folder; nobody visits it.
    pub(crate) is_copy: bool,
}

impl Process {
    pub(crate) fn new(spool: u8) -> Self {
        Self {
            spool: Spool {
                id: spool,
                ..Spool::default()
            },
            courier: Courier::of_new_spool(),
            left_courier: Courier::of_leftover(),
            ..Self::default()
        }
    }
}

impl World {
    pub(crate) fn spool_steps(&self, bounds: &Bounds, rules: Rules, steps: &mut Vec<Step>) {
        for (process, one) in self.processes.iter().enumerate() {
            if one.is_copy {
                continue;
            }
            if one.answered < bounds.clicks {
                steps.push(Step::Append { process });
            }
            if self.used.crashes < bounds.crashes && usize::from(self.spools) < SPOOLS {
                steps.push(Step::Crash { process });
            }
            if self.used.power < bounds.power && usize::from(self.spools) < SPOOLS {
                let kept = 0..u8::try_from(one.spool.clicks.len()).unwrap_or(0);
                steps.extend(kept.map(|keep| Step::LosePower { process, keep }));
            }
            let has_any = !one.spool.clicks.is_empty() || !one.left.is_empty();
            if self.used.copies < bounds.copies && has_any && rules.have(Rule::NewIdentity) {
                steps.push(Step::CopyFolder { process });
            }
        }
    }

    /// `Spool::open` draws an identity that was never used.
    pub(crate) fn open_spool(&mut self) -> u8 {
        self.spools += 1;
        self.spools - 1
    }

    /// `Spool::append`.
    pub(crate) fn append(&mut self, process: usize) {
        let process = &mut self.processes[process];
        let (spool, number) = (process.spool.id, process.spool.next());
        // `Spool::roll`: a full segment of which all is acknowledged makes room for the next one.
        if number.is_multiple_of(SEGMENT) && process.courier.position == number {
            process.spool.cut(number);
            process.spool.first = number;
        }
        // A number that was given before stands for another click now.
        let mut click = number;
        while self.ghost.answered & bit(spool, click) != 0 {
            click += 1;
        }
        self.ghost.given_twice |= self.ghost.given & bit(spool, number) != 0;
        self.ghost.given |= bit(spool, number);
        self.ghost.answered |= bit(spool, click);
        process.spool.clicks.push(click);
        process.answered += 1;
    }

    /// The process dies and starts again. Of the newest spool, `keep` clicks are read back.
    pub(crate) fn restart(&mut self, process: usize, keep: u8, rules: Rules) {
        for publish in &mut *self.network {
            if publish
                .owner
                .is_some_and(|owner| owner.process() == process)
            {
                publish.owner = None;
            }
        }
        self.network.sort_unstable();
        let mut spool = self.processes[process].spool;
        let lost = spool.clicks.iter().skip(usize::from(keep));
        let torn = lost.fold(0, |torn, click| torn | bit(spool.id, *click));
        self.ghost.torn |= torn;
        spool.clicks.truncate(keep);
        let one = &mut self.processes[process];
        one.left_courier = Courier::of_leftover();
        if !rules.have(Rule::NewIdentity) {
            one.spool = spool;
            one.courier = Courier::of_leftover();
            one.courier.position = spool.first;
            return;
        }
        if !spool.clicks.is_empty() {
            one.left.push(spool);
        }
        let id = self.open_spool();
        let one = &mut self.processes[process];
        one.spool = Spool {
            id,
            ..Spool::default()
        };
        one.courier = Courier::of_new_spool();
    }

    /// Another redirector finds in its folder what is in this one's.
    pub(crate) fn copy_folder(&mut self, process: usize) {
        self.used.copies += 1;
        assert!(self.processes.len() < PROCESSES, "too many redirectors");
        let one = self.processes[process];
        let mut left = one.left;
        if !one.spool.clicks.is_empty() {
            left.push(one.spool);
        }
        self.processes.push(Process {
            left,
            is_copy: true,
            left_courier: Courier::of_leftover(),
            courier: Courier::of_new_spool(),
            ..Process::default()
        });
    }

    /// The segment, or the whole spool, is in the stream.
    pub(crate) fn delete_leftover(&mut self, process: usize) {
        let one = &mut self.processes[process];
        let spool = &mut one.left[0];
        spool.cut(spool.end_of_chapter());
        if spool.clicks.is_empty() {
            one.left.remove(0);
            one.left_courier = Courier::of_leftover();
        }
    }

    /// Whether a leftover's segment is done: `publish_chapter` returns.
    pub(crate) fn chapter_is_done(&self, owner: Owner) -> bool {
        let one = &self.processes[owner.process()];
        one.left[0].end_of_chapter() <= one.left_courier.position
    }
}
