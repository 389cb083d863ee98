-- The counters of a link lie together, in as few rows as hold them: src/store/counters.rs.

-- Consecutive counters of a link: from the key `first` on up to the next row's. The first row's is
-- empty. What the bytes of a key and of a page mean is in src/store/counters/.
CREATE TABLE counter (
    link_id BLOB NOT NULL,
    first   BLOB NOT NULL,
    page    BLOB NOT NULL,
    PRIMARY KEY (link_id, first)
) STRICT, WITHOUT ROWID;

-- The sums over all links of an account.
CREATE TABLE account (
    owner_id          BLOB    PRIMARY KEY,
    humans            INTEGER NOT NULL,
    bots              INTEGER NOT NULL,
    others            INTEGER NOT NULL,
    -- over the links: sum of each day's distinct human visitors
    visitors          INTEGER NOT NULL,
    -- of clicks (humans and bots); null before the first
    first_click_at_ms INTEGER,
    last_click_at_ms  INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO account
SELECT owner_id, sum(humans), sum(bots), sum(others), sum(visitors), min(first_click_at_ms),
    max(last_click_at_ms)
FROM link WHERE humans + bots + others > 0 GROUP BY owner_id;
