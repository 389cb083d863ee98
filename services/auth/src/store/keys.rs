//! The signing keys.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Store;
use crate::error::{Error, Result};

/// What a signing key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Published, so that it is known when its time comes.
    Next,
    /// Signs.
    Current,
    /// Signed once; published until its last token has expired.
    Retired,
}

/// A key as the database holds it.
pub struct StoredKey {
    /// Its id in the header of a token.
    pub kid: String,
    /// The Ed25519 seed.
    pub seed: Zeroizing<Vec<u8>>,
    /// What it is for.
    pub role: KeyRole,
    /// When it ceased to sign, in milliseconds since 1970 (UTC).
    pub retired_at_ms: Option<i64>,
}

impl Store {
    /// All keys; at the first start a current and a next one are made.
    pub async fn load_or_make_keys(&self, now_ms: i64) -> Result<Vec<StoredKey>> {
        self.database
            .write(move |tx| {
                let keys = all(tx)?;
                if !keys.is_empty() {
                    return Ok::<_, Error>(keys);
                }
                insert(tx, "current", now_ms)?;
                insert(tx, "next", now_ms)?;
                Ok(all(tx)?)
            })
            .await
    }

    /// Retires the current key, puts the next one in its place, and makes another next one.
    pub async fn rotate_keys(&self, now_ms: i64) -> Result<Vec<StoredKey>> {
        self.database
            .write(move |tx| {
                tx.execute(
                    "UPDATE signing_keys SET role = 'retired', retired_at = ?1
                     WHERE role = 'current'",
                    [now_ms],
                )?;
                tx.execute(
                    "UPDATE signing_keys SET role = 'current' WHERE role = 'next'",
                    [],
                )?;
                insert(tx, "next", now_ms)?;
                Ok::<_, Error>(all(tx)?)
            })
            .await
    }

    /// Drops keys that were retired at or before `retired_at_ms`; the others.
    pub async fn drop_retired_keys(&self, retired_at_ms: i64) -> Result<Vec<StoredKey>> {
        self.database
            .write(move |tx| {
                tx.execute(
                    "DELETE FROM signing_keys WHERE retired_at <= ?1",
                    [retired_at_ms],
                )?;
                Ok::<_, Error>(all(tx)?)
            })
            .await
    }
}

fn insert(tx: &Connection, role: &str, now_ms: i64) -> rusqlite::Result<()> {
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    tx.execute(
        "INSERT INTO signing_keys (kid, seed, role, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![Uuid::now_v7().to_string(), seed.as_slice(), role, now_ms],
    )?;
    Ok(())
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    connection
        .prepare("SELECT kid, seed, role, retired_at FROM signing_keys ORDER BY kid DESC")?
        .query_map([], |row| {
            Ok(StoredKey {
                kid: row.get(0)?,
                seed: Zeroizing::new(row.get(1)?),
                role: row.get(2)?,
                retired_at_ms: row.get(3)?,
            })
        })?
        .collect()
}

impl FromSql for KeyRole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "next" => Ok(Self::Next),
            "current" => Ok(Self::Current),
            "retired" => Ok(Self::Retired),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
