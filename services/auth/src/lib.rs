//! Accounts, sessions and the keys that sign access tokens.
//!
//! What this service promises, and where:
//!
//! - A password is hashed with argon2id, never kept, never printed ([`domain`], `hashing`).
//! - Guessing is slow: attempts are limited per client, per account, and per both (`limits`);
//!   an unknown name costs the same work as a wrong password.
//! - A refresh token works once. Used again, it ends its whole family (`store/sessions`).
//! - An access token is signed with Ed25519 and lives for a quarter of an hour; keys rotate
//!   without breaking tokens in flight (`signing`).
//! - A closed account is erased here in the same transaction that tells everybody else.
//!
//! A closed account's username becomes free. Keeping it would mean to remember a person who asked
//! to be forgotten; and nothing outside this service knows users by name, so nobody can pose as them.

mod app;
mod closings;
mod config;
pub mod domain;
mod error;
mod hashing;
mod limits;
mod routes;
mod signing;
mod store;
mod sweeper;

pub use app::App;
pub use config::Config;
pub use limits::{Limits, Rate};
pub use routes::openapi;
