//! The program as its users run it: a process, a folder, and signals.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod apart;
mod api;
mod bus;
mod data;
mod endings;
mod process;
mod restore;
mod secrets;
mod starting;
mod subscribers;
mod trace;
