//! Links one by one.

use chassis::outbox;
use events::subjects;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{OutboxRow, Store, row};
use crate::domain::{Code, Link};
use crate::error::Error;

impl Store {
    /// The link with this code, if it is the caller's.
    pub async fn link(&self, owner_id: Uuid, code: Code) -> Result<Option<Link>, Error> {
        self.database
            .read(move |db| Ok(find_own(db, owner_id, &code)?))
            .await
    }

    /// How many links there are, of all accounts.
    pub async fn count(&self) -> Result<u64, Error> {
        self.database.read(|db| Ok(count(db)?)).await
    }
}

/// How many links there are, of all accounts.
pub fn count(db: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = db.query_row("SELECT count(*) FROM links", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The link with this code, if it is `owner_id`'s.
pub fn find_own(db: &Connection, owner_id: Uuid, code: &Code) -> rusqlite::Result<Option<Link>> {
    Ok(find(db, code.as_str())?.filter(|link| link.owner_id == owner_id))
}

/// The link with this code, whoever owns it.
pub fn find(db: &Connection, code: &str) -> rusqlite::Result<Option<Link>> {
    db.prepare_cached(&format!(
        "SELECT {} FROM links WHERE code = ?1",
        row::COLUMNS
    ))?
    .query_row(params![code], row::read)
    .optional()
}

/// Adds the row; false if the code is taken.
pub fn insert(tx: &Connection, link: &Link) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO links (link_id, owner_id, code, url, title, state, valid_from_ms,
             valid_until_ms, fallback_url, redirect_status, version, created_at_ms,
             updated_at_ms, search_text)
         VALUES (:link_id, :owner_id, :code, :url, :title, :state, :valid_from_ms,
             :valid_until_ms, :fallback_url, :redirect_status, :version, :created_at_ms,
             :updated_at_ms, :search_text)
         ON CONFLICT (code) DO NOTHING",
    )?;
    Ok(row::with_values(link, |values| statement.execute(values))? == 1)
}

/// Writes a changed link over its row.
pub fn update(tx: &Connection, link: &Link) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE links SET owner_id = :owner_id, code = :code, url = :url, title = :title,
             state = :state, valid_from_ms = :valid_from_ms, valid_until_ms = :valid_until_ms,
             fallback_url = :fallback_url, redirect_status = :redirect_status,
             version = :version, created_at_ms = :created_at_ms, updated_at_ms = :updated_at_ms,
             search_text = :search_text
         WHERE link_id = :link_id",
    )?;
    row::with_values(link, |values| statement.execute(values))?;
    Ok(())
}

/// Removes the row, and tells of it.
pub fn delete(tx: &Connection, code: &str) -> rusqlite::Result<OutboxRow> {
    tx.prepare_cached("DELETE FROM links WHERE code = ?1")?
        .execute(params![code])?;
    outbox::append_delete(tx, &subjects::link(code))
}

/// Tells redirectors what the link is now.
pub fn publish(tx: &Connection, link: &Link) -> rusqlite::Result<OutboxRow> {
    outbox::append(
        tx,
        &subjects::link(link.code.as_str()),
        &row::record(link).encode(),
    )
}

/// Removes up to `limit` links of an account, and tells of it: how many, and the last outbox row.
pub fn delete_some(
    tx: &Connection,
    owner_id: Uuid,
    limit: usize,
) -> rusqlite::Result<(u64, Option<OutboxRow>)> {
    let codes: Vec<String> = tx
        .prepare_cached("SELECT code FROM links WHERE owner_id = ?1 ORDER BY code LIMIT ?2")?
        .query_map(params![owner_id, limit.cast_signed()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut last = None;
    for code in &codes {
        last = Some(delete(tx, code)?);
    }
    Ok((codes.len() as u64, last))
}
