//! What tests stand on: a real nats-server, a running service, and a token issuer.

mod folder;
mod issuer;
mod nats_server;
mod running;

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

pub use folder::Folder;
pub use issuer::{Forged, Issuer};
pub use nats_server::NatsServer;
pub use running::Running;

/// The public URL, and so the issuer, of services under test.
pub const PUBLIC_URL: &str = "http://kurz.test";

/// How long a test waits for a state. Generous: a busy machine is not a fault.
const LIMIT: Duration = Duration::from_secs(20);

/// How often a test looks whether the state is there.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `probe` finds what it looks for.
///
/// # Panics
/// After 20 seconds, at the caller's line.
#[track_caller]
pub fn eventually<T, F, P>(mut probe: P) -> impl Future<Output = T>
where
    P: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(started.elapsed() < LIMIT, "not within {LIMIT:?}: {caller}");
            tokio::time::sleep(POLL).await;
        }
    }
}
