-- Accounts, sessions and signing keys. Times are milliseconds since 1970 UTC; ids are UUIDs as 16 bytes.

-- A username is ASCII, so NOCASE is exactly "the same name for a person": `Ada` and `ada` are one.
CREATE TABLE users (
    id                  BLOB    NOT NULL PRIMARY KEY,
    username            TEXT    NOT NULL COLLATE NOCASE UNIQUE,
    password_hash       TEXT    NOT NULL,   -- PHC string: algorithm, parameters, salt and hash
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids only, kept for ever: an erased account leaves no name behind (the name becomes free again),
-- and its tokens stay refused after a restart.
CREATE TABLE closed_accounts (
    user_id   BLOB    NOT NULL PRIMARY KEY,
    closed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX closed_accounts_by_time ON closed_accounts (closed_at);

-- One row is one family of refresh tokens. A token is the family's handle and a secret; both are
-- stored hashed. The handle finds the row; a secret that is not the newest one is a token that was
-- spent before, and its holder is a thief or was robbed. So reuse is seen however old the token is,
-- and a session that lives for years still takes one row.
CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    family_hash  BLOB    NOT NULL UNIQUE,
    token_hash   BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, refreshed_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Ed25519 seeds. `next` is published before it signs, so that those who verify know it in time;
-- a `retired` key stays published until the last token it signed has expired.
CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    seed       BLOB    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('next', 'current', 'retired')),
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    CHECK ((role = 'retired') = (retired_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (role) WHERE role IN ('next', 'current');
