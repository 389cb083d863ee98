use rusqlite::{Connection, OptionalExtension as _, params};

/// The index of clicks that were not read in the stream CLICKS: behind every other.
pub const ELSEWHERE: u32 = u32::MAX;

/// Where a click was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The identity of the stream CLICKS.
    pub epoch: String,
    /// The sequence of the click's message.
    pub sequence: u64,
    /// The click's index in the message's batch.
    pub index: u32,
    /// When the message was stored, in nanoseconds since 1970.
    pub stored_at_ns: i64,
}

/// The last message that the stream FEED is known to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The stream's identity; empty before the first message.
    pub epoch: String,
    /// The stream's last sequence.
    pub sequence: u64,
    /// The id of the row that was published there; 0 before the first.
    pub row: i64,
    /// Its click.
    pub click: String,
}

/// The cursor; one of zeros before the first message.
pub fn load_cursor(connection: &Connection) -> rusqlite::Result<Cursor> {
    let cursor = connection
        .prepare_cached("SELECT epoch, sequence, row, click FROM feed_cursor")?
        .query_row([], |row| {
            Ok(Cursor {
                epoch: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                row: row.get(2)?,
                click: row.get(3)?,
            })
        })
        .optional()?;
    Ok(cursor.unwrap_or_default())
}

/// Stores the cursor.
pub fn save_cursor(tx: &Connection, cursor: &Cursor) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO feed_cursor (only, epoch, sequence, row, click) VALUES (1, ?, ?, ?, ?)
         ON CONFLICT (only) DO UPDATE SET
             epoch = excluded.epoch,
             sequence = excluded.sequence,
             row = excluded.row,
             click = excluded.click",
    )?
    .execute(params![
        cursor.epoch,
        cursor.sequence.cast_signed(),
        cursor.row,
        cursor.click
    ])?;
    Ok(())
}

/// Up to where clicks were published by a database that was lost; none if none was.
///
/// The epoch is empty if only the time counts.
pub fn barrier(connection: &Connection) -> rusqlite::Result<Option<Origin>> {
    connection
        .prepare_cached(
            "SELECT coalesce(barrier_epoch, ''), coalesce(barrier_sequence, 0),
                 coalesce(barrier_place, 0), barrier_stored_at_ns
             FROM feed_cursor WHERE barrier_stored_at_ns IS NOT NULL",
        )?
        .query_row([], |row| {
            Ok(Origin {
                epoch: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                index: row.get(2)?,
                stored_at_ns: row.get(3)?,
            })
        })
        .optional()
}

/// Stores the barrier beside the cursor, which must be there.
pub fn raise_barrier(tx: &Connection, barrier: &Origin) -> rusqlite::Result<()> {
    let is_placed = !barrier.epoch.is_empty();
    tx.prepare_cached(
        "UPDATE feed_cursor SET barrier_epoch = ?, barrier_sequence = ?, barrier_place = ?,
             barrier_stored_at_ns = ?",
    )?
    .execute(params![
        is_placed.then_some(&barrier.epoch),
        is_placed.then_some(barrier.sequence.cast_signed()),
        is_placed.then_some(barrier.index),
        barrier.stored_at_ns
    ])?;
    Ok(())
}

impl Origin {
    /// Whether a click read at `other` lies before this barrier, or on it.
    pub fn bars(&self, other: &Self) -> bool {
        other.stored_at_ns <= self.stored_at_ns
            && (self.epoch.is_empty()
                || (other.epoch == self.epoch
                    && (other.sequence, other.index) <= (self.sequence, self.index)))
    }
}
