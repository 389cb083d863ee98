//! The shortener as its users see it: real HTTP, a real database file, a real nats-server.

mod closures;
mod docs;
mod hostile;
mod link_table;
mod links;
mod pages;
mod support;
