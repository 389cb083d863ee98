#!/usr/bin/env python3
"""Counts a million clicks again, and says how fast, and whether the numbers came out the same.

Starts the release build of kurz in a folder of its own, follows links until the clicks are there,
and asks for a rebuild: first as it is (both must be equal), then with the statistics spoiled by
hand (the rebuild must bring them back). Installs wrk if it is missing.
"""

import argparse
import os
import sqlite3
import subprocess
import sys

import load
from stack import PASSWORD, Stack, ask, free_port, need, wait_for


# Visitors are there or not, and have no value.
VISITOR = 34


def numbers(database):
    """Everything that is counted, in an order of its own."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        labels = dict(connection.execute("SELECT id, text FROM label"))
        pages = connection.execute("SELECT link_id, page FROM counter").fetchall()
        counters = sorted((link, *counter) for link, page in pages for counter in unpack(page, labels))
        others = (
            "SELECT * FROM account ORDER BY 1",
            "SELECT spool, next FROM spool ORDER BY 1",
            "SELECT spool, first, last FROM gap ORDER BY 1, 2",
        )
        return [counters, *(connection.execute(query).fetchall() for query in others)]


def unpack(page, labels):
    """Kind, which of it, and value of each counter of a page: services/analytics/src/store/counters/page.rs."""
    at, counters = 1, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = page[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(page):
        kind, detail = number(), 0
        for _ in range(number()):
            detail += number()
            which = labels[detail] if 17 <= kind <= 23 else str(detail)
            counters.append((kind, which, 1 if kind == VISITOR else number()))
    return counters


def rebuild(stack, kurz, *words):
    environment = {**os.environ, "KURZ_ADMIN_LISTEN": f"127.0.0.1:{kurz.admin}"}
    done = subprocess.run([stack.bin / "kurz", "rebuild", *words], env=environment, capture_output=True, text=True)
    # What a progress line was replaced by is what counts.
    text = "\n".join(line.rsplit("\r", 1)[-1] for line in done.stdout.split("\n"))
    print(f"\n$ kurz rebuild {' '.join(words)}\n{text}{done.stderr}", flush=True)
    return done.returncode, text


def run(options, stack):
    variables = {"KURZ_DATA": str(stack.folder / "data"), "KURZ_NATS_LISTEN": "127.0.0.1:0"}
    variables["KURZ_NATS_SERVER"] = str(stack.nats_program)
    port, admin = free_port(), free_port()
    variables |= {"KURZ_LISTEN": f"127.0.0.1:{port}", "KURZ_ADMIN_LISTEN": f"127.0.0.1:{admin}"}
    variables |= {"KURZ_PUBLIC_URL": "http://bench.test", "KURZ_LOG": "warn"}
    kurz = stack.start("kurz", [stack.bin / "kurz"], port, admin, **variables)
    wait_for(lambda: ask(f"http://127.0.0.1:{admin}/health/ready"), "kurz")
    credentials = {"username": "bench", "password": PASSWORD}
    ask(f"{kurz.url}/auth/users", credentials)
    token = ask(f"{kurz.url}/auth/tokens", credentials)["access_token"]
    for number in range(options.links):
        ask(f"{kurz.url}/shortener/links", {"code": f"c{number}", "url": f"https://example.org/{number}"}, token)
    while (recorded := kurz.metric("kurz_clicks_recorded_total")) < options.clicks:
        print(f"{recorded} clicks", flush=True)
        load.wrk(kurz, 5, "random_codes.lua", options.links)
    recorded = kurz.metric("kurz_clicks_recorded_total")
    print(f"{recorded} clicks", flush=True)
    wait_for(lambda: kurz.metric("kurz_clicks_applied_total") == recorded, "counting", 300)

    database = stack.folder / "data" / "clicks.db"
    code, text = rebuild(stack, kurz)
    if code != 0 or "both are equal" not in text:
        sys.exit("the rebuild is not equal")
    # To be compared, what waited was brought to the pages.
    before = numbers(database)
    with sqlite3.connect(database, timeout=60) as connection:
        connection.executescript(
            "UPDATE account SET humans = humans + 1; DELETE FROM counter WHERE substr(link_id, -1) < x'80';"
        )
    code, text = rebuild(stack, kurz, "--accept")
    if code != 0 or "taken over" not in text:
        sys.exit("the rebuild was not taken over")
    if numbers(database) != before:
        sys.exit("the rebuilt numbers differ from those before")
    rows = sum(map(len, before))
    print(f"the rebuilt database is the same in all of its {rows} rows: {recorded} clicks on {options.links} links")
    # In order, so that its nats-server ends, too.
    stack.stop(kurz)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=1_000_000)
    parser.add_argument("--links", type=int, default=1_000)
    options = parser.parse_args()
    need("wrk")
    with Stack() as stack:
        run(options, stack)


if __name__ == "__main__":
    main()
