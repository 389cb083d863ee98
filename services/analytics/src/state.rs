//! What the handlers and the workers share.

use std::sync::Arc;

use axum::extract::FromRef;
use chassis::backups::Backups;
use chassis::bus::Bus;
use chassis::caller::Verifier;
use chassis::client_address::TrustedProxies;
use chassis::clock::Clock;
use chassis::shutdown::Shutdown;
use chassis::sqlite::Database;
use events::Partition;
use tokio::sync::Mutex;
use url::Url;

use crate::feed::Feed;
use crate::forward::Others;
use crate::live::Hub;
use crate::rules::Rules;
use crate::settling::Settling;
use crate::streams::Streams;

/// The parts of the running service, cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Which part of the accounts is counted here.
    pub partition: Partition,
    /// The other parts; none if all accounts are counted here.
    pub others: Option<Others>,
    /// `clicks.db`.
    pub database: Database,
    /// Copies of it.
    pub backups: Backups,
    /// Held while clicks are being applied: who holds it sees counters that stand still.
    pub applying: Arc<Mutex<()>>,
    /// Held by whoever needs the stream as it is, or deletes from it: a rebuild, a sweep.
    pub upkeep: Arc<Mutex<()>>,
    /// Says who the caller is.
    pub verifier: Verifier,
    /// What time it is.
    pub clock: Clock,
    /// The streams.
    pub bus: Bus,
    /// Clicks as they are committed, for the live streams.
    pub live: Hub,
    /// Publishes clicks for the programs of those who turned their feed on.
    pub feed: Feed,
    /// Brings clicks to the pages of their links when it is quiet.
    pub settling: Settling,
    /// The live streams that are open, and the tickets for them.
    pub streams: Streams,
    /// What kind of visit a click is.
    pub rules: Rules,
    /// Ends the live streams.
    pub shutdown: Shutdown,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: TrustedProxies,
    /// Base of the short URLs.
    pub public_url: Url,
}

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.verifier.clone()
    }
}

impl FromRef<AppState> for TrustedProxies {
    fn from_ref(state: &AppState) -> Self {
        state.trusted_proxies.clone()
    }
}
