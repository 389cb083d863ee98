//! A spool: the numbered log of one redirector's clicks, between the answer to a visitor and the
//! acknowledgement of the stream.
//!
//! ```text
//!            acknowledged              taken              next
//! ──deleted──────┼──── on its way ───────┼──── waiting ─────┼──── free
//! ```
//!
//! Appending is a copy into mapped memory under one short lock. Nothing is ever written over; a
//! segment is deleted when all of its clicks are acknowledged. A spool lives as long as the process
//! that opened it: the next one opens a new spool, and publishes what this one left behind under
//! this one's identity. So no number is ever given twice, whatever became of the file's tail.

mod batch;
mod folder;
mod format;
mod leftover;
mod mapping;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::Partition;
use uuid::Uuid;

pub use batch::{Batch, Limits};
pub use folder::{Budget, Folder};
pub use leftover::{Census, Chapter, Leftover};

use format::{Header, MAX_CLICK};
use segment::{Blank, Segment};

/// The largest segment in bytes: some 50,000 clicks, so that making one is rare and one that waits
/// for its last click wastes little.
const LARGEST_SEGMENT: u64 = 8 << 20;
/// The smallest segment in bytes: room for a few of the longest clicks.
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// Into how many segments a spool is cut, so that what is acknowledged soon makes room.
const SEGMENTS: u64 = 8;
/// How long nothing is tried after a segment could not be made: a full disk refuses every click
/// that comes, and each try costs a system call.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(100);

/// The least that `KURZ_SPOOL_BYTES` may be for each partition: one segment to write, one to
/// publish.
pub const SMALLEST_SPOOL: u64 = 2 * SMALLEST_SEGMENT;

/// Why a click was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The spool, or the disk, is full.
    Full,
    /// It is longer than any click can be.
    TooLong,
}

/// What became of a click that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub number: u64,
    /// How many clicks, this one included, wait to be taken.
    pub waiting: u64,
}

/// A spool that is being written. All methods take `&self` and may be called from any thread.
#[derive(Debug)]
pub struct Spool {
    id: Uuid,
    partition: Partition,
    /// Where its segments are files; none for a spool in plain memory.
    folder: Option<Folder>,
    budget: Budget,
    segment_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first; the last one is written.
    segments: VecDeque<Segment>,
    /// Segments whose clicks are all in the stream, to be deleted.
    done: Vec<Segment>,
    /// The next segment, made ahead of need.
    spare: Option<Blank>,
    preparing: bool,
    /// Keeps the names of segments apart.
    serial: u64,
    /// The number of the next click.
    next: u64,
    /// The number behind the last click that was taken.
    taken: u64,
    /// Every click before this one is in the stream.
    acknowledged: u64,
    /// Where the click `taken` is: a segment's first number, and an offset in it.
    cursor: Option<(u64, usize)>,
    /// Every click before this one is on the disk.
    synced: u64,
    folder_changed: bool,
    full_until: Option<Instant>,
}

impl Spool {
    /// Opens a new, empty spool in `folder`, or in plain memory, that shares `budget` with
    /// `spools - 1` others. A full disk is no error here: clicks are refused until there is room.
    pub fn open(
        partition: Partition,
        folder: Option<Folder>,
        budget: Budget,
        bytes: u64,
    ) -> io::Result<Self> {
        let spool = Self {
            id: Uuid::now_v7(),
            partition,
            folder,
            budget,
            segment_bytes: (bytes / SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT) & !0xfff,
            state: Mutex::default(),
        };
        match spool.prepare() {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(spool),
        }
    }

    /// Its identity.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Whether its clicks survive the process.
    pub fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    /// Appends an encoded click. When this returns, the click survives the death of the process
    /// (if the spool is on disk).
    pub fn append(&self, click: &[u8]) -> Result<Appended, Refused> {
        if click.is_empty() || click.len() > MAX_CLICK {
            return Err(Refused::TooLong);
        }
        let checksum = format::checksum_of_click(click);
        let mut state = self.lock();
        if !state
            .segments
            .back()
            .is_some_and(|segment| segment.fits(click.len()))
        {
            self.roll(&mut state)?;
        }
        let segment = state
            .segments
            .back_mut()
            .expect("the segment that was just begun");
        segment.push(click, checksum);
        let number = state.next;
        state.next += 1;
        Ok(Appended {
            number,
            waiting: state.next - state.taken,
        })
    }

