//! The link table: every link of the installation, in memory, as compact as it needs to be.
//!
//! An entry is one allocation (see [`Link`]) behind a 16-byte slot. The table is cut into shards,
//! so that the one writer (the follower of the bucket) holds up few readers, and so that growing
//! moves a small part at a time.

mod follower;
mod keeper;
mod link;
mod place;
mod snapshot;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use follower::Follower;
pub use keeper::start;
pub use link::{Link, LinkRef, Openness, is_code};
pub use place::Place;
use place::Progress;
pub use snapshot::Snapshots;

/// How many parts the table has: enough that readers on many cores rarely meet, few enough that a
/// small installation does not pay for it.
const SHARDS: usize = 64;

/// For how many links room is made before they come: 1.1 GB of addresses at most, of which a
/// fifteenth is written at once and the rest as links come.
const MOST_EXPECTED: usize = 32 << 20;

/// What became of a link that was put into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new, or replaced what stood under its code.
    Taken,
    /// The table holds a newer version of the same link.
    Outdated,
}

/// Links by code. Cheap to read from many threads.
#[derive(Debug)]
pub struct LinkTable {
    shards: Box<[RwLock<HashTable<Link>>]>,
    /// `SipHash` with random keys: users choose codes, so they must not be able to choose buckets.
    hasher: RandomState,
    /// The current round of a full read; see [`LinkTable::begin_round`].
    round: AtomicU8,
    links: AtomicUsize,
    complete: AtomicBool,
}

impl LinkTable {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            round: AtomicU8::new(0),
            links: AtomicUsize::new(0),
            complete: AtomicBool::new(false),
        }
    }

    /// From now on a code that is not here is no link: the table has caught up with the bucket, or
    /// the snapshot is all that can be had.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether a code that is not here is no link.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// How many links there are.
    pub fn len(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    /// Makes room for so many links in all, so that no part has to be moved while they come. Whoever
    /// says so may be wrong: the room is that of [`MOST_EXPECTED`] at most.
    pub fn expect(&self, links: usize) {
        let more = links.min(MOST_EXPECTED).saturating_sub(self.len());
        for shard in &self.shards {
            let rehash = |link: &Link| self.hash(link.code());
            write(shard).reserve(more / SHARDS, rehash);
        }
    }

    /// The link under `code`, as it is now, copied to `to`: whoever works with it holds up nobody
    /// who changes the table.
    pub fn find<'a>(&self, code: &str, to: &'a mut Vec<u8>) -> Option<LinkRef<'a>> {
        let hash = self.hash(code);
        let shard = read(self.shard(hash));
        let link = shard.find(hash, |link| link.is_under(code))?;
        Some(link.copy_to(to))
    }

    /// Puts a link under its code. An older version of the same link never replaces a newer one;
    /// another link that took the code over does.
    pub fn put(&self, mut link: Link) -> Put {
        let round = self.round.load(Ordering::Relaxed);
        let hash = self.hash(link.code());
        let mut shard = write(self.shard(hash));
        let rehash = |link: &Link| self.hash(link.code());
        match shard.entry(hash, |known| known.is_under(link.code()), rehash) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.link_id() == link.link_id() && known.version() > link.version() {
                    known.set_round(round);
                    return Put::Outdated;
                }
                link.set_round(round);
                *known = link;
            }
            Entry::Vacant(free) => {
                link.set_round(round);
                free.insert(link);
                self.links.fetch_add(1, Ordering::Relaxed);
            }
        }
        Put::Taken
    }

    /// Removes whatever stands under `code`.
    pub fn remove(&self, code: &str) {
        let hash = self.hash(code);
        let found = write(self.shard(hash))
            .find_entry(hash, |link| link.is_under(code))
            .is_ok_and(|entry| {
                entry.remove();
                true
            });
        if found {
            self.links.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Begins a full read of the bucket: what is not put again before [`LinkTable::end_round`] is
    /// gone there, and goes here. Everything stays readable meanwhile.
    pub fn begin_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a full read: drops what was not put since it began, and says how many that were.
    pub fn end_round(&self) -> usize {
        let round = self.round.load(Ordering::Relaxed);
        let mut dropped = 0;
        for shard in &self.shards {
            let mut shard = write(shard);
            let before = shard.len();
            shard.retain(|link| link.round() == round);
            dropped += before - shard.len();
        }
        self.links.fetch_sub(dropped, Ordering::Relaxed);
        dropped
    }

    /// All links, in pieces of some ten thousand of a million; what changes meanwhile may or may not
    /// be seen. They are copied out, so that a slow disk never holds up the visitors of a shard.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<Link>> {
        self.shards
            .iter()
            .map(|shard| read(shard).iter().cloned().collect())
    }

    fn hash(&self, code: &str) -> u64 {
        self.hasher.hash_one(code)
    }

    /// Chosen by bits of the hash that the shard itself looks at last.
    fn shard(&self, hash: u64) -> &RwLock<HashTable<Link>> {
        let index = usize::try_from((hash >> 40) % SHARDS as u64).expect("less than 64");
        &self.shards[index]
    }
}

/// A writer that panicked left a whole table behind: no step of it leaves a link half written.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
