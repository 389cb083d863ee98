-- A database of analytics 0.1.0, for tests only: its secrets guard nothing.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_history (
    version INTEGER NOT NULL PRIMARY KEY,
    program TEXT NOT NULL
) STRICT
;
INSERT INTO schema_history VALUES(1,'0.1.0');
INSERT INTO schema_history VALUES(2,'0.1.0');
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
INSERT INTO link VALUES(1,X'01a21aa2c9be7710a1f0f8895e66b30c',X'01900000000070008000000000000001','rust',0,0,3,0,0,3,1772366400000,1772366400002);
CREATE TABLE bucket (
    link   INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- quarter hours since 1970 UTC
    humans INTEGER NOT NULL,
    bots   INTEGER NOT NULL,
    others INTEGER NOT NULL,
    PRIMARY KEY (link, at)
) STRICT, WITHOUT ROWID;
INSERT INTO bucket VALUES(1,1969296,3,0,0);
CREATE TABLE label (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE -- '' = unknown or none
) STRICT;
INSERT INTO label VALUES(1,'human');
INSERT INTO label VALUES(2,'news.example');
INSERT INTO label VALUES(3,'');
INSERT INTO label VALUES(4,'Firefox');
INSERT INTO label VALUES(5,'Linux');
INSERT INTO label VALUES(6,'desktop');
INSERT INTO label VALUES(7,'de');
CREATE TABLE breakdown (
    link      INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    label     INTEGER NOT NULL,
    clicks    INTEGER NOT NULL,
    PRIMARY KEY (link, dimension, label)
) STRICT, WITHOUT ROWID;
INSERT INTO breakdown VALUES(1,1,2,3);
INSERT INTO breakdown VALUES(1,2,3,3);
INSERT INTO breakdown VALUES(1,3,4,3);
INSERT INTO breakdown VALUES(1,4,5,3);
INSERT INTO breakdown VALUES(1,5,6,3);
INSERT INTO breakdown VALUES(1,6,7,3);
INSERT INTO breakdown VALUES(1,7,1,3);
CREATE TABLE visitor (
    link    INTEGER NOT NULL,
    day     INTEGER NOT NULL, -- days since 1970 UTC
    visitor INTEGER NOT NULL, -- the 64 bits of the hash, as a signed number
    PRIMARY KEY (link, day, visitor)
) STRICT, WITHOUT ROWID;
INSERT INTO visitor VALUES(1,20513,0);
INSERT INTO visitor VALUES(1,20513,1);
INSERT INTO visitor VALUES(1,20513,2);
CREATE TABLE visitor_day (
    link     INTEGER NOT NULL,
    day      INTEGER NOT NULL,
    visitors INTEGER NOT NULL,
    PRIMARY KEY (link, day)
) STRICT, WITHOUT ROWID;
INSERT INTO visitor_day VALUES(1,20513,3);
CREATE TABLE spool (
    spool BLOB    PRIMARY KEY,
    next  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO spool VALUES(X'01a21aa2c9be7710a1f0f88a47df2051',3);
CREATE TABLE gap (
    spool         BLOB    NOT NULL,
    first         INTEGER NOT NULL,
    last          INTEGER NOT NULL, -- inclusive
    noticed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (spool, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE missed (
    epoch          TEXT    NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL, -- inclusive
    noticed_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (epoch, first_sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE position (
    stream      TEXT    PRIMARY KEY,
    epoch       TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    fingerprint BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO position VALUES('CLICKS','01a21aa2-daed-7531-a2b4-784058c2a3d2',3,X'7aa7471033a624e8e5e6d4e5b2fb7575873f1f98cdd2b49957fed9b08e51942d');
CREATE TABLE closed_account (
    user_id BLOB    PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    erased  INTEGER NOT NULL DEFAULT 0 -- 1: nothing of it is left
) STRICT, WITHOUT ROWID;
CREATE TABLE feed_owner (
    owner_id BLOB    PRIMARY KEY,
    enabled  INTEGER NOT NULL,
    -- clicks that were counted while the backlog was full, and have no message
    dropped  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
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
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('link',3);
CREATE INDEX link_owner ON link (owner_id, code);
CREATE INDEX link_code ON link (code);
CREATE INDEX closed_account_unerased ON closed_account (user_id) WHERE erased = 0;
COMMIT;
PRAGMA user_version=2;
