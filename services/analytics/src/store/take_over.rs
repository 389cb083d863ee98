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
        "DELETE FROM main.bucket;
         DELETE FROM main.breakdown;
         DELETE FROM main.visitor;
         DELETE FROM main.visitor_day;
         DELETE FROM main.spool;
         DELETE FROM main.gap WHERE NOT EXISTS (
             SELECT 1 FROM beside.gap y
             WHERE (y.spool, y.first, y.last) = (gap.spool, gap.first, gap.last));

         UPDATE main.link SET humans = 0, bots = 0, others = 0, visitors = 0,
             first_click_at_ms = NULL, last_click_at_ms = NULL;
         INSERT OR IGNORE INTO main.link (link_id, owner_id, code)
             SELECT link_id, owner_id, code FROM beside.link
             WHERE owner_id NOT IN (SELECT user_id FROM main.closed_account);
         UPDATE main.link SET
             humans = y.humans, bots = y.bots, others = y.others, visitors = y.visitors,
             first_click_at_ms = y.first_click_at_ms, last_click_at_ms = y.last_click_at_ms
             FROM beside.link y WHERE y.link_id = link.link_id;
         INSERT OR IGNORE INTO main.label (text) SELECT text FROM beside.label;

         INSERT INTO main.bucket (link, at, humans, bots, others)
             SELECT x.id, t.at, t.humans, t.bots, t.others
             FROM main.link x JOIN beside.link y ON y.link_id = x.link_id
             JOIN beside.bucket t ON t.link = y.id ORDER BY x.id, t.at;
         INSERT INTO main.breakdown (link, dimension, label, clicks)
             SELECT x.id, t.dimension, xt.id, t.clicks
             FROM main.link x JOIN beside.link y ON y.link_id = x.link_id
             JOIN beside.breakdown t ON t.link = y.id
             JOIN beside.label yt ON yt.id = t.label JOIN main.label xt ON xt.text = yt.text
             ORDER BY x.id;
         INSERT INTO main.visitor (link, day, visitor)
             SELECT x.id, t.day, t.visitor
             FROM main.link x JOIN beside.link y ON y.link_id = x.link_id
             JOIN beside.visitor t ON t.link = y.id ORDER BY x.id;
         INSERT INTO main.visitor_day (link, day, visitors)
             SELECT x.id, t.day, t.visitors
             FROM main.link x JOIN beside.link y ON y.link_id = x.link_id
             JOIN beside.visitor_day t ON t.link = y.id ORDER BY x.id;

         INSERT INTO main.spool (spool, next) SELECT spool, next FROM beside.spool;
         INSERT OR IGNORE INTO main.gap (spool, first, last, noticed_at_ms)
             SELECT spool, first, last, noticed_at_ms FROM beside.gap;",
    )
}
