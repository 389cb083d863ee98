//! argon2id, on a few threads of its own.
//!
//! Not on the runtime's threads for what blocks: of those there are hundreds. And with less right to
//! a processor than everything else: who follows a link, or shows a token, does not wait for those
//! who log in.

mod memory;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use argon2::Params;
use argon2::password_hash::phc::{PasswordHash, Salt};
use chassis::nice::yield_to_others;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::{NewPassword, Password};
use crate::error::{Error, Result};
use memory::Memory;

/// The most hashes at one time, whatever the number of processors: each takes 19 MiB.
const MAX_AT_ONCE: usize = 8;
/// The most requests that wait for their turn. At some 20 ms each, the last one waits about a
/// second with one thread; who comes later is told to come back, instead of waiting in vain.
const MAX_WAITING: usize = 64;
/// How nice the threads are: a tenth of the time of a processor that others could use up, so that
/// people can still log in then.
const NICE: i32 = 10;
/// The password of the hash that stands in for unknown users; no sign-in can succeed with it,
/// whatever it is.
const NOBODY: &[u8] = b"nobody";

/// Hashes and verifies passwords. Cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    /// Places in the queue, those at work included.
    places: Arc<Semaphore>,
    jobs: mpsc::SyncSender<Job>,
    nobody: Arc<str>,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// What verifying came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the password, or no such user.
    Wrong,
    /// The password. If the stored hash is of older parameters, `rehashed` takes its place.
    Right {
        /// A PHC string.
        rehashed: Option<String>,
    },
}

impl Hasher {
    /// One worker fewer than there are processors, within bounds.
    pub async fn new() -> anyhow::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = processors.saturating_sub(1).clamp(1, MAX_AT_ONCE);
        Self::with(workers, MAX_WAITING).await
    }

    async fn with(workers: usize, waiting: usize) -> anyhow::Result<Self> {
        // Who has a place finds room here.
        let (jobs, queue) = mpsc::sync_channel(workers + waiting);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("argon2".to_owned())
                .spawn(move || work(&queue))
                .context("can't start a thread that hashes passwords")?;
        }
        let mut hasher = Self {
            places: Arc::new(Semaphore::new(workers + waiting)),
            jobs,
            nobody: Arc::default(),
        };
        hasher.nobody = hasher.run(|memory| hash(memory, NOBODY)).await?.into();
        Ok(hasher)
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: NewPassword) -> Result<String> {
        self.run(move |memory| hash(memory, password.expose()))
            .await
    }

    /// Whether `password` is the one of `stored`. Does the same work when there is no `stored`,
    /// so that the time it takes does not tell who has an account.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verdict> {
        let nobody = Arc::clone(&self.nobody);
        self.run(move |memory| {
            let known = stored.is_some();
            let phc = stored.as_deref().unwrap_or(&nobody);
            Ok(match verify(memory, password.expose(), phc)? {
                verdict if known => verdict,
                _ => Verdict::Wrong,
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Memory) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::Busy)?;
        let waiting = metrics::gauge!("kurz_auth_password_hashes_queued");
        waiting.increment(1.0);
        let queued = Queued(waiting, place);
        let (answer, answered) = oneshot::channel();
        let job = move |memory: &mut Memory| {
            // The place goes with the job: a client that hangs up does not stop the work, so it must
            // not make room for more either.
            let begun = Instant::now();
            let outcome = job(memory);
            metrics::histogram!("kurz_auth_password_hash_seconds").record(begun.elapsed());
            // Free before the answer, so that who asks again finds room.
            drop(queued);
            // Whoever waited may have gone away.
            let _ = answer.send(outcome);
        };
        self.jobs
            .try_send(Box::new(job))
            .map_err(|error| anyhow!("no thread takes a password to hash: {error}"))?;
        let outcome = answered.await.context("hashing a password panicked")?;
        Ok(outcome?)
    }
}

/// One of the threads: does one job after the other until nobody can send any more.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    yield_to_others(NICE);
    let mut memory = Memory::default();
    loop {
        // The lock is held by the one that waits for the next job, and let go with it.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else {
            return;
        };
        // One that panics answers nobody, which its caller notices; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
    }
}

/// A place in the queue, also in the metric.
struct Queued(
    metrics::Gauge,
    #[expect(dead_code, reason = "held until dropped")] tokio::sync::OwnedSemaphorePermit,
);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn hash(memory: &mut Memory, password: &[u8]) -> anyhow::Result<String> {
    let phc = memory.hash(&Params::default(), password, &Salt::generate())?;
    Ok(phc.to_string())
}

