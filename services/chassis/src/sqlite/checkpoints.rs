//! Moving the write-ahead log into the database beside the writer, not in its way.
//!
//! SQLite does it in the commit that finds the log long, and that commit waits for thousands of
//! pages and two fsyncs. Here a thread of its own does nearly all of it while commits go on; if what
//! they added meanwhile is little, the writer moves that itself, so that the log can begin anew.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use rusqlite::Connection;

use super::fault::Watch;
use crate::nice;

/// How many pages the log has before it is moved: 16 MB. A page that many commits change is moved
/// once, so a longer log makes less to write, but has more pages to look through and takes new memory
/// and new places of the disk where a short one is written over.
const LONG: u32 = 4_096;

/// How many more pages make it worth trying again, should a reader have kept the log from beginning
/// anew.
const MORE: u32 = 1_024;

/// How many pages the thread leaves to the writer: a pause of some milliseconds.
const REST: u32 = 256;

/// How many pages the writer moves itself, should commits meanwhile have added more: a pause of some
/// tens of milliseconds. After commits that are larger than that the thread tries again.
const MOST_REST: u32 = 4_096;

/// How nice the thread is: what it does can wait for those who answer somebody. If it is left too
/// little time, the writer does its work.
const NICE: i32 = 10;

/// How many pages the log has before the writer moves it whatever that takes, so that it does not
/// grow without bound on a disk that is too slow, or by commits that are larger than that: 128 MB, and
/// a commit or two.
const TOO_LONG: u32 = 32_768;

thread_local! {
    /// How many pages the log has after the last commit of this thread.
    static PAGES: Cell<u32> = const { Cell::new(0) };
}

const IDLE: u8 = 0;
const MOVING: u8 = 1;
/// Nearly all is moved that there was: the writer moves the rest, if that is little.
const MOVED: u8 = 2;
/// A reader of an old state does not let it get any further.
const HELD: u8 = 3;

/// The thread that moves the log, as the writer sees it.
pub(super) struct Checkpoints {
    state: Arc<State>,
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    /// How many pages the log has when it is moved next.
    due: u32,
    /// How many pages of it were moved when that was seen last.
    moved: u32,
}

#[derive(Default)]
struct State {
    phase: AtomicU8,
    /// How many pages the log has now.
    pages: AtomicU32,
}

impl Checkpoints {
    /// Takes the work over from `writer`; `connection` is another one to the same database.
    pub(super) fn start(
        writer: &Connection,
        connection: Connection,
        watch: Watch,
    ) -> anyhow::Result<Self> {
        // In the place of SQLite's own hook, which would move the log after every 1,000 pages.
        writer.wal_hook(Some(|_, pages| {
            PAGES.set(pages.unsigned_abs());
            Ok(())
        }));
        let state = Arc::new(State::default());
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || run(connection, &watch, &state, &woken)
            })
            .context("can't start the thread that moves the log")?;
        Ok(Self {
            state,
            wake,
            thread,
            due: LONG,
            moved: 0,
        })
    }

    /// What the writer does between two commits. Must be called on its thread.
    pub(super) fn between_commits(&mut self, writer: &Connection, watch: &Watch) {
        let pages = PAGES.get();
        self.state.pages.store(pages, Ordering::Relaxed);
        if pages < LONG {
            (self.due, self.moved) = (LONG, 0);
        } else {
            let moved = moved_pages(writer);
            if moved < self.moved {
                // It began anew, as it does when a commit finds everything moved.
                self.due = LONG;
            }
            self.moved = moved;
        }
        let phase = self.state.phase.load(Ordering::Acquire);
        if phase == MOVED || phase == HELD {
            self.finish(phase, pages, writer, watch);
            self.state.phase.store(IDLE, Ordering::Release);
        }
        let is_idle = self.state.phase.load(Ordering::Relaxed) == IDLE;
        if is_idle && pages >= self.due {
            self.state.phase.store(MOVING, Ordering::Release);
            if let Err(TrySendError::Disconnected(())) = self.wake.try_send(()) {
                // The thread is gone, so the writer does it all.
                self.state.phase.store(HELD, Ordering::Release);
            }
        }
    }

    /// Moves what the thread left, if that is little.
    fn finish(&mut self, phase: u8, pages: u32, writer: &Connection, watch: &Watch) {
        let rest = pages.saturating_sub(self.moved);
        let is_little = rest <= MOST_REST || pages >= TOO_LONG;
        if pages >= LONG && (is_little || phase == HELD) {
            move_log(writer, watch);
            self.moved = moved_pages(writer);
            self.due = pages + MORE;
        }
    }

    /// Ends the thread, and its connection.
    pub(super) fn stop(self) {
        drop(self.wake);
        // It told of its own panic.
        let _ = self.thread.join();
    }
}

fn run(connection: Connection, watch: &Watch, state: &State, woken: &Receiver<()>) {
    nice::yield_to_others(NICE);
    while woken.recv().is_ok() {
        let (mut before, mut phase) = (0, MOVED);
        while !watch.has_failed() {
            let moved = move_log(&connection, watch);
            let pages = state.pages.load(Ordering::Relaxed);
            let rest = pages.saturating_sub(moved);
            if rest <= REST || pages >= TOO_LONG {
                break;
            }
            if moved <= before {
                phase = HELD;
                break;
            }
            before = moved;
        }
        state.phase.store(phase, Ordering::Release);
    }
    if watch.has_failed() {
        // Closed by the end of the process, since closing writes.
        std::mem::forget(connection);
    }
}

/// How many pages of the log are in the database.
fn moved_pages(connection: &Connection) -> u32 {
    let moved = connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
        .and_then(|mut statement| statement.query_row([], |row| row.get(2)));
    // A fault shows with the next change.
    moved.unwrap_or(0)
}

/// Copies what is in the log into the database, as far as readers allow; how many pages of the log
/// are in it then.
fn move_log(connection: &Connection, watch: &Watch) -> u32 {
    let moved = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(2)));
    match moved {
        Ok(pages) => u32::try_from(pages).unwrap_or(0),
        Err(error) => {
            if !watch.is_fault(&error) {
                tracing::warn!(%error, "the log of the database was not moved into it");
            }
            0
        }
    }
}
