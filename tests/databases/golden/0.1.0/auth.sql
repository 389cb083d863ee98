-- A database of auth 0.1.0, for tests only: its secrets guard nothing.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_history (
    version INTEGER NOT NULL PRIMARY KEY,
    program TEXT NOT NULL
) STRICT
;
INSERT INTO schema_history VALUES(1,'0.1.0');
INSERT INTO schema_history VALUES(2,'0.1.0');
CREATE TABLE users (
    id                  BLOB    NOT NULL PRIMARY KEY,
    username            TEXT    NOT NULL COLLATE NOCASE UNIQUE,
    password_hash       TEXT    NOT NULL,   -- PHC string: algorithm, parameters, salt and hash
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO users VALUES(X'01a21aa2c431777a97567e05549b8ae5','user0','$argon2id$v=19$m=19456,t=2,p=1$UtAy1v0rbfDjUsu77r66eA$bmrVkXf6zvuPZQcsRqE/tYyITOV4gFNs9DhHkKkY49k',1795743204401,1795743204401);
INSERT INTO users VALUES(X'01a21aa2c4a17754a8c3a87cdbe66c4a','user1','$argon2id$v=19$m=19456,t=2,p=1$nxPVNNZqqYhq3ZC9EFFDAA$RQfl4SYaKquvjsbLv4tMyd82LBX4ynB2rkNF/lT+LaY',1795743204513,1795743204513);
INSERT INTO users VALUES(X'01a21aa2c4fe767f9ab591ef4100fa62','user2','$argon2id$v=19$m=19456,t=2,p=1$ZafZv9e/hrV21iAOh2iqCg$RZpQJw/0mb8V2K47GC04ktoWbT3SPzyrVyVrpMCtyws',1795743204606,1795743204606);
CREATE TABLE closed_accounts (
    user_id   BLOB    NOT NULL PRIMARY KEY,
    closed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    family_hash  BLOB    NOT NULL UNIQUE,
    token_hash   BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    seed       BLOB    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('next', 'current', 'retired')),
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    CHECK ((role = 'retired') = (retired_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO signing_keys VALUES('01a21aa2-c26b-72c7-8c91-2ddeb5e7615b',X'a14654d942ab38ad24ded5c8ee7c188164f53612897c125eac6c9214b6b82fc7','current',1795743203897,NULL);
INSERT INTO signing_keys VALUES('01a21aa2-c26b-72c7-8c91-2ddf571bfdf9',X'f1b8a1017126a7ec10b3e20ea0c4b49748556b0990b98ed699329370959ae266','next',1795743203897,NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    -- Without a payload the message deletes the value of its subject from a bucket.
    payload BLOB,
    -- The W3C trace context of the request that made the change.
    traceparent TEXT
) STRICT;
DELETE FROM sqlite_sequence;
CREATE INDEX closed_accounts_by_time ON closed_accounts (closed_at);
CREATE INDEX sessions_by_user ON sessions (user_id, refreshed_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (role) WHERE role IN ('next', 'current');
COMMIT;
PRAGMA user_version=2;
