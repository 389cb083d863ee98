//! Keeps the link table equal to the bucket.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use chassis::backoff::Backoff;
use chassis::bus::{Bus, Follow, Start, StoredMessage};
use chassis::ready::Latch;
use chassis::shutdown::Shutdown;
use events::LinkRecord;
use events::streams::LINKS;
use events::subjects::link_code;
use futures_util::FutureExt as _;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Link, LinkTable, Place, Progress};
use crate::meters::TableMeters;

/// How often the follower makes sure that it still follows the same stream and misses nothing. Two
/// small requests; a stream that was made anew is noticed within this time.
const CHECK: Duration = Duration::from_secs(2);

/// After how many checks a full read counts as settled though values keep coming: a minute, far
/// longer than it takes to fill a new bucket with a million links.
const SETTLED_AFTER: u32 = 30;

/// How many messages are taken at once while the bucket is read, on another thread: enough that
/// handing them over costs nothing, few enough that they are no memory to speak of.
const MANY: usize = 256;

/// How many changes are taken at once after that, on the thread that may answer visitors: it is
/// theirs again after some 50 µs. Another thread could be held up, by others that need the
/// processors, while it changes a part of the table, and that part's visitors with it.
const FEW: usize = 16;

/// The header that marks a deleted key of a bucket, with `DEL` or `PURGE`.
const OPERATION: &str = "KV-Operation";
/// The header that marks a key whose value the server itself removed.
const MARKER: &str = "Nats-Marker-Reason";

/// Follows the bucket for as long as the process lives.
#[derive(Debug)]
pub struct Follower {
    /// What is kept equal.
    pub table: Arc<LinkTable>,
    /// How far it has come; set beforehand if a snapshot was loaded.
    pub progress: Arc<Progress>,
    /// What is measured.
    pub meters: Arc<TableMeters>,
    /// Where the bucket is.
    pub bus: Bus,
    /// When to stop.
    pub shutdown: Shutdown,
    /// Opened once the table has caught up.
    pub ready: Arc<Latch>,
}

/// How far the table has come in one stream.
#[derive(Debug)]
struct Reading {
    epoch: Arc<str>,
    /// The last message that is in the table.
    sequence: u64,
    /// The table may hold what this stream does not: a full read is under way.
    stale: bool,
    /// Everything that was there when the reading began is in the table.
    caught_up: bool,
    /// Checks since then.
    checks: u32,
}

/// The stream as the server describes it.
struct Described {
    epoch: Arc<str>,
    last_sequence: u64,
}

impl Follower {
    /// Runs until the shutdown begins. A bus that is away is waited for; the table stays as it is.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let mut reading = self.progress.place().map(Reading::from);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                end = self.read(&mut reading, &mut backoff) => if let Err(error) = end {
                    tracing::info!(error = format!("{error:#}"), "link table: following anew");
                },
            }
            backoff.wait(&self.shutdown).await;
        }
    }

    /// Follows the stream from where the table stands, until something breaks.
    async fn read(
        &self,
        reading: &mut Option<Reading>,
        backoff: &mut Backoff,
    ) -> anyhow::Result<()> {
        let stream = self.describe().await?;
        let resumed = reading.take().filter(|reading| {
            reading.epoch == stream.epoch && reading.sequence <= stream.last_sequence
        });
        let reading = reading.insert(resumed.unwrap_or_else(|| self.begin(&stream)));
        let start = match reading.sequence {
            0 => Start::First,
            sequence => Start::Sequence(sequence + 1),
        };
        let follow = self.bus.follow(LINKS.name, None, start).await?;
        backoff.reset();
        if reading.sequence == 0 {
            let backlog = usize::try_from(follow.backlog()).unwrap_or(usize::MAX);
            self.table.expect(backlog);
        }
        if follow.backlog() == 0 {
            self.caught_up(reading);
        }
        self.keep_up(reading, follow, stream.last_sequence).await
    }

    async fn keep_up(
        &self,
        reading: &mut Reading,
        mut follow: Follow,
        first_last: u64,
    ) -> anyhow::Result<()> {
        let mut check = every(CHECK);
        let (mut last_check, mut last_known) = (reading.sequence, first_last);
        loop {
            tokio::select! {
                chunk = chunk(&mut follow, reading.at_once()) => {
                    let Chunk { messages, end } = chunk;
                    self.take(reading, messages).await?;
                    if let Some(error) = end {
                        return Err(error);
                    }
                }
                _ = check.tick() => {
                    // Without an answer nothing is known, and the table stays as it is.
                    let Ok(stream) = self.describe().await else { continue };
                    ensure!(stream.epoch == reading.epoch, "the bucket was made anew");
                    ensure!(stream.last_sequence >= reading.sequence, "the bucket was restored");
                    let still = reading.sequence == last_check;
                    // What was there before we began may have been purged since.
                    let due = last_known > first_last || !reading.caught_up;
                    let missed = still && due && last_known > reading.sequence;
                    ensure!(!missed, "changes of the bucket stay away");
                    self.settle(reading, still);
                    (last_check, last_known) = (reading.sequence, stream.last_sequence);
                }
            }
        }
    }

    async fn describe(&self) -> anyhow::Result<Described> {
        let epoch = self.bus.epoch(LINKS.name).await?;
        let stream = self.bus.jetstream().get_stream(LINKS.name).await?;
        let last_sequence = stream.cached_info().state.last_sequence;
        Ok(Described {
            epoch: epoch.into(),
            last_sequence,
        })
    }

    /// Begins a full read. What the table holds is served meanwhile.
    fn begin(&self, stream: &Described) -> Reading {
        self.progress.mixed();
        self.table.begin_round();
        Reading {
            epoch: stream.epoch.clone(),
            sequence: 0,
            stale: self.table.len() > 0,
            caught_up: false,
            checks: 0,
        }
    }

    fn caught_up(&self, reading: &mut Reading) {
        reading.caught_up = true;
        if !reading.stale {
            self.progress.reached(reading.place());
        }
        if self.progress.caught_up() {
            tracing::info!(links = self.table.len(), "the link table has caught up");
            self.meters.snapshot_age.set(0.0);
            self.meters.links.set(count(self.table.len()));
        }
        self.table.complete();
        self.ready.open();
    }

    /// Ends a full read once no more values come: a bucket that was lost is being filled again
    /// after it was made, and links must not vanish until their turn has come. An empty bucket
    /// drops nothing at all: it is a lost one.
    fn settle(&self, reading: &mut Reading, still: bool) {
        if !reading.stale || !reading.caught_up {
            return;
        }
        reading.checks += 1;
        if reading.sequence == 0 {
            if reading.checks == 1 {
                tracing::warn!(
                    links = self.table.len(),
                    "the bucket is empty: serving what it had"
                );
            }
            return;
        }
        if still || reading.checks >= SETTLED_AFTER {
            let dropped = self.table.end_round();
            tracing::info!(
                dropped,
                links = self.table.len(),
                "the link table was read anew"
            );
            self.meters.links.set(count(self.table.len()));
            reading.stale = false;
            self.progress.reached(reading.place());
        }
    }

    /// Takes changes into the table, in their order.
    async fn take(
        &self,
        reading: &mut Reading,
        messages: Vec<StoredMessage>,
    ) -> anyhow::Result<()> {
        let Some(last) = messages.last() else {
            return Ok(());
        };
        let (sequence, pending) = (last.sequence, last.pending);
        let mut before = reading.sequence;
        for message in &messages {
            ensure!(message.sequence > before, "the bucket was made anew");
            before = message.sequence;
        }
        let (table, meters) = (Arc::clone(&self.table), Arc::clone(&self.meters));
        let apply = move || messages.iter().for_each(|one| apply(&table, &meters, one));
        if reading.caught_up {
            apply();
        } else {
            // Meanwhile the next messages are taken from the connection.
            tokio::task::spawn_blocking(apply).await?;
        }
        reading.sequence = sequence;
        self.progress.advanced(sequence);
        self.meters.links.set(count(self.table.len()));
        if pending == 0 {
            self.caught_up(reading);
        }
        Ok(())
    }
}

