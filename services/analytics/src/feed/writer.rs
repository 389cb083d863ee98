//! Publishes what waits, many at a time, each behind its predecessor.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use async_nats::jetstream::context::PublishAckFuture;
use metrics::{counter, gauge};

use super::{message, place};
use crate::state::AppState;
use crate::store;
use crate::store::feed::{self, Cursor, Entry};

/// How many messages are on their way at the same time: about half a megabyte. More would only
/// wait in the server's buffers.
const WINDOW: u32 = 1_000;

/// How long the stream may take to confirm a message.
const CONFIRMATION: Duration = Duration::from_secs(5);

/// What a round found.
pub enum Round {
    /// A full window: there may be more.
    More,
    /// Everything is published.
    Idle,
}

/// Publishes one window. After an error the end of the stream is not known any more, and the next
/// round finds it first.
pub async fn round(state: &AppState) -> anyhow::Result<Round> {
    let mut turn = state.feed.turn.lock().await;
    // Taken out, so that a round that is cut off leaves doubt behind.
    let mut place = match turn.take() {
        Some(place) => place,
        None => place::find(state).await?,
    };
    let after = place.cursor.row;
    let (entries, backlog) = state
        .database
        .read(move |connection| {
            let entries = feed::load(connection, after, WINDOW)?;
            Ok::<_, store::Error>((entries, feed::backlog(connection)?))
        })
        .await?;
    set_backlog(backlog);
    if entries.is_empty() {
        *turn = Some(place);
        return Ok(Round::Idle);
    }
    let (published, failure) = publish(state, &entries, place.expected).await;
    if let Some(last) = published.checked_sub(1).and_then(|at| entries.get(at)) {
        place.expected += published as u64;
        place.cursor = Cursor {
            epoch: place.cursor.epoch,
            sequence: place.expected,
            row: last.id,
            click: last.click.clone(),
        };
        let cursor = place.cursor.clone();
        let left = state
            .database
            .write(move |tx| {
                feed::confirm(tx, cursor.row)?;
                feed::save_cursor(tx, &cursor)?;
                Ok::<_, store::Error>(feed::backlog(tx)?)
            })
            .await?;
        set_backlog(left);
        counter!("kurz_feed_published_total").increment(published as u64);
    }
    if let Some(error) = failure {
        return Err(error);
    }
    *turn = Some(place);
    Ok(Round::More)
}

/// Publishes entries behind the sequence `expected`; how many of them, from the first on, the
/// stream has stored, and why not all.
async fn publish(
    state: &AppState,
    entries: &[Entry],
    expected: u64,
) -> (usize, Option<anyhow::Error>) {
    let mut confirmations: Vec<PublishAckFuture> = Vec::with_capacity(entries.len());
    let mut failure = None;
    for (entry, expected) in entries.iter().zip(expected..) {
        let (subject, message) =
            message::build(entry, expected, state.partition, &state.public_url);
        let sending = state.bus.jetstream().send_publish(subject, message);
        match tokio::time::timeout(CONFIRMATION, sending).await {
            Ok(Ok(confirmation)) => confirmations.push(confirmation),
            Ok(Err(error)) => failure = Some(error.into()),
            Err(_) => failure = Some(anyhow!("NATS takes no messages")),
        }
        // What follows would be refused.
        if failure.is_some() {
            break;
        }
    }
    let mut stored = 0;
    for (confirmation, expected) in confirmations.into_iter().zip(expected..) {
        if let Err(error) = confirmed(confirmation, expected + 1).await {
            return (stored, Some(error));
        }
        stored += 1;
    }
    (stored, failure)
}

async fn confirmed(confirmation: PublishAckFuture, sequence: u64) -> anyhow::Result<()> {
    let stored = tokio::time::timeout(CONFIRMATION, confirmation)
        .await
        .context("the stream does not confirm")??;
    ensure!(
        stored.sequence == sequence,
        "stored at {} instead of {sequence}",
        stored.sequence
    );
    Ok(())
}

fn set_backlog(messages: u64) {
    // Exact up to 2^53, which is far beyond the backlog's bound.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("kurz_feed_backlog").set(messages as f64);
}
