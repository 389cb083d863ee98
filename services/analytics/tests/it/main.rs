//! The tests of analytics against a real nats-server, real SQLite files and real HTTP.

mod accounts;
mod audit;
mod bench;
mod buffer;
mod dead;
mod feed;
mod feed_failures;
mod feeder;
mod hostile;
mod ingest;
mod ingest_kill;
mod ingest_restart;
mod live;
mod numbers;
mod rebuild;
mod replaced;
mod reports;
mod restore;
mod stream;
mod support;
