use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place in the bucket's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The stream's identity: a stream made anew has another, and its sequences mean nothing here.
    pub epoch: Arc<str>,
    /// The last message that is in the table.
    pub sequence: u64,
}

/// How far the table has come, shared by who follows the bucket and who writes snapshots.
#[derive(Debug, Default)]
pub struct Progress {
    place: Mutex<Option<Place>>,
    following: AtomicBool,
}

impl Progress {
    /// The place up to which the table is whole; none while a full read is under way.
    pub fn place(&self) -> Option<Place> {
        self.lock().clone()
    }

    /// The table is whole up to `place`.
    pub fn reached(&self, place: Place) {
        *self.lock() = Some(place);
    }

    /// The table that was whole has come further in the same stream.
    pub fn advanced(&self, sequence: u64) {
        if let Some(place) = &mut *self.lock() {
            place.sequence = sequence;
        }
    }

    /// A full read begins: until it ends, the table is a mixture.
    pub fn mixed(&self) {
        *self.lock() = None;
    }

    /// Whether the table has caught up with the bucket since this process began.
    pub fn is_following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    /// The table has caught up; whether this is the first time.
    pub fn caught_up(&self) -> bool {
        !self.following.swap(true, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
