//! Removes what time has made useless.

use std::time::Duration;

use chassis::clock::Clock;
use chassis::shutdown::Shutdown;
use tokio::time::{self, MissedTickBehavior};

use crate::error::Result;
use crate::signing::KeyRing;
use crate::store::Store;

/// Between two sweeps. Nothing depends on it: what has expired is refused all the same.
const INTERVAL: Duration = Duration::from_mins(1);

/// Removes expired sessions and outlived signing keys, at once and then every minute.
pub async fn run(store: Store, keys: KeyRing, clock: Clock, shutdown: Shutdown) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A fault here is one of the database: the next request meets it, and the next sweep
        // tries again.
        if let Err(error) = sweep(&store, &keys, &clock).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "sweeping failed");
        }
    }
}

async fn sweep(store: &Store, keys: &KeyRing, clock: &Clock) -> Result<()> {
    keys.drop_outlived().await?;
    loop {
        let swept = store.sweep_sessions(clock.now()).await?;
        if swept == 0 {
            return Ok(());
        }
        metrics::counter!("kurz_auth_sessions_expired_total").increment(swept as u64);
    }
}
