//! One order to stop, one deadline, and everybody waited for.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::env::Env;

/// How long workers may flush unless told otherwise: some thousand times what it takes while NATS
/// is there, and short enough for somebody who waits for a Ctrl-C.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest that `KURZ_STOP_TIMEOUT` may be, in seconds: who waits longer than an hour for NATS
/// keeps the spool on a disk that outlives the process instead.
const LONGEST_TIMEOUT_SECONDS: u64 = 3_600;

/// The most that is set apart for the last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The end of a process, in two steps: first nothing new is accepted, then what was accepted is
/// brought to safety.
#[derive(Debug, Clone)]
pub struct Shutdown {
    begun: CancellationToken,
    drained: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    reason: Arc<Mutex<Option<anyhow::Error>>>,
    timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::within(DEFAULT_TIMEOUT)
    }
}

impl Shutdown {
    /// One that begins when somebody says so.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with another time for workers to flush.
    pub fn within(timeout: Duration) -> Self {
        Self {
            begun: CancellationToken::new(),
            drained: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failed: Arc::default(),
            reason: Arc::default(),
            timeout,
        }
    }

    /// `KURZ_STOP_TIMEOUT`: how long workers may flush once every request was answered, in seconds;
    /// 20. The grace period of whoever stops the process must be longer.
    pub fn timeout_from_env(env: &mut Env) -> Duration {
        let seconds = env.or("KURZ_STOP_TIMEOUT", DEFAULT_TIMEOUT.as_secs());
        if !(1..=LONGEST_TIMEOUT_SECONDS).contains(&seconds) {
            env.fault(
                "KURZ_STOP_TIMEOUT",
                &format!("{seconds} is not from 1 to {LONGEST_TIMEOUT_SECONDS} seconds"),
            );
        }
        Duration::from_secs(seconds)
    }

    /// One that begins at SIGTERM or SIGINT.
    pub fn on_signal(timeout: Duration) -> anyhow::Result<Self> {
        let shutdown = Self::within(timeout);
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

    /// Waits until it is time to give up what is not flushed yet: what is left of the time-out,
    /// [`Shutdown::last_words`], is for saying so.
    pub async fn last_call(&self) {
        self.drained().await;
        tokio::time::sleep(self.timeout.saturating_sub(self.last_words())).await;
    }

    /// How long workers have after [`Shutdown::last_call`].
    pub fn last_words(&self) -> Duration {
        LAST_WORDS.min(self.timeout / 4)
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

    /// Waits for all workers, at most for the time-out; whether all of them ended well.
    pub(crate) async fn finish(&self) -> bool {
        self.tasks.close();
        let in_time = tokio::time::timeout(self.timeout, self.tasks.wait())
            .await
            .is_ok();
        if !in_time {
            tracing::error!(
                workers = self.tasks.len(),
                "workers did not stop within {:?}: leaving without them",
                self.timeout
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
    async fn a_worker_that_does_not_end_is_left_behind_after_the_last_call() {
        let shutdown = Shutdown::within(Duration::from_millis(200));
        let (worker, called) = (shutdown.clone(), Arc::new(AtomicBool::new(false)));
        let heard = Arc::clone(&called);
        shutdown.spawn("stubborn", async move {
            worker.last_call().await;
            heard.store(true, Ordering::SeqCst);
            std::future::pending().await
        });
        shutdown.begin();
        shutdown.declare_drained();
        assert!(!shutdown.finish().await);
        assert!(called.load(Ordering::SeqCst));
    }

    #[test]
    fn a_time_out_is_a_number_of_seconds_within_bounds() {
        let read = |text: &str| {
            let pair = ("KURZ_STOP_TIMEOUT".to_owned(), text.to_owned());
            let mut env = Env::from_pairs("redirector", [pair]);
            let timeout = Shutdown::timeout_from_env(&mut env);
            env.finish(Some(timeout))
        };
        assert_eq!(read("").unwrap(), DEFAULT_TIMEOUT);
        assert_eq!(read("1").unwrap(), Duration::from_secs(1));
        assert_eq!(read("3600").unwrap(), Duration::from_hours(1));
        for wrong in ["0", "3601", "-1", "20s"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
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
