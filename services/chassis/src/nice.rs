//! Threads that let others go first.

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_nice_and_others_are_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let asked = (before + 1).min(19);
        let thread = std::thread::spawn(move || {
            yield_to_others(asked);
            yield_to_others(0);
            nice()
        });
        assert_eq!(thread.join().unwrap(), asked);
        assert_eq!(nice(), before);
    }
}
