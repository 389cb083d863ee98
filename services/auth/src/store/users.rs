//! Users, and the ids of those who left.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::Store;
use super::sessions::{NewSession, insert_session};
use crate::domain::Username;
use crate::error::{Error, Result};

/// Somebody with an account.
#[derive(Clone)]
pub struct User {
    /// Made at registration, never used again.
    pub id: Uuid,
    /// As it was written at registration.
    pub username: String,
    /// The PHC string of the password.
    pub password_hash: String,
    /// When they registered.
    pub created_at: Timestamp,
}

/// An account to be.
pub struct NewUser {
    /// A new id.
    pub id: Uuid,
    /// Free or not.
    pub username: Username,
    /// The PHC string of the password.
    pub password_hash: String,
    /// Now.
    pub created_at: Timestamp,
}

impl Store {
    /// Adds an account; [`Error::UsernameTaken`] if somebody has the name.
    pub async fn add_user(&self, user: NewUser) -> Result<User> {
        self.database
            .write(move |tx| {
                let created_at = user.created_at.as_millisecond();
                let added = tx
                    .prepare_cached(
                        "INSERT INTO users
                             (id, username, password_hash, created_at, password_changed_at)
                         VALUES (?1, ?2, ?3, ?4, ?4)
                         ON CONFLICT (username) DO NOTHING",
                    )?
                    .execute(params![
                        user.id,
                        user.username.as_str(),
                        user.password_hash,
                        created_at
                    ])?;
                if added == 0 {
                    return Err(Error::UsernameTaken);
                }
                by_id(tx, user.id)?.ok_or(Error::SessionEnded)
            })
            .await
    }

    /// The account of this name, in any spelling.
    pub async fn user_named(&self, username: Username) -> Result<Option<User>> {
        self.database
            .read(move |connection| {
                Ok(connection
                    .prepare_cached(
                        "SELECT id, username, password_hash, created_at
                         FROM users WHERE username = ?1",
                    )?
                    .query_row([username.as_str()], user)
                    .optional()?)
            })
            .await
    }

    /// The account of this session; [`Error::SessionEnded`] if either is gone.
    pub async fn user_in_session(&self, user_id: Uuid, session_id: Uuid) -> Result<User> {
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT u.id, u.username, u.password_hash, u.created_at
                         FROM users u JOIN sessions s ON s.user_id = u.id
                         WHERE u.id = ?1 AND s.id = ?2",
                    )?
                    .query_row([user_id, session_id], user)
                    .optional()?
                    .ok_or(Error::SessionEnded)
            })
            .await
    }

    /// Opens a session for a user whose password was verified against `verified_hash`.
    ///
    /// [`Error::BadCredentials`] if the password was changed, or the account closed, since then:
    /// an old password must not outlive its change by a race. A better hash of the same password
    /// takes the old one's place.
    pub async fn sign_in(
        &self,
        session: NewSession,
        verified_hash: String,
        rehashed: Option<String>,
    ) -> Result<()> {
        self.database
            .write(move |tx| {
                if !has_hash(tx, session.user_id, &verified_hash)? {
                    return Err(Error::BadCredentials);
                }
                if let Some(better) = rehashed {
                    tx.prepare_cached("UPDATE users SET password_hash = ?2 WHERE id = ?1")?
                        .execute(params![session.user_id, better])?;
                }
                insert_session(tx, &session)
            })
            .await
    }

    /// Sets another password and ends every session but `session_id`.
    ///
    /// [`Error::SessionEnded`] if the session, the account or the password that was verified is
    /// not there any more.
    pub async fn change_password(
        &self,
        user_id: Uuid,
        session_id: Uuid,
        verified_hash: String,
        new_hash: String,
        now: Timestamp,
    ) -> Result<()> {
        self.database
            .write(move |tx| {
                let changed = tx
                    .prepare_cached(
                        "UPDATE users SET password_hash = ?4, password_changed_at = ?5
                         WHERE id = ?1 AND password_hash = ?3 AND EXISTS
                             (SELECT 1 FROM sessions WHERE id = ?2 AND user_id = ?1)",
                    )?
                    .execute(params![
                        user_id,
                        session_id,
                        verified_hash,
                        new_hash,
                        now.as_millisecond()
                    ])?;
                if changed == 0 {
                    return Err(Error::SessionEnded);
                }
                tx.prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND id <> ?2")?
                    .execute([user_id, session_id])?;
                Ok(())
            })
            .await
    }
}

fn by_id(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<User>> {
    connection
        .prepare_cached("SELECT id, username, password_hash, created_at FROM users WHERE id = ?1")?
        .query_row([id], user)
        .optional()
}

fn has_hash(connection: &Connection, id: Uuid, hash: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM users WHERE id = ?1 AND password_hash = ?2")?
        .exists(params![id, hash])
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let created_at: i64 = row.get("created_at")?;
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        password_hash: row.get("password_hash")?,
        created_at: Timestamp::from_millisecond(created_at).unwrap_or_default(),
    })
}
