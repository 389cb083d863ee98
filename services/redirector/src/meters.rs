//! What is counted and measured, by handles that are looked up once: a look-up by name for each
//! redirect would cost as much as the look-up of the link.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Unit};
use tokio::time::Instant;

/// One redirect in so many is timed: enough for a distribution, too few to be felt.
const TIMED_ONE_IN: u32 = 64;
/// One redirect in so many is traced.
const TRACED_ONE_IN: u32 = 1_024;

/// The statuses that the redirect route answers with, each with its own counter.
const STATUSES: [u16; 9] = [301, 302, 307, 308, 404, 405, 410, 500, 503];

/// The meters of the redirect route.
#[derive(Debug)]
pub struct RedirectMeters {
    answers: [Counter; STATUSES.len()],
    seconds: Histogram,
    turn: AtomicU32,
}

/// What is done with one request besides answering it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// Its time is taken.
    pub timed: bool,
    /// It is traced.
    pub traced: bool,
}

impl RedirectMeters {
    /// Registers the meters.
    pub fn new() -> Self {
        metrics::describe_counter!(
            "kurz_redirects_total",
            "Requests for a code, by the status they were answered with"
        );
        metrics::describe_histogram!(
            "kurz_redirect_duration_seconds",
            Unit::Seconds,
            "Time inside the redirect handler; one request in 64 is timed"
        );
        Self {
            answers: STATUSES.map(
                |status| metrics::counter!("kurz_redirects_total", "status" => status.to_string()),
            ),
            seconds: metrics::histogram!("kurz_redirect_duration_seconds"),
            turn: AtomicU32::new(0),
        }
    }

    /// Whether this request is timed or traced.
    pub fn sample(&self) -> Sampled {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Sampled {
            timed: turn.is_multiple_of(TIMED_ONE_IN),
            traced: turn.is_multiple_of(TRACED_ONE_IN),
        }
    }

    /// Counts an answer, and notes how long it took if that was timed.
    pub fn done(&self, status: StatusCode, started: Option<Instant>) {
        self.answered(status);
        if let Some(started) = started {
            self.seconds.record(started.elapsed());
        }
    }

    /// Counts an answer.
    pub fn answered(&self, status: StatusCode) {
        let known = STATUSES.iter().position(|known| *known == status.as_u16());
        if let Some(index) = known {
            self.answers[index].increment(1);
        }
    }
}

/// The meters of the link table.
#[derive(Debug)]
pub struct TableMeters {
    /// How many links the table holds.
    pub links: Gauge,
    /// Values of the bucket that can't be links.
    pub refused: Counter,
    /// How old the snapshot is that is being served, in seconds; 0 once the table follows the
    /// bucket.
    pub snapshot_age: Gauge,
    /// Snapshots that could not be written.
    pub snapshot_failures: Counter,
}

impl TableMeters {
    /// Registers the meters.
    pub fn new() -> Self {
        metrics::describe_gauge!("kurz_link_table_links", "Links in the table");
        metrics::describe_counter!(
            "kurz_link_table_refused_total",
            "Values of the bucket that can't be links"
        );
        metrics::describe_gauge!(
            "kurz_link_table_snapshot_age_seconds",
            Unit::Seconds,
            "Age of the snapshot that is being served; 0 once the table follows the bucket"
        );
        metrics::describe_counter!(
            "kurz_link_table_snapshot_failures_total",
            "Snapshots of the table that could not be written"
        );
        Self {
            links: metrics::gauge!("kurz_link_table_links"),
            refused: metrics::counter!("kurz_link_table_refused_total"),
            snapshot_age: metrics::gauge!("kurz_link_table_snapshot_age_seconds"),
            snapshot_failures: metrics::counter!("kurz_link_table_snapshot_failures_total"),
        }
    }
}
