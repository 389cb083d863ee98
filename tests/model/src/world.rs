//! The state, and every step out of it.

use crate::bounds::{Bounds, Rules};
use crate::consumer::Session;
use crate::database::Database;
use crate::list::List;
use crate::publisher::{Owner, Publish};
use crate::spool::Process;
use crate::stream::{Purged, Stream};

/// Redirectors, copies of them included.
pub(crate) const PROCESSES: usize = 3;
/// Spools that can be opened in a run.
pub(crate) const SPOOLS: usize = 6;
/// Clicks of one spool.
pub(crate) const CLICKS: usize = 4;

/// A set of clicks, or of numbers, of all spools.
pub(crate) type Clicks = u32;

/// The bit of a spool's click.
pub(crate) fn bit(spool: u8, number: u8) -> Clicks {
    assert!(
        usize::from(spool) < SPOOLS && usize::from(number) < CLICKS,
        "the bounds are too wide for the model"
    );
    1 << (usize::from(spool) * CLICKS + usize::from(number))
}

/// Everything there is.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct World {
    pub(crate) processes: List<Process, PROCESSES>,
    /// Spools opened so far: the next one's identity.
    pub(crate) spools: u8,
    /// Publishes on their way.
    pub(crate) network: List<Publish, 8>,
    pub(crate) stream: Stream,
    pub(crate) database: Database,
    pub(crate) session: Session,
    pub(crate) stream_backup: Option<Stream>,
    pub(crate) database_backup: Option<Database>,
    pub(crate) used: Used,
    pub(crate) ghost: Ghost,
}

/// How often something has happened.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Used {
    pub(crate) network: u8,
    pub(crate) crashes: u8,
    pub(crate) power: u8,
    pub(crate) copies: u8,
    pub(crate) consumer_crashes: u8,
    pub(crate) sweeps: u8,
    pub(crate) purges: u8,
    pub(crate) anew: u8,
    pub(crate) stream_restores: u8,
    pub(crate) database_restores: u8,
}

/// What only the one who checks knows.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, Default)]
pub(crate) struct Ghost {
    /// Clicks that were answered.
    pub(crate) answered: Clicks,
    /// Numbers that were given.
    pub(crate) given: Clicks,
    /// A number was given twice.
    pub(crate) given_twice: bool,
    /// A click was counted twice.
    pub(crate) counted_twice: bool,
    /// The retention deleted a click that was not counted.
    pub(crate) swept_uncounted: bool,
    /// Clicks that a spool lost with the power.
    pub(crate) torn: Clicks,
    /// Clicks of messages that were deleted, once, from some stream.
    pub(crate) gone: Clicks,
    /// Messages deleted from the stream as it is now.
    pub(crate) purged: List<Purged, 10>,
    /// Clicks that were in a stream and are not in the one that took its place.
    pub(crate) replaced: Clicks,
}

/// A step. `process` is an index, `left` says which of its two publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A redirect is answered: `Recorder::record`, `Spool::append`.
    Append { process: usize },
    /// `Courier::find_place`.
    FindPlace { owner: Owner },
    /// `Courier::send` up to the wait.
    Send { owner: Owner, count: u8 },
    /// The stream takes or refuses a publish; the answer arrives if somebody still waits.
    Store { at: usize },
    /// The stream takes or refuses it, and the answer is lost.
    StoreAndLoseAnswer { at: usize },
    /// A publish is lost.
    Lose { at: usize },
    /// The publisher's time is up (`ACK_TIMEOUT`); the publish is still on its way.
    GiveUp { at: usize },
    /// `Leftover::delete_first`, `Leftover::retire`.
    DeleteLeftover { process: usize },
    /// kill -9 and a new start: `Recorder::open`.
    Crash { process: usize },
    /// The machine dies; the newest spool keeps only so many clicks.
    LosePower { process: usize, keep: u8 },
    /// The folder is copied, and another redirector starts with it.
    CopyFolder { process: usize },
    /// `ingest::stream::attach`, the first look.
    Look,
    /// `Bus::follow`: the server makes the consumer.
    Follow,
    /// `ingest::stream::attach`, the second look, and what follows from it: `ingest::missed::note`.
    Confirm,
    /// `ingest::fetch::fetch`.
    Fetch { count: u8 },
    /// `ingest::apply::apply`, committed.
    Commit,
    /// Only without [`crate::Rule::OneTransaction`]: the counters alone.
    CommitCounters,
    /// `ingest::session` ends: `Watch::changed`, or the consumer is gone.
    EndSession,
    /// Only without [`crate::Rule::OneConsumer`]: the client makes another consumer by itself.
    Recreate,
    /// kill -9 of analytics.
    CrashConsumer,
    /// `retention::sweep`; everything before this sequence.
    Sweep { before: u8 },
    /// Somebody purges everything before this sequence.
    Purge { before: u8 },
    /// Somebody deletes one message.
    Delete { sequence: u8 },
    /// Somebody deletes the stream; `Bus::declare` makes another.
    MakeAnew,
    /// A backup of the stream.
    BackUpStream,
    /// The stream is what it was in the backup.
    RestoreStream,
    /// A backup of the database.
    BackUpDatabase,
    /// The database is what it was in the backup.
    RestoreDatabase,
}

