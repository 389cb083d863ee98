-- Clicks that are counted, and whose links' pages do not say so yet: src/store/counters/buffer.rs.

-- Ranges of links: from the link `first` on up to the next range's.
CREATE TABLE buffer_range (
    first  BLOB    PRIMARY KEY,
    number INTEGER NOT NULL,
    -- how many clicks of its links wait, and in how many rows
    visits INTEGER NOT NULL,
    rows   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Clicks of links of one range that came together. What the bytes mean is in
-- src/store/counters/buffer/row.rs.
CREATE TABLE buffer (
    id     INTEGER PRIMARY KEY, -- the number of the range * 2^20 + the place in it
    visits BLOB    NOT NULL
) STRICT;
