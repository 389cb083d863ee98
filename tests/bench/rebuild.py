#!/usr/bin/env python3
"""Counts a million clicks again, and says how fast, and whether the numbers came out the same.

Starts the release build of kurz in a folder of its own, follows links until the clicks are there,
and asks for a rebuild: first as it is (both must be equal), then with the statistics spoiled by
hand (the rebuild must bring them back). Needs wrk (Debian: wrk).
"""

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

PASSWORD = "a password for the benchmark"
HERE = pathlib.Path(__file__).parent


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ask(url, body=None, token=None):
    request = urllib.request.Request(url)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def metric(admin, name):
    text = ask(f"http://127.0.0.1:{admin}/metrics").decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def wait_for(probe, what, seconds):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            if probe():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


def numbers(database):
    """Everything that is counted, in an order of its own."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return [
            connection.execute(query).fetchall()
            for query in (
                "SELECT link_id, humans, bots, others, visitors, first_click_at_ms, last_click_at_ms FROM link ORDER BY 1",
                "SELECT link_id, at, b.humans, b.bots, b.others FROM bucket b JOIN link l ON l.id = b.link ORDER BY 1, 2",
                "SELECT link_id, dimension, text, clicks FROM breakdown b JOIN link l ON l.id = b.link"
                " JOIN label t ON t.id = b.label ORDER BY 1, 2, 3",
                "SELECT link_id, day, visitor FROM visitor v JOIN link l ON l.id = v.link ORDER BY 1, 2, 3",
                "SELECT link_id, day, v.visitors FROM visitor_day v JOIN link l ON l.id = v.link ORDER BY 1, 2",
                "SELECT spool, next FROM spool ORDER BY 1",
                "SELECT spool, first, last FROM gap ORDER BY 1, 2",
            )
        ]


def rebuild(options, admin, *words):
    command = [options.kurz, "rebuild", *words]
    environment = {**os.environ, "KURZ_ADMIN_LISTEN": f"127.0.0.1:{admin}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    # What a progress line was replaced by is what counts.
    text = "\n".join(line.rsplit("\r", 1)[-1] for line in done.stdout.split("\n"))
    print(f"\n$ kurz rebuild {' '.join(words)}\n{text}{done.stderr}", flush=True)
    return done.returncode, text


def run(options, folder, port, admin):
    base = f"http://127.0.0.1:{port}"
    wait_for(lambda: ask(f"http://127.0.0.1:{admin}/health/ready"), "kurz", 60)
    credentials = {"username": "bench", "password": PASSWORD}
    ask(f"{base}/auth/users", credentials)
    token = json.loads(ask(f"{base}/auth/tokens", credentials))["access_token"]
    for number in range(options.links):
        ask(f"{base}/shortener/links", {"code": f"c{number}", "url": f"https://example.org/{number}"}, token)
    while (recorded := metric(admin, "kurz_clicks_recorded_total")) < options.clicks:
        print(f"{recorded:.0f} clicks", flush=True)
        wrk = ["wrk", "-t1", "-c32", "-d5s", "-s", HERE / "random_codes.lua", base, "--", str(options.links)]
        subprocess.run(wrk, check=True, stdout=subprocess.DEVNULL)
    recorded = metric(admin, "kurz_clicks_recorded_total")
    print(f"{recorded:.0f} clicks", flush=True)
    wait_for(lambda: metric(admin, "kurz_clicks_applied_total") == recorded, "counting", 300)

    database = folder / "data" / "clicks.db"
    before = numbers(database)
    code, text = rebuild(options, admin)
    if code != 0 or "both are equal" not in text:
        sys.exit("the rebuild is not equal")
    with sqlite3.connect(database, timeout=60) as connection:
        connection.executescript(
            "UPDATE link SET humans = humans + 1; DELETE FROM visitor WHERE visitor % 3 = 0; DELETE FROM bucket;"
        )
    code, text = rebuild(options, admin, "--accept")
    if code != 0 or "taken over" not in text:
        sys.exit("the rebuild was not taken over")
    if numbers(database) != before:
        sys.exit("the rebuilt numbers differ from those before")
    rows = sum(map(len, before))
    print(f"the rebuilt database is the same in all of its {rows} rows: {recorded:.0f} clicks on {options.links} links")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=1_000_000)
    parser.add_argument("--links", type=int, default=1_000)
    parser.add_argument("--kurz", default="target/release/kurz")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, port, admin = pathlib.Path(name), free_port(), free_port()
        variables = {
            "KURZ_LISTEN": f"127.0.0.1:{port}",
            "KURZ_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "KURZ_PUBLIC_URL": "http://bench.test",
            "KURZ_DATA": str(folder / "data"),
            "KURZ_NATS_LISTEN": "127.0.0.1:0",
            "KURZ_NATS_SERVER": os.environ.get("KURZ_NATS_SERVER", str(pathlib.Path(".tools/nats-server").resolve())),
            "KURZ_LOG": "warn",
        }
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [options.kurz], env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            run(options, folder, port, admin)
        except BaseException:
            print((folder / "log").read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    main()
