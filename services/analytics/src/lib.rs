//! analytics: adds up the clicks, each exactly once, and shows their owners what they say.

mod accounts;
mod app;
mod audit;
mod config;
mod dead_letters;
mod domain;
mod error;
mod feed;
mod forward;
mod ingest;
mod links;
mod live;
mod maintenance;
mod partition;
mod rebuild;
mod retention;
mod routes;
mod rules;
mod settling;
mod state;
mod store;
mod streams;

pub use app::App;
pub use config::{Config, Retention};
pub use forward::PartitionUrls;
pub use routes::openapi;

/// What `benches/` measures apart from the rest, and how tests look into the database; no API.
#[doc(hidden)]
pub mod parts {
    use chassis::bus::StoredMessage;
    use events::{Partition, subjects};
    use uuid::Uuid;

    pub use crate::ingest::set::Counted;
    pub use crate::ingest::turns::Turns;
    pub use crate::rules::Rules;
    pub use crate::store::MIGRATIONS;
    pub use crate::store::counters::{Key, Total, add_all as count, page};
    pub use crate::store::rows;

    /// A message of the stream.
    pub struct Message(StoredMessage);

    impl Message {
        /// The message that carries a batch of `spool`.
        pub fn new(spool: Uuid, batch: Vec<u8>) -> Self {
            Self(StoredMessage {
                subject: subjects::clicks(Partition::WHOLE, spool),
                sequence: 1,
                stored_at_ns: 1_795_000_100_000_000_000,
                payload: batch.into(),
                headers: async_nats::HeaderMap::new(),
                pending: 0,
            })
        }

        /// Reads and classifies its clicks; whether that can be done.
        pub fn read(&self, rules: &Rules) -> bool {
            crate::ingest::set::read(&self.0, rules, Partition::WHOLE).is_ok()
        }
    }
}