/// Messages, and why there are no more of them, if that is so.
struct Chunk {
    messages: Vec<StoredMessage>,
    end: Option<anyhow::Error>,
}

/// Waits for a message, and takes what else is there already, up to so many. Nothing is lost if it is
/// dropped while it waits.
async fn chunk(follow: &mut Follow, most: usize) -> Chunk {
    let mut messages = Vec::new();
    let mut next = Some(follow.next().await);
    while let Some(message) = next {
        match message {
            Some(Ok(message)) => messages.push(message),
            Some(Err(error)) => {
                return Chunk {
                    messages,
                    end: Some(error.into()),
                };
            }
            None => {
                let end = Some(anyhow!("the follow of the bucket has ended"));
                return Chunk { messages, end };
            }
        }
        if messages.len() == most {
            break;
        }
        next = follow.next().now_or_never();
    }
    Chunk {
        messages,
        end: None,
    }
}

fn apply(table: &LinkTable, meters: &TableMeters, message: &StoredMessage) {
    let Some(code) = link_code(&message.subject) else {
        return;
    };
    if is_deletion(message) {
        table.remove(code);
        return;
    }
    match link(code, &message.payload) {
        Ok(link) => {
            table.put(link);
        }
        Err(error) => {
            meters.refused.increment(1);
            let sequence = message.sequence;
            tracing::warn!(code, sequence, error = format!("{error:#}"), "not a link");
        }
    }
}

impl Reading {
    fn at_once(&self) -> usize {
        if self.caught_up { FEW } else { MANY }
    }

    fn place(&self) -> Place {
        Place {
            epoch: self.epoch.clone(),
            sequence: self.sequence,
        }
    }
}

impl From<Place> for Reading {
    fn from(place: Place) -> Self {
        let Place { epoch, sequence } = place;
        Self {
            epoch,
            sequence,
            stale: false,
            caught_up: false,
            checks: 0,
        }
    }
}

fn link(code: &str, value: &[u8]) -> anyhow::Result<Link> {
    let record = LinkRecord::decode(value)?;
    ensure!(record.code == code, "it is the value of another code");
    Ok(Link::pack(&record)?)
}

fn is_deletion(message: &StoredMessage) -> bool {
    let operation = message
        .headers
        .get(OPERATION)
        .map(async_nats::HeaderValue::as_str);
    matches!(operation, Some("DEL" | "PURGE")) || message.headers.get(MARKER).is_some()
}

/// A gauge is a float, exact far beyond any table.
pub fn count(links: usize) -> f64 {
    u32::try_from(links).map_or(f64::INFINITY, f64::from)
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}
