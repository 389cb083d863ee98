-- One row for each link. The rows here are the record; the KV bucket `links` is a copy of them.
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

-- One index for each order that a list can have; the code makes every position unique.
CREATE INDEX links_by_creation ON links (owner_id, created_at_ms, code);
CREATE INDEX links_by_change ON links (owner_id, updated_at_ms, code);
CREATE INDEX links_by_code ON links (owner_id, code);

-- Ids of closed accounts, kept for ever: also after a restore nothing of them may come back.
CREATE TABLE closed_accounts (
    user_id      BLOB NOT NULL PRIMARY KEY,
    closed_at_ms INTEGER NOT NULL,
    -- 1 once the last link of the account is gone.
    erased       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
