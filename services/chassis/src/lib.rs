//! What every service of kurz stands on; it knows no word of the domain.
//!
//! A service implements [`service::Service`] and gets from here its configuration, telemetry,
//! listeners, database, bus, outbox, token verification and an orderly end.

pub mod admin;
pub mod backoff;
pub mod backups;
pub mod bus;
pub mod caller;
pub mod client_address;
pub mod clock;
pub mod database_file;
pub mod env;
pub mod extract;
pub mod http;
pub mod nice;
pub mod outbox;
pub mod period;
pub mod problem;
pub mod ready;
pub mod service;
pub mod shutdown;
pub mod sqlite;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

/// What one thread allocates another one often frees: batches are decoded beside the thread that
/// stores them, links come in on the thread that reads the bus. The C library keeps heaps for threads,
/// of which such programs fill many, a little; and its search for a free piece was a sixth of the time
/// that a million links took.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
