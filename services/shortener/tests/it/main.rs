//! The shortener as its users see it: real HTTP, a real database file, a real nats-server.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod closures;
mod docs;
mod hostile;
mod link_table;
mod links;
mod pages;
mod support;
