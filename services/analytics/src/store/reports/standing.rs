use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

/// The sequence of the last message of the stream that is counted; 0 before the first.
pub fn applied_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    let sequence = connection
        .prepare_cached("SELECT sequence FROM position WHERE stream = ?1")?
        .query_row([events::streams::CLICKS.name], |row| row.get(0))
        .optional()?;
    Ok(sequence.unwrap_or(0))
}

/// Whether the account was closed.
pub fn is_closed(connection: &Connection, user_id: Uuid) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM closed_account WHERE user_id = ?1")?
        .exists([user_id])
}
