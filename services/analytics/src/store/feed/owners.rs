use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

/// The feed of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feed {
    /// Whether its clicks are published.
    pub enabled: bool,
    /// How many clicks were counted and not published, because the backlog was full.
    pub dropped: u64,
}

/// The feed of `owner`; off if nothing was ever said.
pub fn of(connection: &Connection, owner: Uuid) -> rusqlite::Result<Feed> {
    let feed = connection
        .prepare_cached("SELECT enabled, dropped FROM feed_owner WHERE owner_id = ?")?
        .query_row([owner], |row| {
            Ok(Feed {
                enabled: row.get(0)?,
                dropped: row.get::<_, i64>(1)?.cast_unsigned(),
            })
        })
        .optional()?;
    Ok(feed.unwrap_or_default())
}

/// Turns the feed of `owner` on or off.
pub fn set(tx: &Connection, owner: Uuid, enabled: bool) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO feed_owner (owner_id, enabled) VALUES (?, ?)
         ON CONFLICT (owner_id) DO UPDATE SET enabled = excluded.enabled",
    )?
    .execute(params![owner, enabled])?;
    Ok(())
}

/// Whether the feed of `owner` is on.
pub fn is_enabled(tx: &Connection, owner: Uuid) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM feed_owner WHERE owner_id = ? AND enabled = 1")?
        .exists([owner])
}

/// Whether anybody's feed is on.
pub fn any_enabled(tx: &Connection) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM feed_owner WHERE enabled = 1")?
        .exists([])
}

/// Remembers that `clicks` of `owner` found no room in the backlog.
pub fn count_dropped(tx: &Connection, owner: Uuid, clicks: u64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE feed_owner SET dropped = dropped + ? WHERE owner_id = ?")?
        .execute(params![clicks.cast_signed(), owner])?;
    Ok(())
}
