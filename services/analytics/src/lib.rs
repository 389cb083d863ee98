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
    pub use crate::ingest::set::Counted;
    pub use crate::rules::Rules;
    pub use crate::store::MIGRATIONS;
    pub use crate::store::counters::{Key, Total, add as count, page};
    pub use crate::store::rows;
}
