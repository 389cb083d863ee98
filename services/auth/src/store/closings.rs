//! Accounts that were closed: their ids, for ever.

use std::collections::HashSet;

use chassis::outbox;
use events::{AccountClosed, subjects};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Store;
use crate::error::{Error, Result};

impl Store {
    /// Erases the account, remembers its id, and tells everybody: all or nothing.
    ///
    /// [`Error::SessionEnded`] if the account or the password that was verified is not there any
    /// more; so an account is closed, and the event published, once.
    pub async fn close_account(
        &self,
        user_id: Uuid,
        verified_hash: String,
        now: Timestamp,
    ) -> Result<()> {
        self.database
            .write(move |tx| {
                let erased = tx
                    .prepare_cached("DELETE FROM users WHERE id = ?1 AND password_hash = ?2")?
                    .execute(params![user_id, verified_hash])?;
                if erased == 0 {
                    return Err(Error::SessionEnded);
                }
                let closed = AccountClosed {
                    user_id,
                    at_ms: now.as_millisecond(),
                };
                remember(tx, &closed)?;
                announce(tx, &closed)?;
                Ok(())
            })
            .await
    }

    /// Accounts closed after `since`, whose access tokens may not have expired.
    pub async fn closed_since(&self, since: Timestamp) -> Result<Vec<Uuid>> {
        self.database
            .read(move |connection| {
                let mut closed = connection
                    .prepare("SELECT user_id FROM closed_accounts WHERE closed_at > ?1")?;
                let ids = closed.query_map([since.as_millisecond()], |row| row.get(0))?;
                Ok(ids.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    /// All closed accounts of which the stream was told; those still in the outbox are left out.
    pub async fn announced_closings(&self) -> Result<Vec<AccountClosed>> {
        self.database
            .read(|connection| {
                let waiting: HashSet<String> = connection
                    .prepare("SELECT subject FROM outbox")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                let closed: Vec<AccountClosed> = connection
                    .prepare("SELECT user_id, closed_at FROM closed_accounts")?
                    .query_map([], |row| {
                        Ok(AccountClosed {
                            user_id: row.get(0)?,
                            at_ms: row.get(1)?,
                        })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                let announced = closed
                    .into_iter()
                    .filter(|one| !waiting.contains(&subjects::account_closed(one.user_id)));
                Ok(announced.collect())
            })
            .await
    }

    /// Erases those of `ids` that this database still, or again, knows as open accounts, and
    /// remembers all of them as closed. The ones that were erased.
    pub async fn close_again(&self, ids: HashSet<Uuid>, now: Timestamp) -> Result<Vec<Uuid>> {
        self.database
            .write(move |tx| {
                let mut erase = tx.prepare_cached("DELETE FROM users WHERE id = ?1")?;
                let mut revived = Vec::new();
                for user_id in ids {
                    if erase.execute([user_id])? > 0 {
                        revived.push(user_id);
                    }
                    remember(
                        tx,
                        &AccountClosed {
                            user_id,
                            at_ms: now.as_millisecond(),
                        },
                    )?;
                }
                Ok(revived)
            })
            .await
    }

    /// Tells the stream once more of accounts that it has forgotten.
    pub async fn announce_again(&self, closed: Vec<AccountClosed>) -> Result<()> {
        self.database
            .write(move |tx| {
                for closed in closed {
                    announce(tx, &closed)?;
                }
                Ok(())
            })
            .await
    }
}

/// An account that is known as closed keeps the time at which it was.
fn remember(tx: &Connection, closed: &AccountClosed) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO closed_accounts (user_id, closed_at) VALUES (?1, ?2)",
    )?
    .execute(params![closed.user_id, closed.at_ms])?;
    Ok(())
}

fn announce(tx: &Connection, closed: &AccountClosed) -> rusqlite::Result<()> {
    outbox::append(
        tx,
        &subjects::account_closed(closed.user_id),
        &closed.encode(),
    )?;
    Ok(())
}
