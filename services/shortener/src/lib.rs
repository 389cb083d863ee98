//! The shortener: keeps the links, serves the API under `/shortener`, and keeps the link table
//! (the KV bucket that redirectors copy) equal to its database.

mod app;
mod closures;
mod config;
mod domain;
mod error;
mod link_table;
mod measures;
mod routes;
mod store;

pub use app::App;
pub use config::Config;
pub use routes::openapi;
