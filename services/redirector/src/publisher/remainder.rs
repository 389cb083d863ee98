//! What is not published yet while the process stops: said every now and then, and at the end.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chassis::shutdown::Shutdown;
use tokio::time::{Instant, interval_at};
use uuid::Uuid;

use super::Standings;
use super::announcer::Publishers;
use crate::recorder::Lane;
use crate::spool::Census;

/// How often it is said how many clicks wait.
const PAUSE: Duration = Duration::from_secs(10);

/// How many spools are named at the end: after a crash loop there can be hundreds.
const NAMED: usize = 20;

/// The clicks of all spools.
pub(super) struct Remainder {
    pub(super) lanes: Vec<Arc<Lane>>,
    /// What earlier processes left.
    pub(super) leftovers: Vec<Census>,
    pub(super) standings: Standings,
}

/// The clicks of earlier spools, by their numbers.
type Counted = BTreeMap<Uuid, Vec<Range<u64>>>;

impl Remainder {
    /// Watches the end of a process: from the last answer until the last publisher gave up.
    pub(super) async fn watch(
        self,
        publishers: Publishers,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        shutdown.drained().await;
        let ended = publishers.all_done();
        tokio::pin!(ended);
        // At once, since it takes a while: files that are gone by then are published.
        let counted = self.count_leftovers().await?;
        let mut rounds = interval_at(Instant::now() + PAUSE, PAUSE);
        loop {
            tokio::select! {
                () = &mut ended => break,
                _ = rounds.tick() => {
                    let clicks: u64 = self.spools(&counted).values().sum();
                    tracing::info!(clicks, "stopping: clicks wait for NATS");
                }
            }
        }
        self.tell(&self.spools(&counted));
        Ok(())
    }

    async fn count_leftovers(&self) -> anyhow::Result<Counted> {
        let leftovers = self.leftovers.clone();
        let left = leftovers
            .into_iter()
            .filter(|leftover| !self.standings.is_retired(leftover.spool))
            .collect::<Vec<_>>();
        let count = move || {
            left.iter()
                .map(|leftover| (leftover.spool, leftover.count()))
                .collect()
        };
        Ok(tokio::task::spawn_blocking(count).await?)
    }

    /// How many clicks of each spool are not known to be in the stream, where there are any.
    fn spools(&self, counted: &Counted) -> BTreeMap<Uuid, u64> {
        let own = self
            .lanes
            .iter()
            .map(|lane| (lane.spool.id(), lane.spool.pending()));
        let earlier = counted
            .iter()
            .filter(|(spool, _)| !self.standings.is_retired(**spool))
            .map(|(spool, numbers)| {
                let next = self.standings.acknowledged(*spool);
                let behind = |range: &Range<u64>| range.end.saturating_sub(range.start.max(next));
                (*spool, numbers.iter().map(behind).sum())
            });
        own.chain(earlier)
            .filter(|(_, clicks)| *clicks > 0)
            .collect()
    }

    /// Says what becomes of the clicks that are left.
    fn tell(&self, spools: &BTreeMap<Uuid, u64>) {
        if spools.is_empty() {
            let is_done = |leftover: &Census| self.standings.is_retired(leftover.spool);
            // Else one could not be read, which was said then.
            if self.leftovers.iter().all(is_done) {
                tracing::info!("every click is in the stream");
            }
            return;
        }
        let in_memory = |spool: &Uuid| {
            let is_own = |lane: &&Arc<Lane>| lane.spool.id() == *spool;
            let lane = self.lanes.iter().find(is_own);
            lane.is_some_and(|lane| !lane.spool.is_on_disk())
        };
        for (spool, clicks) in spools.iter().take(NAMED) {
            if in_memory(spool) {
                tracing::error!(%spool, clicks, "clicks of this spool are lost");
            } else {
                tracing::warn!(%spool, clicks, "clicks of this spool stay in the folder");
            }
        }
        let sum = |lost: bool| -> u64 {
            let some = spools.iter().filter(|(spool, _)| in_memory(spool) == lost);
            some.map(|(_, clicks)| clicks).sum()
        };
        let (lost, clicks) = (sum(true), sum(false));
        if lost > 0 {
            tracing::error!(
                clicks = lost,
                "NATS took not all clicks: they are lost with this process"
            );
        }
        if clicks > 0 {
            tracing::warn!(
                clicks,
                spools = spools.len(),
                "NATS took not all clicks: the next start on this folder publishes them"
            );
        }
    }
}