    /// The clicks from `from` on, as many as `limits` allow; none if there are no more.
    /// `from` is at least what was acknowledged.
    pub fn batch(&self, from: u64, limits: Limits) -> Option<Batch> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut batch = Batch::new(from);
        let (mut at, mut offset) = state.seek(from)?;
        'segments: while let Some(segment) = state.segments.get(at) {
            while batch.next() < segment.next() {
                let (click, behind) = segment.click_at(offset);
                if !batch.takes(click.len(), limits) {
                    break 'segments;
                }
                batch.push(click);
                offset = behind;
            }
            state.cursor = Some((segment.first(), offset));
            at += 1;
            offset = format::HEADER;
        }
        if let Some(segment) = state.segments.get(at) {
            state.cursor = Some((segment.first(), offset));
        }
        state.taken = batch.next();
        (!batch.is_empty()).then_some(batch)
    }

    /// Every click before `next` is in the stream: segments that hold no others can be deleted.
    pub fn acknowledge(&self, next: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.acknowledged = state.acknowledged.max(next.min(state.next));
        while state.segments.len() > 1 && state.segments[0].next() <= state.acknowledged {
            state.done.extend(state.segments.pop_front());
        }
    }

    /// The number of the next click.
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// How many clicks are not acknowledged.
    pub fn pending(&self) -> u64 {
        let state = self.lock();
        state.next - state.acknowledged
    }

    /// How many clicks wait to be taken.
    pub fn waiting(&self) -> u64 {
        let state = self.lock();
        state.next - state.taken
    }

    /// Whether it is time to call [`Spool::upkeep`].
    pub fn wants_upkeep(&self) -> bool {
        let state = self.lock();
        !state.done.is_empty() || state.wants_spare()
    }

    /// Deletes the segments that are done, and makes the next one ahead of need, so that no visitor
    /// waits for either. Blocks: the disk may take some milliseconds to give the blocks of a file back.
    pub fn upkeep(&self) -> io::Result<()> {
        let (done, wants_spare) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.done), state.wants_spare())
        };
        done.into_iter().for_each(Segment::delete);
        if wants_spare { self.prepare() } else { Ok(()) }
    }

    /// Makes the next segment.
    fn prepare(&self) -> io::Result<()> {
        let serial = {
            let mut state = self.lock();
            if state.spare.is_some() || state.preparing {
                return Ok(());
            }
            state.preparing = true;
            state.take_serial()
        };
        let blank = self.blank(serial);
        let mut state = self.lock();
        state.preparing = false;
        state.folder_changed = true;
        state.spare = Some(blank?);
        Ok(())
    }

    /// Writes what was appended so far to the disk; the number behind the last click that is
    /// there. Blocks.
    pub fn sync(&self) -> io::Result<u64> {
        let (next, files, folder_changed) = {
            let mut state = self.lock();
            let synced = state.synced;
            let dirty = state
                .segments
                .iter()
                .filter(|segment| segment.next() > synced);
            let files: Vec<Arc<File>> = dirty.filter_map(Segment::file).cloned().collect();
            (state.next, files, std::mem::take(&mut state.folder_changed))
        };
        for file in files {
            file.sync_data()?;
        }
        if let Some(folder) = self.folder.as_ref().filter(|_| folder_changed) {
            folder.sync()?;
        }
        self.lock().synced = next;
        Ok(next)
    }

    /// Deletes the spool, if every click of it is acknowledged; whether it did. Nothing may be
    /// appended afterwards.
    pub fn retire(&self) -> bool {
        let mut state = self.lock();
        let done = state.acknowledged == state.next;
        if done {
            state.delete_done();
            state.segments.drain(..).for_each(Segment::delete);
            state.spare.take().into_iter().for_each(Blank::delete);
        }
        done
    }

    /// Begins the next segment.
    fn roll(&self, state: &mut State) -> Result<(), Refused> {
        let now = Instant::now();
        if state.full_until.is_some_and(|until| now < until) {
            return Err(Refused::Full);
        }
        let blank = if let Some(blank) = state.spare.take() {
            blank
        } else {
            // What those take that are done may be what the next one needs.
            state.delete_done();
            if state.acknowledged == state.next {
                state.segments.drain(..).for_each(Segment::delete);
            }
            let serial = state.take_serial();
            self.blank(serial).map_err(|error| {
                if !is_full(&error) {
                    tracing::error!(%error, "can't make a segment of the spool");
                }
                state.full_until = Some(now + PAUSE_WHEN_FULL);
                Refused::Full
            })?
        };
        let header = Header {
            spool: self.id,
            partition: self.partition,
            first: state.next,
        };
        state.segments.push_back(blank.begin(&header));
        state.folder_changed = true;
        state.full_until = None;
        Ok(())
    }

    fn blank(&self, serial: u64) -> io::Result<Blank> {
        let reservation = self
            .budget
            .reserve(self.segment_bytes)
            .ok_or(io::ErrorKind::QuotaExceeded)?;
        let path: Option<PathBuf> = self
            .folder
            .as_ref()
            .map(|folder| folder.segment(self.id, serial));
        Blank::create(path, reservation)
    }

    /// A panic while it was held can't leave a half-made state: every change is a few stores.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wants_spare(&self) -> bool {
        self.spare.is_none()
            && !self.preparing
            && self.segments.back().is_some_and(Segment::is_half_full)
    }

    fn delete_done(&mut self) {
        self.done.drain(..).for_each(Segment::delete);
    }

    fn take_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The index of the segment that holds the click `number` (or would, if it is the next one),
    /// and the offset there.
    fn seek(&self, number: u64) -> Option<(usize, usize)> {
        let at = self
            .segments
            .partition_point(|segment| segment.first() <= number)
            .checked_sub(1)?;
        let segment = &self.segments[at];
        let offset = match self.cursor {
            Some((first, offset)) if first == segment.first() && self.taken == number => offset,
            _ => segment.find(number.min(segment.next())),
        };
        Some((at, offset))
    }
}

/// Whether there is no room, on the disk or in the budget.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
