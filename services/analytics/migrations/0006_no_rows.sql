-- What is in the pages now, and the numbers of links, which nothing refers to any more.

DROP TABLE bucket;
DROP TABLE breakdown;
DROP TABLE visitor;
DROP TABLE visitor_day;

CREATE TABLE new_link (
    link_id  BLOB    PRIMARY KEY,
    owner_id BLOB    NOT NULL,
    code     TEXT    NOT NULL,
    -- of the link record; 0 while the link is known from clicks only
    version  INTEGER NOT NULL DEFAULT 0,
    -- 1: the link table says that it is gone; its statistics stay until the account is closed
    deleted  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO new_link SELECT link_id, owner_id, code, version, deleted FROM link ORDER BY link_id;
DROP TABLE link;
ALTER TABLE new_link RENAME TO link;
-- To list an account's links from the newest on, and to count those that were not deleted.
CREATE INDEX link_owner ON link (owner_id, link_id, deleted);
CREATE INDEX link_code ON link (code);
