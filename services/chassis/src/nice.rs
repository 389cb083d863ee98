//! Threads that let others go first.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, TrySendError};
use std::{io, thread};

use tokio::sync::oneshot;

/// Makes this thread nice: `by` is from 0, as urgent as any other, to 19. Others of the same cgroup
/// go first when there are too few processors; what is left over it may use. One that is nicer
/// already stays as it is.
pub fn yield_to_others(by: i32) {
    // On Linux a priority is a thread's; elsewhere it would be the process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|now| rustix::process::setpriority_process(None, by.max(now)))
    {
        tracing::warn!(%error, "a thread for work in the background is as urgent as all others");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = by;
}

/// How many jobs wait for such a thread at most.
const QUEUE: usize = 16;

/// A thread for what takes long and can wait, one job after the other. It ends when nobody holds it
/// any more and all is done.
#[derive(Debug, Clone)]
pub struct Background {
    jobs: mpsc::SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Background {
    /// Starts the thread, so nice as [`yield_to_others`] has it.
    ///
    /// # Errors
    ///
    /// The system has no more threads.
    pub fn start(name: &str, by: i32) -> io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                yield_to_others(by);
                for job in queue {
                    // One that panics answers nobody, which its caller notices; the thread goes on.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        Ok(Self { jobs })
    }

    /// Does a job and gives what came out of it; none if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.later(move || {
            // Whoever waited may have gone away.
            let _ = answer.send(job());
        });
        answered.await.ok()
    }

    /// Does a job when its turn comes; here and now, if too many wait.
    pub fn later(&self, job: impl FnOnce() + Send + 'static) {
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
            self.jobs.try_send(Box::new(job))
        {
            job();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_can_wait_is_done_in_order_by_a_nice_thread() {
        let before = rustix::process::getpriority_process(None).unwrap();
        let background = Background::start("test", (before + 1).min(19)).unwrap();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        assert_eq!(background.run(nice).await, Some((before + 1).min(19)));

        let (sender, receiver) = mpsc::sync_channel(8);
        for number in 0..3 {
            let sender = sender.clone();
            background.later(move || sender.send(number).unwrap());
        }
        let panicked = background.run(|| panic!("on purpose")).await;
        assert_eq!(panicked, None::<()>);
        assert_eq!(background.run(|| 7).await, Some(7));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_finds_no_place_is_done_by_whoever_asks() {
        let background = Background::start("test", 0).unwrap();
        let (go, wait) = mpsc::sync_channel::<()>(0);
        background.later(move || wait.recv().unwrap());
        let here = thread::current().id();
        let (sender, receiver) = mpsc::sync_channel(2 * QUEUE);
        for _ in 0..2 * QUEUE {
            let sender = sender.clone();
            background.later(move || sender.send(thread::current().id()).unwrap());
        }
        assert!(receiver.try_iter().any(|thread| thread == here));
        go.send(()).unwrap();
    }

    #[test]
    fn a_thread_is_nice_and_others_are_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let asked = (before + 1).min(19);
        let thread = thread::spawn(move || {
            yield_to_others(asked);
            yield_to_others(0);
            nice()
        });
        assert_eq!(thread.join().unwrap(), asked);
        assert_eq!(nice(), before);
    }
}
