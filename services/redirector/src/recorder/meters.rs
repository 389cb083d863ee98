//! What is counted about clicks. The handles are made once: counting a click is one addition.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chassis::service::Context;
use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};

use super::Lane;
use crate::spool::Budget;

/// How often the gauges are set.
const GAUGE_PAUSE: Duration = Duration::from_millis(500);
/// How often at most it is logged that clicks are dropped: a full spool drops thousands a second.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Handles to the counters of clicks.
#[derive(Clone)]
pub(crate) struct Meters {
    /// Clicks that were kept.
    pub(crate) recorded: Counter,
    /// Clicks sent to the stream, repeats included.
    pub(crate) published: Counter,
    /// Clicks known to be in the stream.
    pub(crate) acknowledged: Counter,
    /// Messages sent to the stream, repeats included.
    pub(crate) batches: Counter,
    /// Answers at the level `ack` that did not wait for the stream to the end.
    pub(crate) ack_fallbacks: Counter,
    /// Failures to force the spool to the disk.
    pub(crate) sync_failures: Counter,
    dropped_full: Counter,
    dropped_too_long: Counter,
    dropped_at_stop: Counter,
    log: Arc<DropLog>,
    /// Clicks of earlier processes that are not yet known to be in the stream, as far as read.
    pub(crate) leftover: Arc<AtomicU64>,
}

/// What was dropped since it was last told.
struct DropLog {
    since: AtomicU64,
    started: Instant,
    /// Milliseconds from `started` to the next line.
    next_ms: AtomicU64,
}

impl Meters {
    pub(super) fn new() -> Self {
        describe_counter!("kurz_clicks_recorded_total", "Clicks that were kept");
        describe_counter!(
            "kurz_clicks_published_total",
            "Clicks sent to the stream, with repeats"
        );
        describe_counter!(
            "kurz_clicks_acknowledged_total",
            "Clicks known to be in the stream"
        );
        describe_counter!(
            "kurz_clicks_dropped_total",
            "Clicks that could not be kept, by reason"
        );
        describe_counter!(
            "kurz_click_batches_total",
            "Messages of clicks sent, with repeats"
        );
        describe_counter!(
            "kurz_click_ack_fallbacks_total",
            "Answers that did not wait for the ack"
        );
        describe_counter!(
            "kurz_spool_sync_failures_total",
            "Failures to force the spool to disk"
        );
        describe_gauge!(
            "kurz_clicks_pending",
            "Clicks kept and not yet known to be in the stream"
        );
        describe_gauge!(
            "kurz_spool_bytes",
            "Bytes taken by all segments of all spools"
        );
        Self {
            recorded: counter!("kurz_clicks_recorded_total"),
            published: counter!("kurz_clicks_published_total"),
            acknowledged: counter!("kurz_clicks_acknowledged_total"),
            batches: counter!("kurz_click_batches_total"),
            ack_fallbacks: counter!("kurz_click_ack_fallbacks_total"),
            sync_failures: counter!("kurz_spool_sync_failures_total"),
            dropped_full: counter!("kurz_clicks_dropped_total", "reason" => "full"),
            dropped_too_long: counter!("kurz_clicks_dropped_total", "reason" => "too_long"),
            dropped_at_stop: counter!("kurz_clicks_dropped_total", "reason" => "stopped"),
            log: Arc::new(DropLog {
                since: AtomicU64::new(0),
                started: Instant::now(),
                next_ms: AtomicU64::new(0),
            }),
            leftover: Arc::default(),
        }
    }

    /// A click found the spool full.
    pub(super) fn drop_full(&self, clicks: u64) {
        self.dropped_full.increment(clicks);
        self.log
            .add(clicks, "the spool is full: clicks are not kept");
    }

    /// A click was longer than any click can be.
    pub(super) fn drop_too_long(&self) {
        self.dropped_too_long.increment(1);
        self.log
            .add(1, "a click is too long for the spool: it is not kept");
    }

    /// Clicks go with the process.
    pub(crate) fn drop_at_stop(&self, clicks: u64) {
        self.dropped_at_stop.increment(clicks);
    }
}

impl DropLog {
    fn add(&self, clicks: u64, text: &'static str) {
        self.since.fetch_add(clicks, Ordering::Relaxed);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.started.elapsed());
        let next = self.next_ms.load(Ordering::Relaxed);
        let later = now + millis(LOG_PAUSE);
        let order = Ordering::Relaxed;
        if now >= next
            && self
                .next_ms
                .compare_exchange(next, later, order, order)
                .is_ok()
        {
            tracing::error!(clicks = self.since.swap(0, order), "{text}");
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Meters").finish_non_exhaustive()
    }
}

/// Sets the gauges every now and then: from here, so that no click has to.
pub(super) fn start_gauges(lanes: &[Arc<Lane>], budget: Budget, context: &Context) {
    let Some(first) = lanes.first() else { return };
    let leftover = Arc::clone(&first.meters.leftover);
    let lanes = lanes.to_vec();
    let shutdown = context.shutdown.clone();
    let (pending, bytes) = (gauge!("kurz_clicks_pending"), gauge!("kurz_spool_bytes"));
    context.shutdown.spawn("click gauges", async move {
        loop {
            let clicks = lanes.iter().map(|lane| lane.spool.pending()).sum::<u64>()
                + leftover.load(Ordering::Relaxed);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            {
                pending.set(clicks as f64);
                bytes.set(budget.used() as f64);
            }
            tokio::select! {
                () = shutdown.drained() => return Ok(()),
                () = tokio::time::sleep(GAUGE_PAUSE) => {}
            }
        }
    });
}
