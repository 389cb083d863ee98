//! Sessions: one family of refresh tokens each.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::Store;
use crate::domain::RefreshToken;
use crate::error::Result;

/// How long a session lives after it was last refreshed.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Sessions of one user at a time; a further sign-in ends the one that was refreshed longest ago.
/// More than anybody has devices, and a bound for programs that sign in and never out.
const MAX_SESSIONS_OF_A_USER: u32 = 50;
/// Expired sessions that one sweep removes in one transaction, so that a large backlog does not
/// keep other writes waiting.
const SWEEP: u32 = 1_000;

/// A session to be.
pub struct NewSession {
    /// A new id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The family's first token.
    pub token: RefreshToken,
    /// Now.
    pub created_at: Timestamp,
}

/// What became of a refresh token that was presented.
#[derive(Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was good; its successor has taken its place.
    Renewed {
        /// Whose session it is.
        user_id: Uuid,
        /// The session.
        session_id: Uuid,
    },
    /// It had been spent before: the session has been ended.
    Reused {
        /// The session that was.
        session_id: Uuid,
    },
    /// Its session has ended, or never was.
    Unknown,
}

struct Session {
    id: Uuid,
    user_id: Uuid,
    token_hash: [u8; 32],
    expires_at: i64,
}

impl Store {
    /// Spends `token`: `successor` takes its place, and the session lives on for its lifetime.
    pub async fn refresh(
        &self,
        token: RefreshToken,
        successor: RefreshToken,
        now: Timestamp,
    ) -> Result<Refreshed> {
        // A token that nobody ever had is refused by a reader: it must not cost a commit.
        let family = token.family_hash();
        let known = self.database.read(move |connection| {
            Ok::<_, crate::error::Error>(session(connection, &family)?.is_some())
        });
        if !known.await? {
            return Ok(Refreshed::Unknown);
        }
        self.database
            .write(move |tx| {
                let Some(session) = session(tx, &token.family_hash())? else {
                    return Ok(Refreshed::Unknown);
                };
                let now_ms = now.as_millisecond();
                if session.expires_at <= now_ms {
                    end(tx, session.id)?;
                    return Ok(Refreshed::Unknown);
                }
                if session.token_hash != token.hash() {
                    end(tx, session.id)?;
                    return Ok(Refreshed::Reused {
                        session_id: session.id,
                    });
                }
                tx.prepare_cached(
                    "UPDATE sessions SET token_hash = ?2, refreshed_at = ?3, expires_at = ?4
                     WHERE id = ?1",
                )?
                .execute(params![
                    session.id,
                    successor.hash(),
                    now_ms,
                    expiry(now_ms)
                ])?;
                Ok(Refreshed::Renewed {
                    user_id: session.user_id,
                    session_id: session.id,
                })
            })
            .await
    }

    /// Ends the session of `token`, be it the newest one of its family or not. True if there was one.
    pub async fn end_session_of(&self, token: RefreshToken) -> Result<bool> {
        let family = token.family_hash();
        self.database
            .write(move |tx| {
                let ended = tx
                    .prepare_cached("DELETE FROM sessions WHERE family_hash = ?1")?
                    .execute([family])?;
                Ok(ended > 0)
            })
            .await
    }

    /// Removes some of the expired sessions; the number that was removed. Zero: all are gone.
    pub async fn sweep_sessions(&self, now: Timestamp) -> Result<usize> {
        self.database
            .write(move |tx| {
                Ok(tx
                    .prepare_cached(
                        "DELETE FROM sessions WHERE id IN
                             (SELECT id FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
                    )?
                    .execute(params![now.as_millisecond(), SWEEP])?)
            })
            .await
    }
}

/// Adds a session, and ends the oldest ones of the user if they have too many.
pub(super) fn insert_session(tx: &Connection, session: &NewSession) -> Result<()> {
    let now_ms = session.created_at.as_millisecond();
    tx.prepare_cached(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE user_id = ?1
              ORDER BY refreshed_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![session.user_id, MAX_SESSIONS_OF_A_USER - 1])?;
    tx.prepare_cached(
        "INSERT INTO sessions
             (id, user_id, family_hash, token_hash, created_at, refreshed_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
    )?
    .execute(params![
        session.id,
        session.user_id,
        session.token.family_hash(),
        session.token.hash(),
        now_ms,
        expiry(now_ms)
    ])?;
    Ok(())
}

fn session(connection: &Connection, family: &[u8; 32]) -> rusqlite::Result<Option<Session>> {
    connection
        .prepare_cached(
            "SELECT id, user_id, token_hash, expires_at FROM sessions WHERE family_hash = ?1",
        )?
        .query_row([family], |row| {
            Ok(Session {
                id: row.get(0)?,
                user_id: row.get(1)?,
                token_hash: row.get(2)?,
                expires_at: row.get(3)?,
            })
        })
        .optional()
}

fn end(tx: &Connection, id: Uuid) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM sessions WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn expiry(now_ms: i64) -> i64 {
    now_ms.saturating_add(SESSION_LIFETIME.as_secs() * 1_000)
}
