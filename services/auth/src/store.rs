//! What auth remembers, in SQLite.

mod closings;
mod keys;
mod sessions;
mod users;

use chassis::sqlite::Database;

pub use keys::{KeyRole, StoredKey};
pub use sessions::{NewSession, Refreshed};
pub use users::{NewUser, User};

/// The schema, in order; the outbox is chassis's.
pub const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    chassis::outbox::MIGRATION,
];

/// The database of auth. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// On an open database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}
