//! Deletes from the stream what was applied long ago.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::stream::Stream;
use chassis::backoff::Backoff;
use events::{streams, subjects};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Retention;
use crate::ingest::stream::recognises;
use crate::state::AppState;
use crate::store::{self, position};

/// How often it is looked. The stream may hold this much more than the retention.
const SWEEP: Duration = Duration::from_hours(1);

/// Sweeps until the shutdown, at once and then every hour.
pub async fn run(state: AppState, retention: Retention) -> anyhow::Result<()> {
    let mut sweeps = interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(5));
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return Ok(()),
            _ = sweeps.tick() => {}
        }
        while let Err(error) = sweep(&state, retention).await {
            tracing::info!(
                error = format!("{error:#}"),
                "old clicks can't be deleted yet"
            );
            backoff.wait(&state.shutdown).await;
            if state.shutdown.is_cancelled() {
                return Ok(());
            }
        }
        backoff.reset();
    }
}

/// Deletes what is older than the retention and was applied, if the stream holds the message that
/// was applied last: of one that was restored nobody knows what was applied. That message always
/// stays: it is how the next start knows that the stream is the one that was read.
async fn sweep(state: &AppState, retention: Retention) -> anyhow::Result<()> {
    // A rebuild reads the stream from its first message.
    let _upkeep = state.upkeep.lock().await;
    let (clicks, name) = (state.clicks_stream(), streams::CLICKS.name);
    let applied = state
        .database
        .read(move |tx| Ok::<_, store::Error>(position::load(tx, name)?))
        .await?;
    let Some(applied) = applied else {
        return Ok(());
    };
    // Nothing was applied of a stream that was made anew or restored a moment ago.
    if !recognises(&state.bus, &clicks, &applied).await? {
        return Ok(());
    }
    let stream = state.bus.jetstream().get_stream(&*clicks).await?;
    let first = stream.cached_info().state.first_sequence;
    let age_ms = i64::try_from(retention.0.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = state.clock.now_ms().saturating_sub(age_ms);
    let keep = first_since(&stream, first, applied.sequence, oldest_ms).await?;
    if keep > first {
        let purged = stream.purge().sequence(keep).await.context("can't purge")?;
        tracing::info!(
            messages = purged.purged,
            "old clicks deleted from the stream"
        );
    }
    Ok(())
}

/// The first sequence from `first` to `last` whose message was stored at or after `oldest_ms`;
/// `last` if there is none. Stored times grow with the sequence, so that it can be halved.
async fn first_since(
    stream: &Stream,
    first: u64,
    last: u64,
    oldest_ms: i64,
) -> anyhow::Result<u64> {
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low) / 2;
        // The message at `middle`, or the next one that was not deleted.
        let message = stream
            .get_first_raw_message_by_subject(subjects::CLICKS_ALL, middle)
            .await
            .context("can't read the age of a message")?;
        let stored_at_ms = message.time.unix_timestamp_nanos() / 1_000_000;
        if stored_at_ms >= i128::from(oldest_ms) {
            high = middle;
        } else {
            low = message.sequence.max(middle) + 1;
        }
    }
    Ok(low.min(last))
}
