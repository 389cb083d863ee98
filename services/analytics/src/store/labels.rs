//! Hosts, countries and names, each stored once.

use rusqlite::{Connection, OptionalExtension};

/// The number of each text, in the same order; unknown texts get one.
pub fn intern(tx: &Connection, texts: &[&str]) -> rusqlite::Result<Vec<i64>> {
    let mut find = tx.prepare_cached("SELECT id FROM label WHERE text = ?")?;
    let mut add = tx.prepare_cached("INSERT INTO label (text) VALUES (?) RETURNING id")?;
    texts
        .iter()
        .map(
            |text| match find.query_row([text], |row| row.get(0)).optional()? {
                Some(id) => Ok(id),
                None => add.query_row([text], |row| row.get(0)),
            },
        )
        .collect()
}
