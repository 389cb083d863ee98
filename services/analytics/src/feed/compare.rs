//! Compares the database with what the stream FEED says, and decides where the writer goes on.

use rusqlite::Connection;

use super::message::Published;
use crate::store::feed::{self, Cursor, Origin};

/// The end of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The stream's last sequence: the next message goes right behind it.
    pub expected: u64,
    /// The last row that is published.
    pub cursor: Cursor,
}

/// What the stream's leader says of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The stream's identity.
    pub epoch: String,
    /// The greatest sequence that it ever gave.
    pub last_sequence: u64,
    /// The last message of ours that it still holds.
    pub last: Option<Published>,
    /// Messages of somebody else that stand behind it and behind the cursor.
    pub foreign: u64,
    /// Messages published before this time (nanoseconds since 1970) may have expired.
    pub oldest_ns: i64,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They belong together.
    Joined,
    /// The stream is another one, or an older copy.
    StreamIsOlder,
    /// The database is an older copy: so many messages that wait were published before.
    DatabaseIsOlder(usize),
}

/// Finds the place by what the stream says. See `docs/exactly-once.md` for why each case is right.
pub fn compare(tx: &Connection, seen: &Seen) -> rusqlite::Result<(Place, Verdict)> {
    let cursor = feed::load_cursor(tx)?;
    let is_same_stream = cursor.epoch == seen.epoch && seen.last_sequence >= cursor.sequence;
    if let Some(last) = &seen.last {
        let is_ours = (last.row == cursor.row && last.click == cursor.click)
            || feed::has_click(tx, last.row, &last.click)?;
        if !is_ours && last.row > cursor.row {
            return database_is_older(tx, seen, last.row, &last.click, &last.origin);
        }
        let is_at_the_end = last.sequence + seen.foreign == seen.last_sequence;
        // In another stream nothing else could tell: one that was restored ends where it ends.
        if is_ours && (is_at_the_end || !is_same_stream) {
            return joined(tx, seen, last.row, last.click.clone());
        }
    }
    if is_same_stream {
        // The last messages expired, or were purged: each took one row and one sequence.
        let rows = (seen.last_sequence - cursor.sequence).saturating_sub(seen.foreign);
        if rows == 0 {
            return joined(tx, seen, cursor.row, cursor.click);
        }
        return match feed::nth(tx, rows)? {
            Some((row, click)) => joined(tx, seen, row, click),
            None => database_is_older(tx, seen, cursor.row, &cursor.click, &expired(seen)),
        };
    }
    if cursor.row == 0 && seen.last_sequence > 0 {
        // A database that never published, beside a stream that somebody published in.
        return database_is_older(tx, seen, 0, "", &expired(seen));
    }
    let verdict = if cursor.row == 0 {
        Verdict::Joined
    } else {
        Verdict::StreamIsOlder
    };
    // The cursor stays until the stream has confirmed a message here: the answer may have come from
    // a server that is behind, and then the next message is refused.
    let place = Place {
        expected: seen.last_sequence,
        cursor: Cursor {
            epoch: seen.epoch.clone(),
            ..cursor
        },
    };
    Ok((place, verdict))
}

/// What was published and is no longer there was stored before this.
fn expired(seen: &Seen) -> Origin {
    Origin {
        epoch: String::new(),
        sequence: 0,
        index: 0,
        stored_at_ns: seen.oldest_ns,
    }
}

/// Stores that everything up to `row` is published, and that this is all that the stream has.
fn joined(
    tx: &Connection,
    seen: &Seen,
    row: i64,
    click: String,
) -> rusqlite::Result<(Place, Verdict)> {
    let place = at_the_end(seen, row, click);
    feed::confirm(tx, row)?;
    feed::save_cursor(tx, &place.cursor)?;
    Ok((place, Verdict::Joined))
}

/// The stream holds what this database does not know: it is a copy from before. The clicks that it
/// counts again are those up to the place at which the last message's click was read.
fn database_is_older(
    tx: &Connection,
    seen: &Seen,
    row: i64,
    click: &str,
    barrier: &Origin,
) -> rusqlite::Result<(Place, Verdict)> {
    let place = at_the_end(seen, row, click.to_owned());
    feed::save_cursor(tx, &place.cursor)?;
    feed::raise_barrier(tx, barrier)?;
    let skipped = feed::sweep_barred(tx)?;
    feed::shift(tx, row)?;
    Ok((place, Verdict::DatabaseIsOlder(skipped)))
}

fn at_the_end(seen: &Seen, row: i64, click: String) -> Place {
    Place {
        expected: seen.last_sequence,
        cursor: Cursor {
            epoch: seen.epoch.clone(),
            sequence: seen.last_sequence,
            row,
            click,
        },
    }
}

#[cfg(test)]
mod tests;
