//! One order to stop, one deadline, and everybody waited for.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a process takes at most to stop. Kubernetes' grace period must be longer.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The end of a process, in two steps: first nothing new is accepted, then what was accepted is
/// brought to safety.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    drained: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    reason: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Shutdown {
    /// One that begins when somebody says so.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that begins at SIGTERM or SIGINT.
    pub fn on_signal() -> anyhow::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
        let begun = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
            begun.begin();
        });
        Ok(shutdown)
    }

    /// Begins the shutdown.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Begins the shutdown because the process can't go on; it ends with the first such reason.
    pub fn fail(&self, reason: impl Into<anyhow::Error>) {
        self.reason().get_or_insert_with(|| reason.into());
        self.begin();
    }

    /// Why the process can't go on, if it can't; told once.
    pub(crate) fn take_reason(&self) -> Option<anyhow::Error> {
        self.reason().take()
    }

    fn reason(&self) -> std::sync::MutexGuard<'_, Option<anyhow::Error>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has begun.
    pub fn is_cancelled(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until it begins.
    pub async fn cancelled(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until it has begun and every request was answered: no new work can come.
    pub async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// Runs a worker that the process waits for. One that fails or panics begins the shutdown,
    /// since a process with half of its workers only looks alive.
    pub fn spawn<F>(&self, name: &'static str, worker: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let shutdown = self.clone();
        let worker = tokio::spawn(worker);
        self.tasks.spawn(async move {
            let problem = match worker.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => panic.to_string(),
            };
            tracing::error!(worker = name, error = problem, "a worker failed: stopping");
            shutdown.failed.store(true, Ordering::SeqCst);
            shutdown.begin();
        });
    }

    /// Tells those who flush that every request was answered.
    pub(crate) fn declare_drained(&self) {
        self.drained.cancel();
    }

    /// Waits for all workers, at most until [`DEADLINE`]; whether all of them ended well.
    pub(crate) async fn finish(&self) -> bool {
        self.tasks.close();
        let in_time = tokio::time::timeout(DEADLINE, self.tasks.wait())
            .await
            .is_ok();
        if !in_time {
            tracing::error!(
                workers = self.tasks.len(),
                "workers did not stop within {DEADLINE:?}: leaving without them"
            );
        }
        in_time && !self.failed.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_stops_the_process() {
        let shutdown = Shutdown::new();
        shutdown.spawn("clumsy", async { panic!("oh") });
        shutdown.cancelled().await;
        assert!(!shutdown.finish().await);
    }

    #[tokio::test]
    async fn workers_are_waited_for() {
        let shutdown = Shutdown::new();
        let worker = shutdown.clone();
        shutdown.spawn("orderly", async move {
            worker.drained().await;
            Ok(())
        });
        shutdown.begin();
        shutdown.declare_drained();
        assert!(shutdown.finish().await);
    }
}
