//! Says on the bus how far each spool was appended and acknowledged, so that the audit can tell
//! what is on its way from what is lost.
//!
//! Nothing waits for a report and nobody retries one: the next one says more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use chassis::bus::Bus;
use chassis::clock::Clock;
use chassis::service::Context;
use chassis::shutdown::Shutdown;
use events::{Partition, SpoolReport, SpoolState, streams, subjects};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::recorder::Lane;

/// How often it is looked whether there is news.
const PAUSE: Duration = Duration::from_secs(5);
/// Rounds after which a spool is reported even without news: once a minute, so that a spool that is
/// idle differs from one whose redirector is gone.
const IDLE_ROUNDS: u32 = 12;
/// How long one report, or one question for an earlier one, may take.
const LIMIT: Duration = Duration::from_secs(2);

/// What is known of each spool; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standings(Arc<Mutex<BTreeMap<Uuid, Standing>>>);

/// How far one spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    partition: Partition,
    appended: u64,
    acknowledged: u64,
    state: SpoolState,
    /// Whether an earlier process wrote it: then its report on the bus is the beginning.
    inherited: bool,
}

impl Standings {
    /// An earlier process left this spool: nothing of it was read yet.
    pub(crate) fn inherit(&self, spool: Uuid, partition: Partition) {
        let standing = Standing {
            partition,
            appended: 0,
            acknowledged: 0,
            state: SpoolState::Open,
            inherited: true,
        };
        self.lock().insert(spool, standing);
    }

    /// So far a spool is now. Numbers never fall.
    pub(crate) fn set(&self, spool: Uuid, partition: Partition, appended: u64, acknowledged: u64) {
        let mut standings = self.lock();
        let standing = standings.entry(spool).or_insert(Standing {
            partition,
            appended,
            acknowledged,
            state: SpoolState::Open,
            inherited: false,
        });
        standing.appended = standing.appended.max(appended);
        standing.acknowledged = standing.acknowledged.max(acknowledged);
    }

    /// Nothing more of a spool will be published.
    pub(crate) fn retire(&self, spool: Uuid) {
        if let Some(standing) = self.lock().get_mut(&spool) {
            standing.state = SpoolState::Retired;
        }
    }

    /// Every click of this spool before this one is in the stream.
    pub(super) fn acknowledged(&self, spool: Uuid) -> u64 {
        self.lock()
            .get(&spool)
            .map_or(0, |standing| standing.acknowledged)
    }

    /// Whether nothing more of it will be published.
    pub(super) fn is_retired(&self, spool: Uuid) -> bool {
        self.lock()
            .get(&spool)
            .is_some_and(|standing| standing.state == SpoolState::Retired)
    }

    fn snapshot(&self) -> Vec<(Uuid, Standing)> {
        self.lock()
            .iter()
            .map(|(spool, standing)| (*spool, *standing))
            .collect()
    }

    /// Every change is a few stores: a panic in between can't leave half of one.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports until everything was published or given up, and once more then.
pub(super) fn start(
    standings: Standings,
    lanes: &[Arc<Lane>],
    publishers: Publishers,
    context: &Context,
) {
    let lanes = lanes.to_vec();
    let announcer = Announcer {
        bus: context.bus.clone(),
        clock: context.clock.clone(),
        standings,
        told: BTreeMap::new(),
    };
    let shutdown = context.shutdown.clone();
    context
        .shutdown
        .spawn("spool reports", run(announcer, lanes, publishers, shutdown));
}

/// Counts the publishers that still run: the last report comes behind their last word.
#[derive(Debug, Clone)]
pub(super) struct Publishers {
    running: tokio::sync::watch::Sender<usize>,
}

impl Publishers {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            running: tokio::sync::watch::Sender::new(0),
        }
    }

    /// One more, until the guard is dropped.
    pub(super) fn enter(&self) -> PublisherGuard {
        self.running.send_modify(|running| *running += 1);
        PublisherGuard(self.clone())
    }

    /// Waits until none runs.
    pub(super) async fn all_done(&self) {
        // The sender lives as long as `self`.
        let _ = self
            .running
            .subscribe()
            .wait_for(|running| *running == 0)
            .await;
    }
}

/// A publisher that runs.
#[derive(Debug)]
pub(super) struct PublisherGuard(Publishers);

impl Drop for PublisherGuard {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}

async fn run(
    mut announcer: Announcer,
    lanes: Vec<Arc<Lane>>,
    publishers: Publishers,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut rounds = interval(PAUSE);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = async {
        shutdown.drained().await;
        publishers.all_done().await;
    };
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            _ = rounds.tick() => {}
        }
        for lane in &lanes {
            lane.report(&announcer.standings);
        }
        tokio::select! {
            biased;
            () = &mut ended => break,
            () = announcer.round() => {}
        }
    }
    // The lanes have said their last word themselves.
    // A little less than there is, so that the process does not have to leave without this worker.
    let _ = timeout(shutdown.last_words() * 4 / 5, announcer.round()).await;
    Ok(())
}

struct Announcer {
    bus: Bus,
    clock: Clock,
    standings: Standings,
    /// What was reported last, and how many rounds ago.
    told: BTreeMap<Uuid, (Standing, u32)>,
}

impl Announcer {
    /// Reports what is new, and what was not reported for long.
    async fn round(&mut self) {
        if !self.bus.is_connected() {
            return;
        }
        for (spool, standing) in self.standings.snapshot() {
            if let Some((told, rounds)) = self.told.get_mut(&spool)
                && *told == standing
                // The last word was said.
                && (*rounds < IDLE_ROUNDS || standing.state == SpoolState::Retired)
            {
                *rounds += 1;
                continue;
            }
            match timeout(LIMIT, self.tell(spool, standing)).await {
                Ok(Ok(())) => {
                    self.told.insert(spool, (standing, 1));
                }
                // The others would fare no better.
                Ok(Err(error)) => {
                    tracing::debug!(%spool, error = format!("{error:#}"), "spool not reported");
                    return;
                }
                Err(_) => return,
            }
        }
    }

    async fn tell(&self, spool: Uuid, standing: Standing) -> anyhow::Result<()> {
        let subject = subjects::spool(spool);
        let mut report = SpoolReport {
            spool,
            partition: standing.partition.number(),
            partitions: standing.partition.of(),
            appended: standing.appended,
            acknowledged: standing.acknowledged,
            at_ms: self.clock.now_ms(),
            state: standing.state,
        };
        if standing.inherited
            && let Some(earlier) = self.earlier(&subject).await?
        {
            // A tail that was lost since then must not vanish from the books.
            report.appended = report.appended.max(earlier.appended);
            report.acknowledged = report.acknowledged.max(earlier.acknowledged);
        }
        let sent = self
            .bus
            .jetstream()
            .publish(subject, report.encode().into())
            .await?;
        sent.await?;
        Ok(())
    }

    /// What was reported of this spool before.
    async fn earlier(&self, subject: &str) -> anyhow::Result<Option<SpoolReport>> {
        let stream = self
            .bus
            .jetstream()
            .get_stream_no_info(streams::SPOOLS.name)
            .await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(SpoolReport::decode(&message.payload).ok()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spool_has_reached_never_falls() {
        let (standings, spool) = (Standings::default(), Uuid::now_v7());
        standings.inherit(spool, Partition::WHOLE);
        standings.set(spool, Partition::WHOLE, 9, 7);
        standings.set(spool, Partition::WHOLE, 5, 8);
        let (_, standing) = standings.snapshot()[0];
        assert_eq!((standing.appended, standing.acknowledged), (9, 8));
        assert!(standing.inherited);
    }
}
