-- Makes a copy of clicks.db the database of one partition of a new division: docs/operations.md,
-- Partitions. What it holds of accounts that are elsewhere now stays in it, and is shown to nobody.
--
--   sqlite3 -cmd '.parameter set :number 1' -cmd '.parameter set :of 3' clicks.db <divide.sql

BEGIN;

-- What was missing is missing once: where the number is the one that it was.
DELETE FROM gap WHERE :number <> (SELECT number FROM partition);
DELETE FROM missed WHERE :number <> (SELECT number FROM partition);

-- Else it would be published in each part.
DELETE FROM feed_outbox;

UPDATE partition SET number = :number, of = :of;

COMMIT;
