//! Loads the snapshot at the start, and keeps it fresh.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::nice::Background;
use chassis::ready::Latch;
use chassis::service::Context;
use chassis::shutdown::Shutdown;
use tokio::time::{Instant, interval, sleep_until};

use super::follower::count;
use super::{Follower, LinkTable, Place, Progress, Snapshots};
use crate::meters::TableMeters;

/// The least and the most time from one snapshot to the next, if the table has changed. A start
/// reads what came since from the bucket, so this only bounds how much that is, and how old a table
/// is served without NATS: after a kill, links that are younger are not known until NATS is back.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);

/// A snapshot is not begun before this many times what the last one took: a small table is saved as
/// soon as it has changed, and a large one takes little of the disk's time.
const SHARE: u32 = 50;

/// A snapshot older than this is not caught up with, but served while the whole bucket is read:
/// the marks of deleted links need not be kept for ever.
const MAX_CATCH_UP_MS: i64 = 24 * 60 * 60 * 1_000;

/// How many times as long as a piece of a snapshot took the thread rests behind it: visitors need the
/// processor more, and the disk.
const REST: u32 = 3;

/// How nice that thread is.
const NICE: i32 = 10;

/// How often the age of a snapshot that is being served is told.
const TELL_AGE: Duration = Duration::from_secs(1);

/// Starts the table: from the snapshot if there is one, and from then on by the bucket. With a
/// snapshot, readiness waits for the bus for at most `snapshot_wait`.
pub async fn start(
    snapshots: Snapshots,
    snapshot_wait: Duration,
    context: &Context,
) -> anyhow::Result<Arc<LinkTable>> {
    let ready = Arc::new(context.ready.latch("link table"));
    let table = Arc::new(LinkTable::new());
    let progress = Arc::new(Progress::default());
    let meters = Arc::new(TableMeters::new());

    let keeper = Keeper {
        background: Background::start("links-snapshot", NICE)?,
        snapshots,
        table: table.clone(),
        progress: progress.clone(),
        meters: meters.clone(),
        clock: context.clock.clone(),
        shutdown: context.shutdown.clone(),
    };
    let loaded_at_ms = keeper.load().await?;
    if loaded_at_ms.is_some() {
        let (ready, progress, table) = (ready.clone(), progress.clone(), table.clone());
        let shutdown = context.shutdown.clone();
        context.shutdown.spawn("snapshot wait", async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(snapshot_wait) => serve_snapshot(&ready, &progress, &table),
            }
            Ok(())
        });
    }
    let shutdown = context.shutdown.clone();
    context.shutdown.spawn("link table snapshot", async move {
        keeper.keep(loaded_at_ms, shutdown.cancelled()).await;
        Ok(())
    });
    let follower = Follower {
        table: table.clone(),
        progress,
        meters,
        bus: context.bus.clone(),
        shutdown: context.shutdown.clone(),
        ready,
    };
    context.shutdown.spawn("link table", follower.run());
    Ok(table)
}

fn serve_snapshot(ready: &Latch, progress: &Progress, table: &LinkTable) {
    if !progress.is_following() {
        tracing::warn!("NATS is away: serving the snapshot of the link table");
        table.complete();
        ready.open();
    }
}

/// Who loads and writes the snapshots.
struct Keeper {
    /// Writes the snapshots.
    background: Background,
    snapshots: Snapshots,
    table: Arc<LinkTable>,
    progress: Arc<Progress>,
    meters: Arc<TableMeters>,
    clock: Clock,
    shutdown: Shutdown,
}

impl Keeper {
    /// Loads the snapshot; says when it was written. A damaged one is as good as none.
    async fn load(&self) -> anyhow::Result<Option<i64>> {
        let (snapshots, table) = (self.snapshots.clone(), self.table.clone());
        let loaded = tokio::task::spawn_blocking(move || snapshots.load(&table)).await?;
        let loaded = match loaded {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%error, "the snapshot of the link table is of no use");
                return Ok(None);
            }
        };
        let age_ms = self.clock.now_ms() - loaded.saved_at_ms;
        tracing::info!(
            links = self.table.len(),
            age_ms,
            "snapshot of the link table loaded"
        );
        if age_ms <= MAX_CATCH_UP_MS {
            self.progress.reached(loaded.place);
        }
        self.meters.links.set(count(self.table.len()));
        self.tell_age(loaded.saved_at_ms);
        Ok(Some(loaded.saved_at_ms))
    }

    /// Writes a snapshot soon after the table has changed, and a last one at the end.
    async fn keep(&self, loaded_at_ms: Option<i64>, stopped: impl Future<Output = ()>) {
        let mut saved = self.progress.place();
        let mut next = Instant::now() + SOONEST;
        let mut tell = interval(TELL_AGE);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                () = sleep_until(next) => {
                    let began = Instant::now();
                    self.save(&mut saved).await;
                    next = Instant::now() + (began.elapsed() * SHARE).clamp(SOONEST, LATEST);
                }
                _ = tell.tick(), if !self.progress.is_following() => {
                    if let Some(at_ms) = loaded_at_ms.filter(|_| !self.progress.is_following()) {
                        self.tell_age(at_ms);
                    }
                }
            }
        }
        self.save(&mut saved).await;
    }

    async fn save(&self, saved: &mut Option<Place>) {
        // The place first: what is written then is that far, or further.
        let Some(place) = self.progress.place() else {
            return;
        };
        if saved.as_ref() == Some(&place) {
            return;
        }
        let (snapshots, table) = (self.snapshots.clone(), self.table.clone());
        let (now_ms, at) = (self.clock.now_ms(), place.clone());
        let shutdown = self.shutdown.clone();
        let save = move || {
            snapshots.save(&table, &at, now_ms, |took| {
                // Then somebody waits for it.
                if !shutdown.is_cancelled() {
                    rest(took);
                }
            })
        };
        let panicked = || Err(io::Error::other("writing it panicked"));
        match self.background.run(save).await.unwrap_or_else(panicked) {
            Ok(()) => *saved = Some(place),
            Err(error) => {
                self.meters.snapshot_failures.increment(1);
                tracing::warn!(%error, "the snapshot of the link table could not be written");
            }
        }
    }

    fn tell_age(&self, saved_at_ms: i64) {
        let age_ms = (self.clock.now_ms() - saved_at_ms).max(0);
        self.meters
            .snapshot_age
            .set(f64::from(u32::try_from(age_ms / 1_000).unwrap_or(u32::MAX)));
    }
}

/// Lets others go first after a piece that took so long.
#[expect(
    clippy::disallowed_methods,
    reason = "others are let go first for a time; no state is waited for"
)]
fn rest(took: Duration) {
    std::thread::sleep(took * REST);
}
