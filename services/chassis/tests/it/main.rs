//! The chassis on real parts: a nats-server, SQLite files and HTTP.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod api;
mod bus;
mod hostile_tokens;
mod outbox;
mod stopping;
mod support;
