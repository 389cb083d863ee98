//! The crash harness: kurz as real processes under load, which are killed, frozen and restarted at
//! random; afterwards every single request is looked up in the statistics.
//!
//! Each request has a referrer host of its own, so that each can be found again:
//!
//! - **lost**: answered, and not counted;
//! - **double**: counted more than once;
//! - **invented**: counted, and never sent;
//! - counted without an answer: allowed only for a request that was cut off.
//!
//! What is counted must stand in the feed, each click once.

mod client;
mod clock;
mod disk;
mod drain;
mod ending;
mod fault;
mod feed;
mod inflict;
mod load;
mod nats;
mod options;
mod plan;
mod process;
mod program;
mod report;
mod run;
mod service;
mod site;
mod tally;
mod wall;
mod wire;

pub use options::{Level, Options, Scenario};
pub use program::main;
pub use report::Report;
pub use run::run;
pub use service::free_address;
