//! The use cases of auth: the real service, a real nats-server, a real database, over HTTP.

#![cfg(test)]

mod accounts;
mod closing;
mod description;
mod hostile;
mod keys;
mod limits;
mod restore;
mod sessions;
mod support;