fn verify(memory: &mut Memory, password: &[u8], phc: &str) -> anyhow::Result<Verdict> {
    let stored =
        PasswordHash::new(phc).map_err(|error| anyhow!("a stored password hash: {error}"))?;
    if !memory.verify(&stored, password)? {
        return Ok(Verdict::Wrong);
    }
    let rehashed = if is_current(&stored) {
        None
    } else {
        Some(hash(memory, password)?)
    };
    Ok(Verdict::Right { rehashed })
}

/// Whether the hash was made with the parameters of today.
fn is_current(stored: &PasswordHash) -> bool {
    let today = Params::default();
    stored.algorithm == argon2::Algorithm::default().ident()
        && Params::try_from(stored).is_ok_and(|params| {
            params.m_cost() >= today.m_cost()
                && params.t_cost() >= today.t_cost()
                && params.p_cost() >= today.p_cost()
        })
}

#[cfg(test)]
mod tests {
    use argon2::Argon2;
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    fn password(text: &str) -> Password {
        Password::from(text.to_owned())
    }

    async fn hashed(hasher: &Hasher, text: &str) -> String {
        hasher
            .hash(password(text).into_new().unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_right_password_is_told_from_a_wrong_one() {
        let hasher = Hasher::with(1, 1).await.unwrap();
        let stored = hashed(&hasher, "correct horse").await;
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let phc = PasswordHash::new(&stored).unwrap();
        let known = Argon2::default().verify_password(b"correct horse", &phc);
        assert_eq!(known, Ok(()), "others read it, too");

        let right = hasher
            .verify(password("correct horse"), Some(stored.clone()))
            .await
            .unwrap();
        assert_eq!(right, Verdict::Right { rehashed: None });
        let wrong = hasher
            .verify(password("correct house"), Some(stored))
            .await
            .unwrap();
        assert_eq!(wrong, Verdict::Wrong);
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let hasher = Hasher::with(1, 1).await.unwrap();
        let nobody = std::str::from_utf8(NOBODY).unwrap();
        assert_eq!(
            hasher.verify(password(nobody), None).await.unwrap(),
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_made_anew() {
        let weak = Argon2::from(Params::new(8 * 1024, 1, 1, None).unwrap());
        let stored = weak.hash_password(b"correct horse").unwrap().to_string();
        let hasher = Hasher::with(1, 1).await.unwrap();
        let verdict = hasher
            .verify(password("correct horse"), Some(stored))
            .await
            .unwrap();
        let Verdict::Right {
            rehashed: Some(better),
        } = verdict
        else {
            panic!("{verdict:?}")
        };
        let again = hasher
            .verify(password("correct horse"), Some(better))
            .await
            .unwrap();
        assert_eq!(again, Verdict::Right { rehashed: None });
    }

    #[tokio::test]
    async fn jobs_share_a_few_threads_and_a_panic_ends_none_of_them() {
        let hasher = Hasher::with(2, 62).await.unwrap();
        let panics = |_: &mut Memory| -> anyhow::Result<()> { panic!("on purpose") };
        for _ in 0..3 {
            hasher.run(panics).await.unwrap_err();
        }
        let jobs = (0..64).map(|_| hasher.run(|_| Ok(thread::current().id())));
        let threads = futures_util::future::try_join_all(jobs).await.unwrap();
        let threads: std::collections::HashSet<_> = threads.into_iter().collect();
        assert!((1..=2).contains(&threads.len()), "{threads:?}");
        let places = hasher.places.acquire_many(64);
        let free = tokio::time::timeout(std::time::Duration::from_secs(10), places).await;
        assert!(free.is_ok(), "each has given its place back");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_is_less_urgent_than_the_rest() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let hasher = Hasher::with(1, 1).await.unwrap();
        let of_worker = hasher.run(move |_| Ok(priority())).await.unwrap();
        assert_eq!(of_worker, NICE.max(before));
        assert_eq!(priority(), before, "of this thread only");
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_so_at_once() {
        let hasher = Hasher::with(1, 1).await.unwrap();
        let _first = Arc::clone(&hasher.places).try_acquire_owned().unwrap();
        let _second = Arc::clone(&hasher.places).try_acquire_owned().unwrap();
        let refused = hasher.verify(password("correct horse"), None).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
    }
}
