//! What auth remembers, in SQLite.

mod closings;
mod keys;
mod sessions;
mod users;

use chassis::database_file::Schema;
use chassis::sqlite::{Database, Migration};

pub use keys::{KeyRole, StoredKey};
pub use sessions::{NewSession, Refreshed};
pub use users::{NewUser, User};

/// The database; the outbox in it is chassis's.
pub const SCHEMA: Schema = Schema {
    name: "auth",
    migrations: &[
        Migration::Sql(include_str!("../migrations/0001_init.sql")),
        chassis::outbox::MIGRATION,
    ],
    after_restore: "accounts, passwords and sessions are those of the backup; accounts that were \
                    closed since then are closed again, from the stream ACCOUNTS",
};

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
