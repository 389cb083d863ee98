//! Waiting longer after each failure, up to a bound.

use std::time::Duration;

use crate::shutdown::Shutdown;

/// How long to wait before the next try.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits `first`, then twice as long each time, never longer than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// Waits, or returns at once when the shutdown begins.
    pub async fn wait(&mut self, shutdown: &Shutdown) {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Starts again with the first wait: for after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    /// From 100 milliseconds to 5 seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}
