//! Replaces the counters of this database (`main`) by those of another one (`beside`).
//!
//! Who links and accounts are is not counted, and stays as it is here: so do the feed, the position
//! (both databases stand at the same one) and what was missed.

use rusqlite::Connection;

/// Prepares a database that will count for the one `beside` it: it knows of the same closed
/// accounts, and publishes nothing.
pub fn inherit(tx: &Connection) -> rusqlite::Result<()> {
    tx.execute_batch(
        "INSERT OR IGNORE INTO main.closed_account (user_id, at_ms)
             SELECT user_id, at_ms FROM beside.closed_account;
         UPDATE main.closed_account SET erased = user_id NOT IN (SELECT owner_id FROM main.link);
         DELETE FROM main.feed_owner;
         DELETE FROM main.feed_outbox;",
    )
}

/// Takes everything over that is counted. Accounts closed meanwhile stay erased.
pub fn take_over(tx: &Connection) -> rusqlite::Result<()> {
    tx.execute_batch(
        "DELETE FROM main.counter;
         DELETE FROM main.buffer;
         DELETE FROM main.buffer_range;
         DELETE FROM main.account;
         DELETE FROM main.label;
         DELETE FROM main.spool;
         DELETE FROM main.gap WHERE NOT EXISTS (
             SELECT 1 FROM beside.gap y
             WHERE (y.spool, y.first, y.last) = (gap.spool, gap.first, gap.last));

         INSERT OR IGNORE INTO main.link (link_id, owner_id, code)
             SELECT link_id, owner_id, code FROM beside.link
             WHERE owner_id NOT IN (SELECT user_id FROM main.closed_account);
         -- The pages name labels by their numbers.
         INSERT INTO main.label (id, text) SELECT id, text FROM beside.label;
         INSERT INTO main.counter (link_id, first, page)
             SELECT link_id, first, page FROM beside.counter
             WHERE link_id IN (SELECT link_id FROM main.link);
         INSERT INTO main.buffer (id, visits) SELECT id, visits FROM beside.buffer;
         INSERT INTO main.buffer_range (first, number, visits, rows)
             SELECT first, number, visits, rows FROM beside.buffer_range;
         INSERT INTO main.account
             SELECT * FROM beside.account
             WHERE owner_id NOT IN (SELECT user_id FROM main.closed_account);

         INSERT INTO main.spool (spool, next) SELECT spool, next FROM beside.spool;
         INSERT OR IGNORE INTO main.gap (spool, first, last, noticed_at_ms)
             SELECT spool, first, last, noticed_at_ms FROM beside.gap;",
    )
}
