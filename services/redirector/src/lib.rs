//! Answers `GET /{code}` from memory, and makes each click safe before it answers.
//!
//! The link table is a replica of the bucket that the shortener writes; clicks go into a spool, and
//! from there to the stream. Nothing is asked of anybody while a visitor waits.

mod app;
mod config;
mod meters;
#[doc(hidden)]
pub mod parts;
mod publisher;
pub mod recorder;
mod routes;
mod spool;
mod table;
mod visit;

pub use app::App;
pub use config::Config;
pub use routes::openapi;
