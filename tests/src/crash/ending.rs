use super::client::metric;
use super::feed::Compared;
use super::site::{REDIRECTORS, Site};

/// What else is known at the end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The feed beside what is counted.
    pub feed: Compared,
    /// Clicks that analytics knows to be missing.
    pub missing: Option<f64>,
    /// Messages that left the stream unread.
    pub missed: Option<f64>,
    /// For how many seconds before the beginning the earliest click is stamped.
    pub stamped_early: i64,
    /// Clicks that redirectors could not keep. Read before each fault: of a redirector that is
    /// killed, those of its last moments are not in it.
    pub dropped: Reading,
    /// Answers at the level `ack` that did not wait to the end; read the same way.
    pub fallbacks: Reading,
    /// Restarts that were not in order.
    pub unclean: Vec<String>,
    /// Processes that ended by themselves.
    pub ended: Vec<String>,
}

/// A counter of the redirectors, over all their lives.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    before: f64,
    now: [f64; REDIRECTORS],
}

impl Reading {
    /// A counter that went back is that of a new process.
    fn read(&mut self, redirector: usize, value: f64) {
        if value < self.now[redirector] {
            self.before += self.now[redirector];
        }
        self.now[redirector] = value;
    }

    /// The sum.
    pub fn total(&self) -> f64 {
        self.before + self.now.iter().sum::<f64>()
    }
}

impl Ending {
    /// Reads what a process takes with it.
    pub async fn sample(&mut self, site: &Site) {
        for index in 0..REDIRECTORS {
            let admin = site.redirector_admin(index);
            if let Some(value) = metric(&site.client, admin, "kurz_clicks_dropped_total").await {
                self.dropped.read(index, value);
            }
            if let Some(value) = metric(&site.client, admin, "kurz_click_ack_fallbacks_total").await
            {
                self.fallbacks.read(index, value);
            }
        }
    }
}
