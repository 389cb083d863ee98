//! The feed: one message for each counted click of the accounts that turned it on, each exactly
//! once in the stream FEED.
//!
//! The transaction that counts a click also writes its message into an outbox. One writer publishes
//! the outbox in its order, each message with the sequence that it expects before it: the stream
//! takes it behind its predecessor or not at all. In doubt the writer asks the stream what it holds
//! last, and goes on behind that. See `docs/exactly-once.md`.

mod compare;
mod message;
mod place;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::backoff::Backoff;
use events::{streams, subjects};
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use crate::partition;
use crate::state::AppState;
use crate::store::{self, feed};

use compare::Place;

/// How long to wait before looking again, should a wake-up have been missed.
const IDLE: Duration = Duration::from_secs(1);

/// Messages that wait for the stream at most, about 500 bytes each. Clicks are counted also when
/// it is full; those of the feed's owners then have no message, and are counted as dropped.
pub const BACKLOG: u64 = 1_000_000;

/// The writer's handle: to wake it, and to take turns with it. Clones share it.
#[derive(Clone, Default)]
pub struct Feed {
    wake: Arc<Notify>,
    /// Whoever holds it may change FEED. Where it ends, if that is known for sure.
    turn: Arc<Mutex<Option<Place>>>,
}

impl Feed {
    /// Says that there is something to publish.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Publishes until the shutdown, also behind failures. An error if the stream can't be declared.
pub async fn run(state: AppState) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    if let Err(error) = partition::declare(&state, &streams::FEED).await {
        return if state.shutdown.is_cancelled() {
            Ok(())
        } else {
            Err(error)
        };
    }
    loop {
        let round = tokio::select! {
            () = state.shutdown.cancelled() => return Ok(()),
            round = writer::round(&state) => round,
        };
        match round {
            Ok(writer::Round::More) => backoff.reset(),
            Ok(writer::Round::Idle) => {
                backoff.reset();
                tokio::select! {
                    () = state.shutdown.cancelled() => return Ok(()),
                    () = state.feed.wake.notified() => {}
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the feed is not published yet: finding its end again"
                );
                backoff.wait(&state.shutdown).await;
            }
        }
    }
}

/// Deletes an account's messages from the outbox and from the stream, at once, and its settings.
/// Harmless when it is done again. Waits for NATS.
pub async fn purge(state: &AppState, owner: Uuid) -> anyhow::Result<()> {
    // Nothing is on its way while we hold the turn; and what was published is confirmed before the
    // messages go, since their rows and their sequences are counted together.
    let mut turn = state.feed.turn.lock().await;
    *turn = None;
    place::find(state).await?;
    state
        .database
        .write(move |tx| Ok::<_, store::Error>(feed::purge_owner(tx, owner)?))
        .await?;
    let stream = state
        .bus
        .jetstream()
        .get_stream_no_info(&*state.feed_stream())
        .await?;
    stream
        .purge()
        .filter(subjects::feed(state.partition, owner, ">"))
        .await
        .context("the feed can't be purged")?;
    Ok(())
}
