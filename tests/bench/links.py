"""Many links at once: written into the shortener's database while it is stopped, as after a restore; it then brings
them into the link table by itself."""

import sqlite3
import time
import uuid

from stack import wait_for

# The ids that `bench clicks` gives its links, too.
FIRST_ID = 0x0190_0000_0000_7000_8000_0000_0000_0000


def url(number):
    return f"https://example.org/a/path/of/some/length/to/page/{number:010}"


def write(database, first, count, owner):
    owner, now_ms = uuid.UUID(owner).bytes, int(time.time() * 1000)
    rows = (
        (uuid.UUID(int=FIRST_ID + number).bytes, owner, f"c{number}", url(number), now_ms, now_ms, f"c{number} {url(number)}")
        for number in range(first, first + count)
    )
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO links (link_id, owner_id, code, url, state, redirect_status, version, created_at_ms,"
            " updated_at_ms, search_text) VALUES (?, ?, ?, ?, 'active', 302, 1, ?, ?, ?)",
            rows,
        )
    connection.close()


def seed(stack, count, owner, known=0):
    """A shortener whose links c0, c1, … are in the link table, of which `known` were, and how long it took to bring the
    others there."""
    database = stack.folder / "shortener.db"
    if not database.exists():
        stack.stop(stack.service("shortener"))
    write(database, known, count - known, owner)
    began = time.monotonic()
    shortener = stack.service("shortener", ready=600)
    rows = count_rows(database)
    wait_for(lambda: stack.stream("KV_links")["messages"] == rows, "the link table", 600, 0.1)
    return shortener, time.monotonic() - began


def count_rows(database):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT count(*) FROM links").fetchone()[0]
