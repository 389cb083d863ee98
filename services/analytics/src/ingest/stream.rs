//! Where to go on in the stream, and whether it is still the stream that was read.

use anyhow::{Context as _, ensure};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use chassis::bus::{self, Bus, Follow, Start};

use super::set::fingerprint;
use crate::store::position::Position;

/// The stream from where reading goes on.
pub struct Attached {
    /// The messages from there on.
    pub follow: Follow,
    /// The stream's identity.
    pub epoch: String,
    /// What the position in this stream is now; none if there is none yet. Of a stream that was
    /// restored it stands before the first message, and has to be stored before anything is read:
    /// the message that gave the stream away may be deleted, and then nobody could tell any more.
    pub place: Option<Position>,
    /// Everything up to this sequence was read before, in this very stream, or is in `missed`.
    /// What is not there behind it was removed before it was read.
    pub read_up_to: u64,
    /// The last sequence that the stream has given, also if that message was deleted.
    pub end: u64,
    /// The sequences at the end of the stream that were removed before they were read, first and
    /// last, if there is nothing to read. No message will come and show them as a jump.
    pub missed: Option<(u64, u64)>,
}

/// Finds the place to go on in the stream `name`: behind `position` if the stream still holds the very message that
/// stands there, else from the first message, where the spools' numbers sort out what is new.
///
/// The stream is looked at before the server makes the consumer, to know where to begin, and once
/// more behind that: else a stream that was replaced in between would be read from a place in the
/// one before. Since the consumer ends with its stream, and is asked last, the second look was at
/// the stream that is followed. An error if the two differ.
pub async fn attach(
    bus: &Bus,
    name: &str,
    position: Option<&Position>,
) -> anyhow::Result<Attached> {
    let before = look(bus, name, position).await?;
    let start = position
        .filter(|_| before.held == Held::Same)
        .map_or(Start::First, |position| {
            Start::Sequence(position.sequence + 1)
        });
    let follow = bus.follow(name, None, start).await?;
    let look = look(bus, name, position).await?;
    ensure!(
        (&look.epoch, look.held) == (&before.epoch, before.held),
        "the stream became another one while its place was sought"
    );
    let pending = follow.probe().pending().await?;
    let Look {
        epoch,
        held,
        read_up_to,
        last_sequence,
    } = look;
    if let Some(position) = position.filter(|_| held != Held::Same) {
        tracing::warn!(
            was = position.epoch,
            is = epoch,
            sequence = position.sequence,
            ?held,
            "the stream does not hold the last message that was read: \
             reading it from its first message"
        );
    }
    let place = match held {
        Held::New => None,
        Held::Same | Held::Nothing => position.cloned(),
        Held::Other => Some(Position {
            epoch: epoch.clone(),
            sequence: read_up_to,
            // That of no message.
            fingerprint: Vec::new(),
        }),
    };
    tracing::info!(epoch, ?start, pending, "following the clicks");
    let missed =
        (pending == 0 && last_sequence > read_up_to).then_some((read_up_to + 1, last_sequence));
    Ok(Attached {
        follow,
        epoch,
        place,
        read_up_to: missed.map_or(read_up_to, |(_, last)| last),
        end: last_sequence,
        missed,
    })
}

/// What is known of a stream in which there is a position.
struct Look {
    epoch: String,
    held: Held,
    read_up_to: u64,
    last_sequence: u64,
}

async fn look(bus: &Bus, name: &str, position: Option<&Position>) -> anyhow::Result<Look> {
    let stream = stream(bus, name).await?;
    let held = holds(&stream, position).await?;
    let info = stream.cached_info();
    let read_up_to = match (held, position) {
        (Held::Same | Held::Nothing, Some(position)) => position.sequence,
        // What an earlier backup held may have been read and have been deleted since; of what is
        // behind that, nothing was.
        (Held::Other, _) => info.state.first_sequence.saturating_sub(1),
        _ => 0,
    };
    Ok(Look {
        epoch: bus::epoch(info),
        held,
        read_up_to,
        last_sequence: info.state.last_sequence,
    })
}

/// How the stream stands while it is followed.
pub struct Standing {
    /// It is still the one that was read: not made anew, not restored.
    pub is_same: bool,
    /// The sequence of its last message, also if that was deleted.
    pub last_sequence: u64,
}

/// Compares the stream with `epoch` and with what was read up to `position`.
pub async fn standing(
    bus: &Bus,
    name: &str,
    epoch: &str,
    position: Option<&Position>,
) -> anyhow::Result<Standing> {
    let stream = stream(bus, name).await?;
    let info = stream.cached_info();
    // A message that somebody deleted is no reason to doubt while the stream is being followed.
    let is_same = bus::epoch(info) == epoch && holds(&stream, position).await? != Held::Other;
    Ok(Standing {
        is_same,
        last_sequence: info.state.last_sequence,
    })
}

/// Whether the stream still holds the very message that stands at `position`. Only then is what lies
/// before it what was read.
pub async fn recognises(bus: &Bus, name: &str, position: &Position) -> anyhow::Result<bool> {
    let stream = stream(bus, name).await?;
    Ok(holds(&stream, Some(position)).await? == Held::Same)
}

/// What the stream holds at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// There is no position in this stream.
    New,
    /// The message that was read.
    Same,
    /// Another message, or the stream ends before: it was restored from a backup.
    Other,
    /// No message: it was deleted.
    Nothing,
}

async fn stream(bus: &Bus, name: &str) -> anyhow::Result<Stream> {
    let stream = bus.jetstream().get_stream(name).await;
    stream.context("the stream is not there")
}

/// What `stream`, as it was asked for a moment ago, holds at `position`.
async fn holds(stream: &Stream, position: Option<&Position>) -> anyhow::Result<Held> {
    let info = stream.cached_info();
    let Some(position) = position.filter(|position| position.epoch == bus::epoch(info)) else {
        return Ok(Held::New);
    };
    if info.state.last_sequence < position.sequence {
        return Ok(Held::Other);
    }
    if position.sequence == 0 {
        return Ok(Held::Nothing);
    }
    match stream.get_raw_message(position.sequence).await {
        Ok(message) => {
            let found = fingerprint(&message.payload, message.time.unix_timestamp_nanos());
            Ok(if found == position.fingerprint {
                Held::Same
            } else {
                Held::Other
            })
        }
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(Held::Nothing),
        Err(error) => Err(error.into()),
    }
}
