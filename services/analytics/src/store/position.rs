//! How far the stream was read.

use rusqlite::{Connection, OptionalExtension, params};

/// The last message that was applied, and which stream it was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The stream's identity.
    pub epoch: String,
    /// The message's sequence in it.
    pub sequence: u64,
    /// A hash of the message and of the time at which the server stored it.
    pub fingerprint: Vec<u8>,
}

/// The position in `stream`; none if nothing was read yet.
pub fn load(tx: &Connection, stream: &str) -> rusqlite::Result<Option<Position>> {
    tx.prepare_cached("SELECT epoch, sequence, fingerprint FROM position WHERE stream = ?")?
        .query_row([stream], |row| {
            Ok(Position {
                epoch: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                fingerprint: row.get(2)?,
            })
        })
        .optional()
}

/// Stores the position in `stream`.
pub fn save(tx: &Connection, stream: &str, position: &Position) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO position (stream, epoch, sequence, fingerprint) VALUES (?, ?, ?, ?)
         ON CONFLICT (stream) DO UPDATE SET
             epoch = excluded.epoch,
             sequence = excluded.sequence,
             fingerprint = excluded.fingerprint",
    )?
    .execute(params![
        stream,
        position.epoch,
        position.sequence.cast_signed(),
        position.fingerprint
    ])?;
    Ok(())
}

/// Remembers that the messages from `first` to `last` left the stream before they were read.
pub fn add_missed(
    tx: &Connection,
    epoch: &str,
    first: u64,
    last: u64,
    now_ms: i64,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO missed (epoch, first_sequence, last_sequence, noticed_at_ms)
         VALUES (?, ?, ?, ?)
         ON CONFLICT (epoch, first_sequence) DO UPDATE SET
             last_sequence = max(last_sequence, excluded.last_sequence)",
    )?
    .execute(params![
        epoch,
        first.cast_signed(),
        last.cast_signed(),
        now_ms
    ])?;
    Ok(())
}

/// How many messages left the stream before they were read, over all times.
pub fn missed(tx: &Connection) -> rusqlite::Result<u64> {
    tx.prepare_cached("SELECT coalesce(sum(last_sequence - first_sequence + 1), 0) FROM missed")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}
