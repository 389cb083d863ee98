//! kurz on one machine: the four services in one process, on one port, with a `nats-server` as a
//! child process and everything that it keeps in one folder.

mod api_document;
mod authorization;
mod data_folder;
mod greeting;
mod keys;
mod nats;
mod private_file;
mod program;
mod restore;
pub mod secrets;
mod settings;
mod stack;
pub mod subscribers;

pub use api_document::api_document;
pub use program::main;
pub use stack::{COMMANDS, NAME, serve};
