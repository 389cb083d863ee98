//! The database: links, closed accounts and the outbox. The rows are the record; each change and
//! the event that tells of it commit together.

mod accounts;
mod changes;
mod compare;
mod links;
mod page;
mod row;

use chassis::database_file::Schema;
use chassis::outbox;
use chassis::sqlite::{Database, Migration};

pub use compare::Difference;
pub use page::{Page, Search};
pub use row::record;

/// The database.
pub const SCHEMA: Schema = Schema {
    name: "links",
    migrations: &[
        Migration::Sql(include_str!("../migrations/0001_init.sql")),
        outbox::MIGRATION,
    ],
    after_restore: "the link table is made equal to this database; links that were made since the \
                    backup are gone from it, too",
};

/// How many links one transaction changes at most: small enough that other writers hardly wait,
/// large enough that a million links are gone in a minute.
const BATCH: usize = 500;

/// The database of the shortener.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

/// The row of the outbox that tells of a change.
pub type OutboxRow = i64;

impl Store {
    /// On an open database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The database, for the relay.
    pub fn database(&self) -> &Database {
        &self.database
    }
}
