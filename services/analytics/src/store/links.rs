//! Links, as the link table says.

use rusqlite::{Connection, params};
use uuid::Uuid;

/// Takes over what the link table says of a link. An older version changes nothing.
pub fn put(
    tx: &Connection,
    link_id: Uuid,
    owner_id: Uuid,
    code: &str,
    version: u64,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO link (link_id, owner_id, code, version) VALUES (?, ?, ?, ?)
         ON CONFLICT (link_id) DO UPDATE SET
             code = excluded.code,
             version = excluded.version,
             deleted = 0
         WHERE excluded.version > version OR deleted = 1",
    )?
    .execute(params![link_id, owner_id, code, version.cast_signed()])?;
    // A code has one link: the ones that had it before are gone.
    tx.prepare_cached(
        "UPDATE link SET deleted = 1 WHERE code = ? AND link_id <> ? AND deleted = 0",
    )?
    .execute(params![code, link_id])?;
    Ok(())
}

/// Takes over that the link table holds nothing under `code`. Its statistics stay.
pub fn delete(tx: &Connection, code: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE link SET deleted = 1 WHERE code = ? AND deleted = 0")?
        .execute([code])?;
    Ok(())
}