impl World {
    /// Every redirector has opened its spool, the stream is empty, analytics is stopped.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let mut world = Self::default();
        for _ in 0..bounds.redirectors {
            let spool = world.open_spool();
            world.processes.push(Process::new(spool));
        }
        world
    }

    /// Every step that can be taken.
    pub(crate) fn steps(&self, bounds: &Bounds, rules: Rules, steps: &mut Vec<Step>) {
        steps.clear();
        self.spool_steps(bounds, rules, steps);
        self.publisher_steps(bounds, rules, steps);
        self.consumer_steps(bounds, rules, steps);
        self.operator_steps(bounds, rules, steps);
    }

    /// The world behind a step.
    pub(crate) fn after(&self, step: Step, bounds: &Bounds, rules: Rules) -> Self {
        let mut world = *self;
        match step {
            Step::Append { process } => world.append(process),
            Step::Crash { process } => {
                world.used.crashes += 1;
                world.restart(process, u8::MAX, rules);
            }
            Step::LosePower { process, keep } => {
                world.used.power += 1;
                world.restart(process, keep, rules);
            }
            Step::CopyFolder { process } => world.copy_folder(process),
            Step::FindPlace { owner } => world.find_place(owner),
            Step::Send { owner, count } => world.send(owner, count, rules),
            Step::Store { at } => world.store(at, true, bounds, rules),
            Step::StoreAndLoseAnswer { at } => world.store(at, false, bounds, rules),
            Step::Lose { at } => world.lose(at),
            Step::GiveUp { at } => world.give_up(at),
            Step::DeleteLeftover { process } => world.delete_leftover(process),
            Step::Look => world.look(bounds, rules),
            Step::Follow => world.follow(),
            Step::Confirm => world.confirm(rules),
            Step::Fetch { count } => world.fetch(count, bounds, rules),
            Step::Commit => world.commit(rules),
            Step::CommitCounters => world.commit_counters(rules),
            Step::EndSession => world.session = Session::default(),
            Step::Recreate => world.recreate(),
            Step::CrashConsumer => {
                world.used.consumer_crashes += 1;
                world.session = Session::default();
            }
            Step::Sweep { before } => {
                // As often as it likes, if there is no bound.
                world.used.sweeps += u8::from(bounds.sweeps != u8::MAX);
                world.sweep(before);
            }
            Step::Purge { before } => {
                world.used.purges += 1;
                world.excuse(|sequence| sequence < before);
                world.purge(before);
            }
            Step::Delete { sequence } => {
                world.used.purges += 1;
                world.excuse(|deleted| deleted == sequence);
                world.delete(sequence);
            }
            Step::MakeAnew => world.make_anew(),
            Step::BackUpStream => world.stream_backup = Some(world.stream),
            Step::RestoreStream => world.restore_stream(),
            Step::BackUpDatabase => world.database_backup = Some(world.database),
            Step::RestoreDatabase => world.restore_database(),
        }
        world
    }
}
