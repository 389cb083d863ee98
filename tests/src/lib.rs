//! All services of kurz on one real nats-server, each on ports and files of its own.

mod account;
pub mod crash;
mod stack;

pub use account::Account;
pub use stack::{Redirector, Stack, visit};
