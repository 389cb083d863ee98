-- A database of shortener 0.1.0, for tests only: its secrets guard nothing.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_history (
    version INTEGER NOT NULL PRIMARY KEY,
    program TEXT NOT NULL
) STRICT
;
INSERT INTO schema_history VALUES(1,'0.1.0');
INSERT INTO schema_history VALUES(2,'0.1.0');
CREATE TABLE links (
    -- Our own id (UUIDv7): a code that is deleted and taken again is another link.
    link_id         BLOB NOT NULL PRIMARY KEY,
    owner_id        BLOB NOT NULL,
    code            TEXT NOT NULL UNIQUE,
    url             TEXT NOT NULL,
    title           TEXT,
    state           TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
    valid_from_ms   INTEGER,
    valid_until_ms  INTEGER,
    fallback_url    TEXT,
    redirect_status INTEGER NOT NULL,
    -- Grows by one with every change, so that readers of the bucket can tell old from new.
    version         INTEGER NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    updated_at_ms   INTEGER NOT NULL,
    -- Code, URL and title in lower case (Unicode, which SQLite's own lower() and LIKE are not).
    search_text     TEXT NOT NULL
) STRICT;
INSERT INTO links VALUES(X'01a21aa2c7d370fcb284c24ae18d9c84',X'01900000000070008000000000000001','code0','https://example.org/',NULL,'active',NULL,NULL,NULL,302,1,1795743205331,1795743205331,replace('code0\nhttps://example.org/\n','\n',char(10)));
INSERT INTO links VALUES(X'01a21aa2c7fb72d6bfe0c484518160ef',X'01900000000070008000000000000001','code1','https://example.org/',NULL,'active',NULL,NULL,NULL,302,1,1795743205371,1795743205371,replace('code1\nhttps://example.org/\n','\n',char(10)));
INSERT INTO links VALUES(X'01a21aa2c82574d1b8903048ab1e5d74',X'01900000000070008000000000000001','code2','https://example.org/',NULL,'active',NULL,NULL,NULL,302,1,1795743205413,1795743205413,replace('code2\nhttps://example.org/\n','\n',char(10)));
CREATE TABLE closed_accounts (
    user_id      BLOB NOT NULL PRIMARY KEY,
    closed_at_ms INTEGER NOT NULL,
    -- 1 once the last link of the account is gone.
    erased       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    -- Without a payload the message deletes the value of its subject from a bucket.
    payload BLOB,
    -- The W3C trace context of the request that made the change.
    traceparent TEXT
) STRICT;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('outbox',3);
CREATE INDEX links_by_creation ON links (owner_id, created_at_ms, code);
CREATE INDEX links_by_change ON links (owner_id, updated_at_ms, code);
CREATE INDEX links_by_code ON links (owner_id, code);
COMMIT;
PRAGMA user_version=2;
