//! Notices when the stream that is followed is no longer the one that was read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::bus::{Bus, Probe};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::stream;
use crate::store::position::Position;

/// How often the stream is asked. One that was made anew is noticed after this time at the latest.
const CHECK: Duration = Duration::from_secs(2);

/// Looks after one session with the stream.
pub struct Watch {
    bus: Bus,
    name: String,
    epoch: String,
    probe: Probe,
    connects: u64,
    checks: Interval,
    /// How far the stream had been read at the last check, if it held more by its own account.
    behind: Option<u64>,
}

impl Watch {
    /// Begins to watch the stream `name` with the identity `epoch`, which the follow of `probe` reads.
    pub fn new(bus: &Bus, name: &str, epoch: &str, probe: &Probe) -> Self {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.reset();
        Self {
            bus: bus.clone(),
            name: name.to_owned(),
            epoch: epoch.to_owned(),
            probe: probe.clone(),
            connects: connects(bus),
            checks,
            behind: None,
        }
    }

    /// Returns once the place has to be found anew: the connection was lost and is there again, the
    /// stream is not the one that was read up to `position`, or it says that there is more than
    /// what was read up to `read_up_to` and nothing of that comes.
    pub async fn changed(&mut self, position: Option<&Position>, read_up_to: u64) {
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
            match stream::standing(&self.bus, &self.name, &self.epoch, position).await {
                Ok(standing) if !standing.is_same => {
                    tracing::warn!("the stream is not the one that was read");
                    return;
                }
                Ok(standing) => {
                    // What came is read, although it may still be gathered.
                    let read_up_to = read_up_to.max(self.probe.came());
                    let behind = (standing.last_sequence > read_up_to).then_some(read_up_to);
                    // At the first time it may be on its way, and a slow disk may take longer.
                    let is_stuck = behind.is_some() && behind == self.behind;
                    if is_stuck && !self.probe.pending().await.is_ok_and(|pending| pending > 0) {
                        tracing::warn!(read_up_to, "the rest of the stream does not come");
                        return;
                    }
                    self.behind = behind;
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
