-- The feed: one message for each counted click, for the accounts that turned it on.

-- Who turned it on, or ever had. Erased with the account.
CREATE TABLE feed_owner (
    owner_id BLOB    PRIMARY KEY,
    enabled  INTEGER NOT NULL,
    -- clicks that were counted while the backlog was full, and have no message
    dropped  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What is to be published, in this order; written in the transaction that counts the click, and
-- deleted once the stream FEED is known to hold it.
CREATE TABLE feed_outbox (
    -- AUTOINCREMENT: the id stands in a header of the message, and is never given to another click.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     BLOB    NOT NULL,
    code         TEXT    NOT NULL,
    -- spool and number of the click: `<spool>-<number>`
    click        TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    -- where in the stream CLICKS it was read: identity, sequence and index in the batch
    epoch        TEXT    NOT NULL,
    sequence     INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    -- when that message was stored, nanoseconds since 1970
    stored_at_ns INTEGER NOT NULL,
    body         TEXT    NOT NULL
) STRICT;

-- The last message that FEED is known to hold (one row): its stream's identity, its sequence, the
-- id of its row and its click.
CREATE TABLE feed_cursor (
    only                 INTEGER PRIMARY KEY CHECK (only = 1),
    epoch                TEXT    NOT NULL,
    sequence             INTEGER NOT NULL,
    row                  INTEGER NOT NULL,
    click                TEXT    NOT NULL,
    -- Set when this database turned out to be an older copy: clicks up to here were published by
    -- the one that was lost. Without an epoch only the time counts.
    barrier_epoch        TEXT,
    barrier_sequence     INTEGER,
    barrier_place        INTEGER,
    barrier_stored_at_ns INTEGER
) STRICT;
