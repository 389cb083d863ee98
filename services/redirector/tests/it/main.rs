//! The redirector against a real nats-server, over real HTTP.

#![cfg(test)]

mod clicks;
mod links;
mod publish;
mod refusals;
mod snapshots;
mod stopping;
mod support;
