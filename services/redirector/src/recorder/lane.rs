//! A spool and those who wait for it: its publisher, and visitors at the stricter levels.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::service::Context;
use tokio::sync::{Notify, watch};

use super::{Meters, SyncPolicy};
use crate::publisher::Standings;
use crate::spool::{Batch, Limits, Refused, Spool};

/// How much goes into one message: enough that its price for each click vanishes, and well below
/// the megabyte that a NATS server takes by default.
pub(crate) const MAX_BATCH: Limits = Limits {
    clicks: 1_000,
    bytes: 256 << 10,
};

/// The spool of one partition.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The log.
    pub(crate) spool: Spool,
    /// Called when a first click waits, and when a whole batch does.
    pub(crate) wake: Notify,
    /// What is counted about it.
    pub(crate) meters: Meters,
    acknowledged: watch::Sender<u64>,
    synced: watch::Sender<u64>,
    sync_wake: Notify,
    /// The first sampled request since the last batch: its click's number and its `traceparent`.
    trace: Mutex<Option<(u64, String)>>,
}

impl Lane {
    pub(super) fn new(spool: Spool, meters: Meters) -> Self {
        Self {
            spool,
            wake: Notify::new(),
            meters,
            acknowledged: watch::Sender::new(0),
            synced: watch::Sender::new(0),
            sync_wake: Notify::new(),
            trace: Mutex::new(None),
        }
    }

    /// Appends an encoded click; its number, or none if it can't be kept.
    pub(super) fn append(&self, click: &[u8]) -> Option<u64> {
        match self.spool.append(click) {
            Ok(appended) => {
                self.meters.recorded.increment(1);
                self.remember_trace(appended.number);
                // The publisher looks for itself before it sleeps: these two moments are enough.
                if appended.waiting == 1 || appended.waiting == MAX_BATCH.clicks as u64 {
                    self.wake.notify_one();
                }
                Some(appended.number)
            }
            Err(Refused::Full) => {
                self.meters.drop_full(1);
                None
            }
            Err(Refused::TooLong) => {
                self.meters.drop_too_long();
                None
            }
        }
    }

    /// Every click before `next` is in the stream.
    pub(crate) fn acknowledge(&self, next: u64) {
        self.spool.acknowledge(next);
        let before = self.acknowledged.send_replace(next);
        self.meters
            .acknowledged
            .increment(next.saturating_sub(before));
    }

    /// Tells how far the spool is.
    pub(crate) fn report(&self, standings: &Standings) {
        let spool = &self.spool;
        let next = spool.next();
        // Clicks may come in between: then fewer are called acknowledged than are.
        let acknowledged = next.saturating_sub(spool.pending());
        standings.set(spool.id(), spool.partition(), next, acknowledged);
    }

    /// Waits until the click `number` is in the stream.
    pub(super) async fn acknowledged(&self, number: u64) {
        // The sender lives as long as `self`.
        let _ = self
            .acknowledged
            .subscribe()
            .wait_for(|next| *next > number)
            .await;
    }

    /// Waits until the click `number` is on the disk.
    pub(super) async fn synced(&self, number: u64) {
        self.sync_wake.notify_one();
        let _ = self
            .synced
            .subscribe()
            .wait_for(|next| *next > number)
            .await;
    }

    /// The trace that the batch belongs to, if a click of it was sampled.
    pub(crate) fn take_trace(&self, batch: &Batch) -> Option<String> {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace
            .take_if(|(number, _)| *number < batch.next())
            .map(|(_, parent)| parent)
    }

    fn remember_trace(&self, number: u64) {
        if tracing::Span::current().is_disabled() {
            return;
        }
        if let Some(parent) = chassis::telemetry::traceparent() {
            let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
            trace.get_or_insert((number, parent));
        }
    }

    async fn sync(self: &Arc<Self>) {
        let lane = Arc::clone(self);
        match tokio::task::spawn_blocking(move || lane.spool.sync()).await {
            Ok(Ok(next)) => {
                self.synced.send_replace(next);
            }
            Ok(Err(error)) => {
                self.meters.sync_failures.increment(1);
                tracing::error!(%error, "can't force the spool to the disk");
            }
            // Only while the runtime stops.
            Err(_) => {}
        }
    }
}

/// Forces the spools to the disk as the policy says, and once more at the end.
pub(super) fn start_sync(lanes: &[Arc<Lane>], policy: SyncPolicy, context: &Context) {
    let Some(pause) = pause(policy) else { return };
    for lane in lanes.iter().cloned() {
        let shutdown = context.shutdown.clone();
        context.shutdown.spawn("click spool sync", async move {
            loop {
                tokio::select! {
                    () = shutdown.drained() => break,
                    () = tokio::time::sleep(pause), if !pause.is_zero() => {}
                    () = lane.sync_wake.notified(), if pause.is_zero() => {}
                }
                lane.sync().await;
            }
            lane.sync().await;
            Ok(())
        });
    }
}

/// Between two syncs; zero: when somebody waits; none: never.
fn pause(policy: SyncPolicy) -> Option<Duration> {
    match policy {
        SyncPolicy::None => None,
        SyncPolicy::Every(pause) => Some(pause),
        SyncPolicy::Each => Some(Duration::ZERO),
    }
}
