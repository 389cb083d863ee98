//! Closed accounts.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::Store;
use crate::error::Error;

impl Store {
    /// Remembers for ever that an account is closed: from here on it gets no new link.
    /// True if links of it may still be there.
    pub async fn close_account(&self, user_id: Uuid, closed_at_ms: i64) -> Result<bool, Error> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(
                    "INSERT INTO closed_accounts (user_id, closed_at_ms) VALUES (?1, ?2)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![user_id, closed_at_ms])?;
                let erased: bool = tx
                    .prepare_cached("SELECT erased FROM closed_accounts WHERE user_id = ?1")?
                    .query_row(params![user_id], |row| row.get(0))?;
                Ok(!erased)
            })
            .await
    }

    /// Notes that the last link of a closed account is gone.
    pub async fn note_erased(&self, user_id: Uuid) -> Result<(), Error> {
        self.database
            .write(move |tx| {
                tx.execute(
                    "UPDATE closed_accounts SET erased = 1 WHERE user_id = ?1",
                    params![user_id],
                )?;
                Ok(())
            })
            .await
    }

    /// The ids of all closed accounts.
    pub async fn closed_accounts(&self) -> Result<Vec<Uuid>, Error> {
        self.database
            .read(|db| {
                let mut statement = db.prepare("SELECT user_id FROM closed_accounts")?;
                let ids = statement.query_map([], |row| row.get(0))?;
                Ok(ids.collect::<Result<_, _>>()?)
            })
            .await
    }
}

/// Whether the account is closed.
pub fn is_closed(db: &Connection, user_id: Uuid) -> rusqlite::Result<bool> {
    let found = db
        .prepare_cached("SELECT 1 FROM closed_accounts WHERE user_id = ?1")?
        .query_row(params![user_id], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}
