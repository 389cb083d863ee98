//! The stories that take all services to tell.

mod account_closed;
mod crash;
mod edits;
mod outages;
mod partitions;
mod two_redirectors;
mod visit_to_statistics;
