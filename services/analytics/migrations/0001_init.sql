-- clicks.db is a projection of the stream CLICKS: what the stream says, added up.
-- Nothing here is written but by the ingest, by the two followers (link table, closed accounts),
-- and by erasure. Times are milliseconds since 1970 unless a column says otherwise.

-- A link, as the link table or its first click made it known. One code can belong to several links
-- over the years; the newest is the one with the greatest link_id (UUIDv7).
CREATE TABLE link (
    -- AUTOINCREMENT: the id of an erased link is never given to another one.
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    link_id           BLOB    NOT NULL UNIQUE,
    owner_id          BLOB    NOT NULL,
    code              TEXT    NOT NULL,
    -- of the link record; 0 while the link is known from clicks only
    version           INTEGER NOT NULL DEFAULT 0,
    -- 1: the link table says that it is gone; its statistics stay until the account is closed
    deleted           INTEGER NOT NULL DEFAULT 0,
    humans            INTEGER NOT NULL DEFAULT 0,
    bots              INTEGER NOT NULL DEFAULT 0,
    -- HEAD, preview and prefetch; never part of the clicks (= humans + bots)
    others            INTEGER NOT NULL DEFAULT 0,
    -- sum of each day's distinct human visitors
    visitors          INTEGER NOT NULL DEFAULT 0,
    -- of clicks (humans and bots); null before the first
    first_click_at_ms INTEGER,
    last_click_at_ms  INTEGER
) STRICT;
CREATE INDEX link_owner ON link (owner_id, code);
CREATE INDEX link_code ON link (code);

-- Quarter hours, because every time zone's hours and days begin on one.
CREATE TABLE bucket (
    link   INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- quarter hours since 1970 UTC
    humans INTEGER NOT NULL,
    bots   INTEGER NOT NULL,
    others INTEGER NOT NULL,
    PRIMARY KEY (link, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE label (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE -- '' = unknown or none
) STRICT;

-- Human clicks by dimension; dimension 7 (kind) holds every kind, also those that are no clicks.
-- dimension: 1 referrer, 2 country, 3 browser, 4 os, 5 device, 6 language, 7 kind
CREATE TABLE breakdown (
    link      INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    label     INTEGER NOT NULL,
    clicks    INTEGER NOT NULL,
    PRIMARY KEY (link, dimension, label)
) STRICT, WITHOUT ROWID;

-- Distinct human visitors of a UTC day (the redirector's hash, salted anew each day).
CREATE TABLE visitor (
    link    INTEGER NOT NULL,
    day     INTEGER NOT NULL, -- days since 1970 UTC
    visitor INTEGER NOT NULL, -- the 64 bits of the hash, as a signed number
    PRIMARY KEY (link, day, visitor)
) STRICT, WITHOUT ROWID;

CREATE TABLE visitor_day (
    link     INTEGER NOT NULL,
    day      INTEGER NOT NULL,
    visitors INTEGER NOT NULL,
    PRIMARY KEY (link, day)
) STRICT, WITHOUT ROWID;

-- The next number expected of each spool. Kept for ever: a batch may come again a year later.
CREATE TABLE spool (
    spool BLOB    PRIMARY KEY,
    next  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers below spool.next that were never seen. A batch that comes later narrows its gap.
CREATE TABLE gap (
    spool         BLOB    NOT NULL,
    first         INTEGER NOT NULL,
    last          INTEGER NOT NULL, -- inclusive
    noticed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (spool, first)
) STRICT, WITHOUT ROWID;

-- Messages that left the stream before they were read.
CREATE TABLE missed (
    epoch          TEXT    NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL, -- inclusive
    noticed_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (epoch, first_sequence)
) STRICT, WITHOUT ROWID;

-- How far a stream was read. The fingerprint is of the message at `sequence`.
CREATE TABLE position (
    stream      TEXT    PRIMARY KEY,
    epoch       TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    fingerprint BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Closed accounts, remembered for ever: late clicks of theirs are dropped.
CREATE TABLE closed_account (
    user_id BLOB    PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    erased  INTEGER NOT NULL DEFAULT 0 -- 1: nothing of it is left
) STRICT, WITHOUT ROWID;
CREATE INDEX closed_account_unerased ON closed_account (user_id) WHERE erased = 0;
