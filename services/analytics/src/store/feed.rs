//! The feed's tables: who has one, what is to be published, and what the stream is known to hold.

mod cursor;
mod outbox;
mod owners;

pub use cursor::{Cursor, ELSEWHERE, Origin, barrier, load_cursor, raise_barrier, save_cursor};
pub use outbox::{
    Entry, append, backlog, confirm, has_click, load, nth, purge_owner, shift, sweep_barred,
};
pub use owners::{Feed, any_enabled, count_dropped, is_enabled, of, set};
