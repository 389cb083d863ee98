//! What was seen of each spool.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::ingest::ledger::{Gap, Ledger};

/// What was seen of `spool`; an empty ledger if it is new.
pub fn load(tx: &Connection, spool: Uuid) -> rusqlite::Result<Ledger> {
    let next = tx
        .prepare_cached("SELECT next FROM spool WHERE spool = ?")?
        .query_row([spool], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(next) = next else {
        return Ok(Ledger::default());
    };
    let gaps = tx
        .prepare_cached("SELECT first, last, noticed_at_ms FROM gap WHERE spool = ?")?
        .query_map([spool], |row| {
            Ok(Gap {
                first: row.get::<_, i64>(0)?.cast_unsigned(),
                last: row.get::<_, i64>(1)?.cast_unsigned(),
                noticed_at_ms: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<Gap>>>()?;
    Ok(Ledger::new(next.cast_unsigned(), gaps))
}

/// Stores what was seen of `spool`.
pub fn save(tx: &Connection, spool: Uuid, ledger: &Ledger) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO spool (spool, next) VALUES (?, ?)
         ON CONFLICT (spool) DO UPDATE SET next = excluded.next",
    )?
    .execute(params![spool, ledger.next().cast_signed()])?;
    if ledger.gaps_changed() {
        tx.prepare_cached("DELETE FROM gap WHERE spool = ?")?
            .execute([spool])?;
        let mut insert = tx.prepare_cached(
            "INSERT INTO gap (spool, first, last, noticed_at_ms) VALUES (?, ?, ?, ?)",
        )?;
        for gap in ledger.gaps() {
            insert.execute(params![
                spool,
                gap.first.cast_signed(),
                gap.last.cast_signed(),
                gap.noticed_at_ms
            ])?;
        }
    }
    Ok(())
}

/// Every spool with its next number, and how many numbers before that are missing.
pub fn all(tx: &Connection) -> rusqlite::Result<Vec<(Uuid, u64, u64)>> {
    tx.prepare_cached(
        "SELECT spool, next, coalesce(
             (SELECT sum(last - first + 1) FROM gap WHERE gap.spool = spool.spool), 0)
         FROM spool",
    )?
    .query_map([], |row| {
        let [next, missing] = [row.get::<_, i64>(1)?, row.get::<_, i64>(2)?];
        Ok((row.get(0)?, next.cast_unsigned(), missing.cast_unsigned()))
    })?
    .collect()
}

/// How many numbers are missing, over all spools.
pub fn missing(tx: &Connection) -> rusqlite::Result<u64> {
    tx.prepare_cached("SELECT coalesce(sum(last - first + 1), 0) FROM gap")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}
