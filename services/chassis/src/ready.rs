//! Whether a service is warm: a set of latches, each opened once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ready when every latch is open.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    closed: Arc<Mutex<Vec<&'static str>>>,
}

/// One thing that must have happened before traffic may come.
#[derive(Debug)]
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Adds a latch, closed.
    pub fn latch(&self, name: &'static str) -> Latch {
        self.closed().push(name);
        Latch {
            name,
            readiness: self.clone(),
        }
    }

    /// What is still being waited for; empty when ready.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.closed().clone()
    }

    fn closed(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latch {
    /// Opens it, for good. Opening it again changes nothing.
    pub fn open(&self) {
        self.readiness.closed().retain(|name| *name != self.name);
    }
}
