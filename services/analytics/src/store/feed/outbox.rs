use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::{ELSEWHERE, Origin, barrier};

/// One message that is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order; never given to another click. Chosen by [`append`].
    pub id: i64,
    /// Whose click.
    pub owner: Uuid,
    /// The code of the link.
    pub code: String,
    /// The click's identity: `<spool>-<number>`.
    pub click: String,
    /// When it was, in milliseconds since 1970.
    pub at_ms: i64,
    /// Where it was read.
    pub origin: Origin,
    /// What its owner may know, as JSON.
    pub body: String,
}

/// Adds a message behind the others.
pub fn append(tx: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO feed_outbox
             (owner_id, code, click, at_ms, epoch, sequence, place, stored_at_ns, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        entry.owner,
        entry.code,
        entry.click,
        entry.at_ms,
        entry.origin.epoch,
        entry.origin.sequence.cast_signed(),
        entry.origin.index,
        entry.origin.stored_at_ns,
        entry.body,
    ])?;
    Ok(())
}

/// The messages behind the row `after`, at most `limit`, in their order.
pub fn load(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<Entry>> {
    connection
        .prepare_cached(
            "SELECT id, owner_id, code, click, at_ms, epoch, sequence, place, stored_at_ns, body
             FROM feed_outbox WHERE id > ? ORDER BY id LIMIT ?",
        )?
        .query_map(params![after, limit], entry)?
        .collect()
}

/// How many messages wait. Exact but for rows of erased accounts: counting a long queue would make
/// it longer still.
pub fn backlog(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(id) - min(id) + 1, 0) FROM feed_outbox")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Whether `row` is there, and is of `click`.
pub fn has_click(tx: &Connection, row: i64, click: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM feed_outbox WHERE id = ? AND click = ?")?
        .exists(params![row, click])
}

/// Id and click of the message that is the `n`th to be published (from 1); none if there are less.
pub fn nth(tx: &Connection, n: u64) -> rusqlite::Result<Option<(i64, String)>> {
    let before = n.saturating_sub(1).min(i64::MAX as u64).cast_signed();
    tx.prepare_cached("SELECT id, click FROM feed_outbox ORDER BY id LIMIT 1 OFFSET ?")?
        .query_row([before], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Forgets the messages up to `row`: the stream holds them.
pub fn confirm(tx: &Connection, row: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM feed_outbox WHERE id <= ?")?
        .execute([row])?;
    Ok(())
}

/// Forgets the messages and the settings of an account.
pub fn purge_owner(tx: &Connection, owner: Uuid) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM feed_outbox WHERE owner_id = ?")?
        .execute([owner])?;
    tx.prepare_cached("DELETE FROM feed_owner WHERE owner_id = ?")?
        .execute([owner])?;
    Ok(())
}

/// Gives the messages that wait, and all that come, ids behind `row`, which somebody used who knew
/// more than this database.
pub fn shift(tx: &Connection, row: i64) -> rusqlite::Result<()> {
    let used: i64 = tx
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?")?
        .query_row(["feed_outbox"], |found| found.get(0))?;
    let by = row.max(used);
    tx.prepare_cached("UPDATE feed_outbox SET id = id + ?")?
        .execute([by])?;
    let changed = tx
        .prepare_cached("UPDATE sqlite_sequence SET seq = ? WHERE name = 'feed_outbox'")?
        .execute([used + by])?;
    if changed == 0 {
        tx.prepare_cached("INSERT INTO sqlite_sequence (name, seq) VALUES ('feed_outbox', ?)")?
            .execute([used + by])?;
    }
    Ok(())
}

/// Forgets the messages that the barrier says were published before; how many. Clicks that were not
/// read in the stream have no time of their own: their place counts alone.
pub fn sweep_barred(tx: &Connection) -> rusqlite::Result<usize> {
    let Some(barrier) = barrier(tx)? else {
        return Ok(0);
    };
    tx.prepare_cached(
        "DELETE FROM feed_outbox WHERE (stored_at_ns <= ?1 OR (place = ?5 AND ?2 <> ''))
             AND (?2 = '' OR (epoch = ?2 AND (sequence, place) <= (?3, ?4)))",
    )?
    .execute(params![
        barrier.stored_at_ns,
        barrier.epoch,
        barrier.sequence.cast_signed(),
        barrier.index,
        ELSEWHERE,
    ])
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        owner: row.get(1)?,
        code: row.get(2)?,
        click: row.get(3)?,
        at_ms: row.get(4)?,
        origin: Origin {
            epoch: row.get(5)?,
            sequence: row.get::<_, i64>(6)?.cast_unsigned(),
            index: row.get(7)?,
            stored_at_ns: row.get(8)?,
        },
        body: row.get(9)?,
    })
}
