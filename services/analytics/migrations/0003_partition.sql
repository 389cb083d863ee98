-- Which of the parts into which the accounts are divided this database has (one row). It says so
-- for ever: with another one it would be given the clicks of other accounts, and lack those that it
-- was given before.
CREATE TABLE partition (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL, -- from 0 on
    of     INTEGER NOT NULL  -- how many there are
) STRICT;
INSERT INTO partition (only, number, of) VALUES (1, 0, 1);
