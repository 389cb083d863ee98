//! The database: links, closed accounts and the outbox. The rows are the record; each change and
//! the event that tells of it commit together.

mod accounts;
mod changes;
mod compare;
mod links;
mod page;
mod row;

use std::path::Path;

use chassis::outbox;
use chassis::ready::Readiness;
use chassis::shutdown::Shutdown;
use chassis::sqlite::{Database, Profile};

pub use compare::Difference;
pub use page::{Page, Search};
pub use row::record;

/// The schema, in order.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    outbox::MIGRATION,
];

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
    /// Opens the file, makes it if it is missing, and brings its schema up to date.
    pub async fn open(
        path: &Path,
        profile: Profile,
        shutdown: &Shutdown,
        ready: &Readiness,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            database: Database::open(path, profile, MIGRATIONS, shutdown, ready).await?,
        })
    }

    /// The database, for the relay.
    pub fn database(&self) -> &Database {
        &self.database
    }
}
