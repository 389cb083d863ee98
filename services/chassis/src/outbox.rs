//! The transactional outbox: a change and the message that tells of it commit together, and the
//! relay sends the messages afterwards, in their order, until the stream has stored them.
//!
//! The messages must be idempotent in their order, as the last value of a subject is: when the
//! outcome of a publish is unknown, the relay sends it and everything behind it again. It uses no
//! message ids, since a value that is dropped as a duplicate behind a repeated older one would
//! leave the older one standing.

mod progress;
mod relay;

use rusqlite::{Connection, params};

use crate::sqlite::Migration;

pub use relay::Relay;

/// The table of the outbox: one more entry for the list of migrations.
pub const MIGRATION: Migration = Migration::Sql(
    "
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    -- Without a payload the message deletes the value of its subject from a bucket.
    payload BLOB,
    -- The W3C trace context of the request that made the change.
    traceparent TEXT
) STRICT;
",
);

/// Adds a message to be sent once the transaction has committed; its place in the outbox.
pub fn append(tx: &Connection, subject: &str, payload: &[u8]) -> rusqlite::Result<i64> {
    insert(tx, subject, Some(payload))
}

/// Adds a message that deletes the value of `subject` from its bucket; its place in the outbox.
pub fn append_delete(tx: &Connection, subject: &str) -> rusqlite::Result<i64> {
    insert(tx, subject, None)
}

fn insert(tx: &Connection, subject: &str, payload: Option<&[u8]>) -> rusqlite::Result<i64> {
    tx.prepare_cached("INSERT INTO outbox (subject, payload, traceparent) VALUES (?1, ?2, ?3)")?
        .insert(params![subject, payload, crate::telemetry::traceparent()])
}
