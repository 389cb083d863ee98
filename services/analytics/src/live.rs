//! Committed clicks, handed to those who watch.

use std::sync::Arc;

use events::Click;
use tokio::sync::{broadcast, watch};

use crate::rules::{Agent, Kind};

/// Clicks that a slow watcher may be behind before it is told that it lagged. About 2 MB at most.
const LIVE_QUEUE: usize = 8_192;

/// One click that was just committed. `sequence` and `index` name its place for `Last-Event-ID`.
#[derive(Clone, Debug)]
pub struct LiveClick {
    /// The sequence of its message in the stream CLICKS.
    pub sequence: u64,
    /// Its index inside that message's batch, from 0.
    pub index: u32,
    /// What kind of visit it is.
    pub kind: Kind,
    /// Browser, system and device of its user agent.
    pub agent: Arc<Agent>,
    /// The click itself.
    pub click: Arc<Click>,
}

/// The one place where committed clicks are handed out.
#[derive(Clone)]
pub struct Hub {
    sender: broadcast::Sender<LiveClick>,
    unwatched: watch::Sender<u64>,
}

impl Hub {
    /// A hub that nobody watches yet.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(LIVE_QUEUE),
            unwatched: watch::Sender::new(0),
        }
    }

    /// Clicks committed from now on, in stream order.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveClick> {
        self.sender.subscribe()
    }

    /// Whether anybody watches; if not, nothing needs to be copied for them.
    pub fn is_watched(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// The sequence up to which clicks were last committed without being handed out. Whoever began
    /// to watch while that commit was on its way finds them in the stream.
    pub fn unwatched(&self) -> watch::Receiver<u64> {
        self.unwatched.subscribe()
    }

    /// Says that everything up to `sequence` was committed, and nothing of it is handed out.
    pub fn pass_over(&self, sequence: u64) {
        self.unwatched.send_replace(sequence);
    }

    /// Hands a committed click to all who watch.
    pub fn publish(&self, click: LiveClick) {
        // An error says that the last watcher has just left.
        drop(self.sender.send(click));
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}
