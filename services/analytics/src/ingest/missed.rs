//! Sequences that left the stream before they were read.

use chassis::bus::StoredMessage;
use events::streams;

use crate::state::AppState;
use crate::store::position::Position;
use crate::store::{self, position};

/// The sequences that are not there though `messages` go past them, first and last of each range.
///
/// Everything up to `read_up_to` was read before; it moves on. `end` is the last sequence that the
/// stream is known to have given: if nothing is left to read, what is between is gone as well.
pub fn skipped(read_up_to: &mut u64, messages: &[StoredMessage], end: u64) -> Vec<(u64, u64)> {
    let mut skipped = Vec::new();
    for message in messages {
        if message.sequence > *read_up_to + 1 {
            skipped.push((*read_up_to + 1, message.sequence - 1));
        }
        *read_up_to = message.sequence.max(*read_up_to);
    }
    let nothing_left = messages.last().is_some_and(|last| last.pending == 0);
    if nothing_left && end > *read_up_to {
        skipped.push((*read_up_to + 1, end));
        *read_up_to = end;
    }
    skipped
}

/// Stores what was found out about the stream before anything is read of it: the `place`, and the
/// sequences `missed` at its end, first and last. Stored twice is stored once. Returns how many
/// were missed over all times.
pub async fn note(
    state: &AppState,
    epoch: &str,
    place: Option<Position>,
    missed: Option<(u64, u64)>,
) -> Result<u64, store::Error> {
    let epoch = epoch.to_owned();
    let now_ms = state.clock.now_ms();
    // A rebuild compares two databases that stand still.
    let _applying = state.applying.lock().await;
    let write = state.database.write(move |tx| {
        if let Some(place) = &place {
            position::save(tx, streams::CLICKS.name, place)?;
        }
        if let Some((first, last)) = missed {
            position::add_missed(tx, &epoch, first, last, now_ms)?;
        }
        Ok::<_, store::Error>(position::missed(tx)?)
    });
    write.await
}

/// Says that sequences are gone.
pub fn log(&(first, last): &(u64, u64)) {
    tracing::error!(
        first,
        last,
        "messages left the stream before they were read"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages with these sequences, and as many behind the last of them as `left`.
    fn messages(sequences: &[u64], left: u64) -> Vec<StoredMessage> {
        let pending = (left..left + sequences.len() as u64).rev();
        let message = |(&sequence, pending): (&u64, u64)| StoredMessage {
            subject: "clicks.v1.0.s".to_owned(),
            sequence,
            stored_at_ns: 0,
            payload: bytes::Bytes::new(),
            headers: async_nats::HeaderMap::new(),
            pending,
        };
        sequences.iter().zip(pending).map(message).collect()
    }

    #[test]
    fn what_is_read_without_a_jump_skips_nothing() {
        let mut read_up_to = 4;
        assert!(skipped(&mut read_up_to, &messages(&[5, 6, 7], 0), 7).is_empty());
        assert_eq!(read_up_to, 7);
    }

    #[test]
    fn each_jump_is_a_range() {
        let mut read_up_to = 0;
        let ranges = skipped(&mut read_up_to, &messages(&[3, 4, 9], 1), 10);
        assert_eq!(ranges, [(1, 2), (5, 8)]);
        assert_eq!(read_up_to, 9);
    }

    #[test]
    fn holes_in_what_was_read_before_are_no_jumps() {
        let mut read_up_to = 6;
        let ranges = skipped(&mut read_up_to, &messages(&[2, 5, 8], 0), 8);
        assert_eq!(ranges, [(7, 7)]);
        assert_eq!(read_up_to, 8);
    }

    #[test]
    fn what_is_gone_at_the_end_shows_once_nothing_is_left() {
        let mut read_up_to = 2;
        assert!(skipped(&mut read_up_to, &messages(&[1], 1), 5).is_empty());
        let ranges = skipped(&mut read_up_to, &messages(&[2], 0), 5);
        assert_eq!(ranges, [(3, 5)]);
        assert_eq!(read_up_to, 5);
    }
}
