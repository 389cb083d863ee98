//! Notices when the stream that is followed is no longer the one that was read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::bus::Bus;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::stream;
use crate::store::position::Position;

/// How often the stream is asked. One that was made anew is noticed after this time at the latest.
const CHECK: Duration = Duration::from_secs(2);

/// Looks after one session with the stream.
pub struct Watch {
    bus: Bus,
    epoch: String,
    connects: u64,
    checks: Interval,
}

impl Watch {
    /// Begins to watch the stream `epoch`.
    pub fn new(bus: &Bus, epoch: &str) -> Self {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.reset();
        Self {
            bus: bus.clone(),
            epoch: epoch.to_owned(),
            connects: connects(bus),
            checks,
        }
    }

    /// Returns once the place has to be found anew: the connection was lost and is there again, or
    /// the stream is not the one that was read up to `position`.
    pub async fn changed(&mut self, position: Option<&Position>) {
        loop {
            self.checks.tick().await;
            if !self.bus.is_connected() {
                continue;
            }
            if connects(&self.bus) != self.connects {
                // Faster than waiting until the server's silence is noticed.
                tracing::info!("connected again: finding the place in the stream");
                return;
            }
            match stream::is_same(&self.bus, &self.epoch, position).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("the stream is not the one that was read");
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the stream does not answer");
                    return;
                }
            }
        }
    }
}

/// How often the connection was made.
fn connects(bus: &Bus) -> u64 {
    bus.client().statistics().connects.load(Ordering::Relaxed)
}
