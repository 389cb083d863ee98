//! Asks the stream FEED where it ends, and which row of the outbox stands there.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind, Stream};
use events::{streams, subjects};

use super::compare::{Place, Seen, Verdict, compare};
use super::message::{self, Published};
use crate::state::AppState;
use crate::store::{self, feed};

/// Asks the stream's leader, and stores what the answer confirms. Makes the stream if it is not
/// there; waits for NATS.
pub async fn find(state: &AppState) -> anyhow::Result<Place> {
    let name = state.feed_stream();
    state
        .bus
        .declare_in(&streams::FEED, state.partition)
        .await?;
    let epoch = state.bus.epoch(&name).await?;
    let cursor = state
        .database
        .read(|connection| Ok::<_, store::Error>(feed::load_cursor(connection)?))
        .await?;
    let known = if cursor.epoch == epoch {
        cursor.sequence
    } else {
        0
    };
    let stream = state.bus.jetstream().get_stream(&*name).await?;
    let info = stream.cached_info();
    let end = end(&stream, known).await.context("FEED can't be read")?;
    let now_ns = state.clock.now_ms().saturating_mul(1_000_000);
    let seen = Seen {
        epoch,
        // A message that was on its way may have come in between.
        last_sequence: info.state.last_sequence.max(end.sequence),
        last: end.last,
        foreign: end.foreign,
        oldest_ns: now_ns.saturating_sub(nanoseconds(info.config.max_age)),
    };
    let compared = state
        .database
        .write(move |tx| Ok::<_, store::Error>(compare(tx, &seen)?));
    let (place, verdict) = compared.await?;
    match verdict {
        Verdict::Joined => {}
        Verdict::StreamIsOlder => tracing::warn!(
            last_sequence = place.expected,
            "FEED was made anew or restored: what it lost is not published again"
        ),
        Verdict::DatabaseIsOlder(skipped) => tracing::warn!(
            skipped,
            row = place.cursor.row,
            "the database is older than FEED: clicks that were published before are skipped"
        ),
    }
    Ok(place)
}

/// What stands at the end of the stream.
#[derive(Default)]
struct End {
    /// The sequence of the last message; 0 if the stream holds none.
    sequence: u64,
    /// The last message that is ours.
    last: Option<Published>,
    /// How many messages of somebody else stand behind it.
    foreign: u64,
}

/// Walks back from the last message to the last one of ours. Behind the sequence `known` only: what
/// stands up to there is accounted for.
async fn end(stream: &Stream, known: u64) -> anyhow::Result<End> {
    let Some(mut message) = last(stream).await? else {
        return Ok(End::default());
    };
    let mut end = End {
        sequence: message.sequence,
        ..End::default()
    };
    loop {
        end.last = message::read(&message);
        if end.last.is_some() || message.sequence <= known {
            return Ok(end);
        }
        tracing::error!(
            sequence = message.sequence,
            subject = %message.subject,
            "somebody else published in FEED: only analytics may"
        );
        end.foreign += 1;
        let before = message.sequence - 1;
        if before <= known {
            return Ok(end);
        }
        match stream.get_raw_message(before).await {
            Ok(found) => message = found,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(end),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last message that the stream holds, from its leader.
async fn last(stream: &Stream) -> anyhow::Result<Option<StreamMessage>> {
    match stream
        .get_last_raw_message_by_subject(subjects::FEED_ALL)
        .await
    {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
