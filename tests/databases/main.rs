//! The database files of the services, whose processes are the real ones: devices that fail, files
//! that are damaged, twins, and files of other versions.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod damage;
mod devices;
mod disk;
mod program;
mod twins;
mod upgrades;
