use std::collections::BTreeMap;

use chassis::bus::{Bus, Start, StoredMessage};
use events::{Partition, SpoolReport, click, streams, subjects};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use crate::state::AppState;
use crate::store::position::Position;
use crate::store::{self, ledgers, position};

/// What everybody says. Read upstream first: what moves on meanwhile is seen further down, and
/// nothing seems lost that is not.
pub(super) struct Evidence {
    /// Of each spool that anybody knows.
    pub(super) spools: BTreeMap<Uuid, Spool>,
    /// The sequence up to which the stream as it is now was read.
    pub(super) read_up_to: u64,
    /// Messages that left the stream before they were read, over all times.
    pub(super) missed: u64,
    /// Messages that were set aside and not retried.
    pub(super) dead: u64,
}

/// What is known of one spool.
#[derive(Debug, Default, Clone)]
pub(super) struct Spool {
    /// What its redirector said last.
    pub(super) report: Option<SpoolReport>,
    /// When the server stored that, in milliseconds since 1970: the redirector's clock may be wrong.
    pub(super) reported_at_ms: i64,
    /// The last message of its subject.
    pub(super) stored: Option<Stored>,
    /// The next number that analytics expects.
    pub(super) next: u64,
    /// The numbers before that one that were never seen.
    pub(super) gaps: u64,
}

/// The last message of a spool's subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// The number behind its last click; none if it is no batch of the spool.
    pub(super) end: Option<u64>,
}

pub(super) async fn gather(state: &AppState) -> anyhow::Result<Evidence> {
    let mut spools = BTreeMap::<Uuid, Spool>::new();
    let partition = state.partition;
    let take = |message: StoredMessage| match SpoolReport::decode(&message.payload) {
        // The clicks of others are counted elsewhere.
        Ok(report) if !is_of(&report, partition) => {}
        Ok(report) => {
            let spool = spools.entry(report.spool).or_default();
            spool.report = Some(report);
            let stored_at_ms = i64::try_from(message.stored_at_ns / 1_000_000);
            spool.reported_at_ms = stored_at_ms.unwrap_or(i64::MAX);
        }
        Err(error) => tracing::warn!(subject = message.subject, %error, "unreadable report"),
    };
    last_messages(&state.bus, streams::SPOOLS.name, subjects::SPOOLS_ALL, take).await?;
    let clicks = state.clicks_stream();
    let filter: String = streams::CLICKS.subjects_in(partition).collect();
    let epoch = state.bus.epoch(&clicks).await?;
    let take = |message: StoredMessage| {
        let spool = message.subject.rsplit('.').next().map(str::parse::<Uuid>);
        // A subject without a spool is nobody's: its message is set aside by the ingest.
        let Some(Ok(spool)) = spool else { return };
        let end = click::decode_head(&message.payload)
            .ok()
            .filter(|(own, _, _)| *own == spool)
            .map(|(_, first, count)| first.saturating_add(u64::from(count)));
        spools.entry(spool).or_default().stored = Some(Stored {
            sequence: message.sequence,
            end,
        });
    };
    last_messages(&state.bus, &clicks, &filter, take).await?;
    let dead = dead(state).await?;
    let counted = state.database.read(|tx| {
        let position = position::load(tx, streams::CLICKS.name)?;
        Ok::<_, store::Error>((ledgers::all(tx)?, position, position::missed(tx)?))
    });
    let (ledgers, position, missed) = counted.await?;
    for (spool, next, gaps) in ledgers {
        let known = spools.entry(spool).or_default();
        (known.next, known.gaps) = (next, gaps);
    }
    Ok(Evidence {
        spools,
        read_up_to: read_up_to(position.as_ref(), &epoch),
        missed,
        dead,
    })
}

/// A position in another stream says nothing about this one.
fn read_up_to(position: Option<&Position>, epoch: &str) -> u64 {
    position
        .filter(|position| position.epoch == epoch)
        .map_or(0, |position| position.sequence)
}

/// Takes the last message of each subject, one by one: a batch has hundreds of kilobytes.
async fn last_messages(
    bus: &Bus,
    stream: &str,
    filter: &str,
    mut take: impl FnMut(StoredMessage),
) -> anyhow::Result<()> {
    let mut follow = bus
        .follow(stream, Some(filter), Start::LastPerSubject)
        .await?;
    // What comes while this reads is behind the last ones.
    while let Some(message) = follow.next_of_backlog().await? {
        take(message);
    }
    Ok(())
}

/// Whether what is reported is counted in this partition. Alone, it counts everything that was
/// divided by nobody.
fn is_of(report: &SpoolReport, partition: Partition) -> bool {
    report.partitions == partition.of()
        && (report.partition == partition.number() || !partition.is_one_of_many())
}

/// How many messages of this partition were set aside.
async fn dead(state: &AppState) -> anyhow::Result<u64> {
    let stream = state.bus.jetstream().get_stream(streams::DEAD.name).await?;
    if !state.partition.is_one_of_many() {
        return Ok(stream.cached_info().state.messages);
    }
    let own = subjects::dead(&state.clicks_stream());
    let counts = stream.info_with_subjects(&own).await?;
    let counts: Vec<(String, usize)> = counts.try_collect().await?;
    Ok(counts.iter().map(|(_, count)| *count as u64).sum())
}
