//! What may happen how often, and which rules hold.

/// How much of everything there is in a run. All are upper bounds: the exploration visits every
/// state that can be reached within them.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Redirectors that run from the beginning, each with a spool.
    pub redirectors: u8,
    /// Clicks that one redirector answers, over all of its starts.
    pub clicks: u8,
    /// Clicks in a batch.
    pub batch: u8,
    /// Publishes that are lost, whose acknowledgement is lost, or that the publisher gives up while
    /// they are still on their way (and may be stored at any later time).
    pub network: u8,
    /// Deaths of a redirector. Each is followed by a start with a new spool.
    pub crashes: u8,
    /// Deaths of a redirector's machine: the spool also loses any part of its tail.
    pub power: u8,
    /// Copies of a spool folder, used by another redirector at any later time.
    pub copies: u8,
    /// Deaths of analytics, at every moment.
    pub consumer_crashes: u8,
    /// Sweeps of the retention, each as far as analytics ever lets it go.
    pub sweeps: u8,
    /// Messages that the stream holds at most.
    pub capacity: u8,
    /// Deletions by hand: of one message, or of all before any.
    pub purges: u8,
    /// Times that the stream is deleted and made anew.
    pub anew: u8,
    /// Restores of the stream from a backup that was made at any moment.
    pub stream_restores: u8,
    /// Restores of the database from a backup that was made at any moment.
    pub database_restores: u8,
}

impl Bounds {
    /// One redirector with three clicks; nothing fails.
    pub const QUIET: Self = Self {
        redirectors: 1,
        clicks: 3,
        batch: 2,
        network: 0,
        crashes: 0,
        power: 0,
        copies: 0,
        consumer_crashes: 0,
        sweeps: 0,
        capacity: u8::MAX,
        purges: 0,
        anew: 0,
        stream_restores: 0,
        database_restores: 0,
    };

    /// Whether the stream can become another one.
    pub(crate) fn replace_the_stream(&self) -> bool {
        self.anew > 0 || self.stream_restores > 0
    }
}

/// A mechanism that can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A batch fits only behind its predecessor (`Nats-Expected-Last-Subject-Sequence`).
    ExpectedSequence,
    /// In doubt, the last message is read; else a refusal is taken for "it is there already".
    ReadWhatIsThere,
    /// Each start opens a new spool; else it goes on in the one that is there.
    NewIdentity,
    /// A click stays in the spool until it is acknowledged; else until it is sent.
    KeepUntilAcknowledged,
    /// Numbers below the next one are seen; else every message is applied.
    Ledger,
    /// Counters, numbers and position are one transaction; else the counters come first.
    OneTransaction,
    /// The position is the database's; else the broker's, moved when a message is delivered.
    OwnPosition,
    /// The position knows which stream it is of.
    Epoch,
    /// The position knows which message it stands on.
    Fingerprint,
    /// The fingerprint holds the time of storing; else the payload alone.
    StoredTime,
    /// One consumer of the server for each session: when the server loses it, the place is found
    /// anew; else reading goes on behind the last sequence.
    OneConsumer,
    /// The place is checked once more when the consumer is there.
    CheckAgain,
    /// The retention deletes only if the stream holds the message that was read last.
    RecognisedBeforeDeleting,
    /// A jump of the sequence is stored as missed.
    Jumps,
    /// What is missing at the end of the stream is stored as missed when there is nothing to read.
    MissedAtTheEnd,
    /// In a restored stream the old position says nothing about what was read.
    RestoredIsUnread,
    /// Once a stream is known to be a restored one, the old position is given up at once.
    RestoredIsForgotten,
    /// What is read again leaves the position where it is.
    PlaceStays,
}

/// All rules, or all but one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    without: Option<Rule>,
}

impl Rules {
    /// The product's.
    pub const ALL: Self = Self { without: None };

    /// All but one.
    pub const fn without(rule: Rule) -> Self {
        Self {
            without: Some(rule),
        }
    }

    pub(crate) fn have(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
