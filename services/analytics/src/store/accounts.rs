//! Closed accounts: remembered for ever, erased piece by piece.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Remembers that an account is closed; whether that is news.
pub fn close(tx: &Connection, user_id: Uuid, at_ms: i64) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached("INSERT OR IGNORE INTO closed_account (user_id, at_ms) VALUES (?, ?)")?
        .execute(params![user_id, at_ms])?;
    Ok(rows > 0)
}

/// Whether an account is closed.
pub fn is_closed(tx: &Connection, user_id: Uuid) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM closed_account WHERE user_id = ?")?
        .query_row([user_id], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

/// Every closed account.
pub fn all(tx: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    tx.prepare_cached("SELECT user_id FROM closed_account")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The closed accounts that are not yet fully erased.
pub fn unerased(tx: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    tx.prepare_cached("SELECT user_id FROM closed_account WHERE erased = 0")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Notes that nothing of an account is left.
pub fn mark_erased(tx: &Connection, user_id: Uuid) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE closed_account SET erased = 1 WHERE user_id = ?")?
        .execute([user_id])?;
    Ok(())
}

/// Erases at most `limit` rows of an account; whether anything may be left.
pub fn erase_some(tx: &Connection, user_id: Uuid, limit: usize) -> rusqlite::Result<bool> {
    let mut left = limit;
    while left > 0 {
        let link: Option<Uuid> = tx
            .prepare_cached("SELECT link_id FROM link WHERE owner_id = ? LIMIT 1")?
            .query_row([user_id], |row| row.get(0))
            .optional()?;
        let Some(link) = link else {
            tx.prepare_cached("DELETE FROM account WHERE owner_id = ?")?
                .execute([user_id])?;
            return Ok(false);
        };
        let rows = tx
            .prepare_cached(
                "DELETE FROM counter WHERE (link_id, first) IN
                     (SELECT link_id, first FROM counter WHERE link_id = ?1 LIMIT ?2)",
            )?
            .execute(params![link, i64::try_from(left).unwrap_or(i64::MAX)])?;
        left -= rows.min(left);
        if left == 0 {
            return Ok(true);
        }
        // Last, so that an erasure that was cut off finds the rest of the link again.
        tx.prepare_cached("DELETE FROM link WHERE link_id = ?")?
            .execute([link])?;
        left -= 1;
    }
    Ok(true)
}
