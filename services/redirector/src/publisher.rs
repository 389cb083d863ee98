//! Brings spools into the stream: each click once, in order, whatever fails on the way.

mod announcer;
mod courier;
mod leftovers;
mod remainder;

use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::Backoff;
use chassis::service::Context;
use chassis::shutdown::Shutdown;
use events::Partition;
use tokio::time::Instant;

use crate::recorder::{Durability, Lane, MAX_BATCH, RecorderConfig};
use crate::spool::Leftover;

pub(crate) use announcer::Standings;

use announcer::Publishers;
use courier::Courier;
use remainder::Remainder;

/// How long clicks gather under load. A click that comes alone leaves at once; the others wait at
/// most so long since the last batch left, and share a message: what a message costs, here and in
/// NATS, is that of some hundred clicks. Nobody sees the wait in a statistic.
const GATHER: Duration = Duration::from_millis(20);

/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Starts one publisher for each spool, and one for all that earlier processes left.
pub(crate) fn start(
    lanes: &[Arc<Lane>],
    mut leftovers: Vec<Leftover>,
    config: &RecorderConfig,
    context: &Context,
) {
    // At the level `ack` a visitor waits: what comes while a batch is on its way gathers anyway.
    let gather = match config.durability {
        Durability::Ack => Duration::ZERO,
        Durability::Memory | Durability::Spool => GATHER,
    };
    // What was divided otherwise has no stream now: it waits, and must not be in the way of the rest.
    let is_foreign = |leftover: &Leftover| {
        let partition = leftover.partition();
        partition.is_some_and(|partition| partition.of() != config.partitions)
    };
    leftovers.sort_by_key(is_foreign);
    for leftover in leftovers.iter().filter(|leftover| is_foreign(leftover)) {
        tracing::error!(
            spool = %leftover.spool,
            partition = leftover.partition().map(|partition| partition.to_string()),
            partitions = config.partitions,
            "an earlier spool was written with another KURZ_PARTITIONS: its clicks wait for a \
             stream of that division"
        );
    }
    let (standings, publishers) = (Standings::default(), Publishers::new());
    let remainder = Remainder {
        lanes: lanes.to_vec(),
        leftovers: leftovers.iter().map(Leftover::census).collect(),
        standings: standings.clone(),
    };
    for lane in lanes.iter().cloned() {
        let (standings, running) = (standings.clone(), publishers.enter());
        let (bus, shutdown) = (context.bus.clone(), context.shutdown.clone());
        let courier = Courier::new(bus, lane.spool.partition(), lane.spool.id());
        context.shutdown.spawn("click publisher", async move {
            tokio::select! {
                () = publish(&lane, courier, gather, &shutdown) => {}
                () = shutdown.last_call() => {}
            }
            close(&lane, &standings);
            drop(running);
            Ok(())
        });
    }
    if let Some(lane) = lanes.first().filter(|_| !leftovers.is_empty()) {
        let (bus, shutdown) = (context.bus.clone(), context.shutdown.clone());
        let meters = lane.meters.clone();
        let (standings, running) = (standings.clone(), publishers.enter());
        for leftover in &leftovers {
            standings.inherit(
                leftover.spool,
                leftover.partition().unwrap_or(Partition::WHOLE),
            );
        }
        context
            .shutdown
            .spawn("click publisher of earlier spools", async move {
                tokio::select! {
                    () = leftovers::publish(leftovers, &bus, &meters, &standings) => {}
                    () = shutdown.last_call() => {}
                }
                drop(running);
                Ok(())
            });
    }
    let watching = remainder.watch(publishers.clone(), context.shutdown.clone());
    context.shutdown.spawn("clicks left", watching);
    announcer::start(standings, lanes, publishers, context);
}

/// Publishes until no new click can come and all are acknowledged.
async fn publish(lane: &Arc<Lane>, mut courier: Courier, gather: Duration, shutdown: &Shutdown) {
    let mut pauses = Pauses::new();
    let mut earliest = Instant::now();
    loop {
        if courier.is_in_doubt() {
            if let Err(error) = courier.find_place(Some(lane.spool.next())).await {
                pauses.wait(&error).await;
                continue;
            }
            lane.acknowledge(courier.position());
        }
        // Woken early when a batch is full, and once too often by the first click.
        while Instant::now() < earliest && lane.spool.waiting() < MAX_BATCH.clicks as u64 {
            tokio::select! {
                () = lane.wake.notified() => {}
                () = tokio::time::sleep_until(earliest) => {}
            }
        }
        let Some(batch) = lane.spool.batch(courier.position(), MAX_BATCH) else {
            tokio::select! {
                () = lane.wake.notified() => continue,
                () = shutdown.drained() => {}
            }
            if lane.spool.next() == courier.position() {
                return;
            }
            continue;
        };
        earliest = Instant::now() + gather;
        lane.meters.batches.increment(1);
        lane.meters.published.increment(batch.len() as u64);
        match courier.send(&batch, lane.take_trace(&batch)).await {
            Ok(()) => {
                pauses.reset();
                lane.acknowledge(courier.position());
                upkeep(lane);
            }
            Err(error) => pauses.wait(&error).await,
        }
    }
}

/// Deletes what is published, and makes the next segment, while nobody waits for it.
fn upkeep(lane: &Arc<Lane>) {
    if lane.spool.wants_upkeep() {
        let lane = Arc::clone(lane);
        drop(tokio::task::spawn_blocking(move || {
            // No room yet: whoever needs the segment tries again, and counts what it can't keep.
            if let Err(error) = lane.spool.upkeep() {
                tracing::debug!(%error, "no spare segment for the spool");
            }
        }));
    }
}

/// Retires the spool, unless clicks are still in it and will be read again.
fn close(lane: &Lane, standings: &Standings) {
    lane.report(standings);
    if lane.spool.retire() {
        standings.retire(lane.spool.id());
        return;
    }
    if !lane.spool.is_on_disk() {
        standings.retire(lane.spool.id());
        lane.meters.drop_at_stop(lane.spool.pending());
    }
}

/// Waits longer after each failure, and tells of the first in a row.
struct Pauses {
    backoff: Backoff,
    failing: bool,
}

impl Pauses {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
            failing: false,
        }
    }

    async fn wait(&mut self, error: &courier::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "clicks wait in the spool");
        }
        // The pauses matter most while the process stops: they may not shrink to nothing then.
        self.backoff.wait(&Shutdown::new()).await;
    }

    fn reset(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("clicks flow again");
        }
        self.backoff.reset();
    }
}
