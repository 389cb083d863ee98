//! Where to go on in the stream, and whether it is still the stream that was read.

use anyhow::Context as _;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::RawMessageErrorKind;
use chassis::bus::{Bus, Follow, Start};
use events::streams;

use super::set::fingerprint;
use crate::store::position::Position;

/// The stream from where reading goes on.
pub struct Attached {
    /// The messages from there on.
    pub follow: Follow,
    /// The stream's identity.
    pub epoch: String,
    /// The position behind which reading goes on; none if it starts from the first message.
    pub resumed: Option<Position>,
    /// Everything up to this sequence was read before, in this very stream: what is missing behind
    /// it was removed before it was read.
    pub read_up_to: u64,
}

/// Finds the place to go on: behind `position` if the stream still holds the very message that
/// stands there, else from the first message, where the spools' numbers sort out what is new.
pub async fn attach(bus: &Bus, position: Option<&Position>) -> anyhow::Result<Attached> {
    let name = streams::CLICKS.name;
    let epoch = bus.epoch(name).await?;
    let position = position.filter(|position| {
        let same = position.epoch == epoch;
        if !same {
            tracing::warn!(
                was = position.epoch,
                is = epoch,
                "the stream was made anew: reading it from its first message"
            );
        }
        same
    });
    let read_up_to = position.map_or(0, |position| position.sequence);
    let (start, resumed) = match position {
        None => (Start::First, None),
        Some(position) => match holds(bus, position).await? {
            Held::Same => (
                Start::Sequence(position.sequence + 1),
                Some(position.clone()),
            ),
            held => {
                tracing::warn!(
                    sequence = position.sequence,
                    ?held,
                    "the stream does not hold the last message that was read: \
                     reading it from its first message"
                );
                (Start::First, None)
            }
        },
    };
    let follow = bus.follow(name, None, start).await?;
    tracing::info!(
        epoch,
        ?start,
        backlog = follow.backlog(),
        "following the clicks"
    );
    Ok(Attached {
        follow,
        epoch,
        resumed,
        read_up_to,
    })
}

/// Whether the stream is still `epoch`, read up to `position`: not made anew, not restored.
pub async fn is_same(bus: &Bus, epoch: &str, position: Option<&Position>) -> anyhow::Result<bool> {
    let name = streams::CLICKS.name;
    if bus.epoch(name).await? != epoch {
        return Ok(false);
    }
    let Some(position) = position else {
        return Ok(true);
    };
    let stream = bus
        .jetstream()
        .get_stream(name)
        .await
        .context("the stream is not there")?;
    if stream.cached_info().state.last_sequence < position.sequence {
        return Ok(false);
    }
    // A message that somebody deleted is no reason to doubt while the stream is being followed.
    Ok(holds(bus, position).await? != Held::Other)
}

/// Whether the stream still holds the very message that stands at `position`.
pub async fn recognises(bus: &Bus, position: &Position) -> anyhow::Result<bool> {
    Ok(bus.epoch(streams::CLICKS.name).await? == position.epoch
        && holds(bus, position).await? == Held::Same)
}

/// What the stream holds at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The message that was read.
    Same,
    /// Another message.
    Other,
    /// No message.
    Nothing,
}

async fn holds(bus: &Bus, position: &Position) -> anyhow::Result<Held> {
    if position.sequence == 0 {
        return Ok(Held::Nothing);
    }
    let stream = bus
        .jetstream()
        .get_stream_no_info(streams::CLICKS.name)
        .await?;
    match stream.get_raw_message(position.sequence).await {
        Ok(message) => {
            let found = fingerprint(&message.payload, message.time.unix_timestamp_nanos());
            Ok(if found == position.fingerprint {
                Held::Same
            } else {
                Held::Other
            })
        }
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(Held::Nothing),
            RawMessageErrorKind::JetStream(inner)
                if inner.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(Held::Nothing)
            }
            _ => Err(error.into()),
        },
    }
}
