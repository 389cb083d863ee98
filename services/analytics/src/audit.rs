//! Compares what the redirectors announced, what the stream holds and what was counted.

mod evidence;
mod table;
mod verdict;

use std::time::Duration;

use chassis::problem::Problem;
use metrics::{describe_gauge, gauge};
use tokio::time::{MissedTickBehavior, interval};

use crate::state::AppState;

use self::verdict::Verdict;

/// How often the gauge is set.
const PAUSE: Duration = Duration::from_mins(1);

/// What came out.
pub struct Report {
    /// A table for a person.
    pub text: String,
    /// Clicks that are missing, not merely on their way.
    pub missing: u64,
}

/// Audits now. An error if the bus or the database does not answer.
pub async fn audit(state: &AppState) -> Result<Report, Problem> {
    let evidence = evidence::gather(state).await.map_err(|error| {
        tracing::info!(error = format!("{error:#}"), "no audit");
        Problem::unavailable(format!("the audit needs the streams: {error:#}"))
    })?;
    let now_ms = state.clock.now_ms();
    let verdict = Verdict::of(&evidence, now_ms);
    Ok(Report {
        text: table::render(&verdict, &evidence, now_ms),
        missing: verdict.total.missing,
    })
}

/// Keeps the gauge `kurz_audit_missing` up to date until the shutdown.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    describe_gauge!(
        "kurz_audit_missing",
        "Clicks that were announced or numbered, and are neither counted nor on their way"
    );
    let mut rounds = interval(PAUSE);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Just after a start the streams may not be there yet.
    rounds.reset();
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return Ok(()),
            _ = rounds.tick() => {}
        }
        let audited = tokio::select! {
            () = state.shutdown.cancelled() => return Ok(()),
            audited = audit(&state) => audited,
        };
        if let Ok(report) = audited {
            // Exact up to 2^53, which is far beyond what is counted here.
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            gauge!("kurz_audit_missing").set(report.missing as f64);
        }
    }
}
