#!/usr/bin/env python3
"""What each durability level costs: redirects measured against nginx in the same run.

Starts nats-server and the release builds of the services on loopback, makes the links, and lets
wrk ask for them at random: nginx and each level in turn, several rounds, so that a noisy machine
is noisy for all of them. Prints one table of medians and checks at the end that every answered
redirect was counted. Needs wrk and nginx (Debian: wrk, nginx-light).
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PEER = "nginx with access log"
LEVELS = ("memory", "spool", "ack")
PASSWORD = "a password for the benchmark"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(probe, what, seconds=60):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            found = probe()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"{what}: not within {seconds} s")


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.processes = []
        self.nats_port, self.auth_port = free_port(), free_port()
        self.bin = pathlib.Path(options.bin)

    def start(self, command, **variables):
        log = open(self.folder / "log", "ab")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **variables}
        )
        self.processes.append(process)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.processes.remove(process)

    def service(self, name, port, **variables):
        admin = free_port()
        process = self.start(
            [self.bin / name],
            KURZ_LISTEN=f"127.0.0.1:{port}",
            KURZ_ADMIN_LISTEN=f"127.0.0.1:{admin}",
            KURZ_PUBLIC_URL="http://bench.test",
            KURZ_NATS_URL=f"nats://127.0.0.1:{self.nats_port}",
            KURZ_DATABASE=str(self.folder / f"{name}.db"),
            KURZ_JWKS_URL=f"http://127.0.0.1:{self.auth_port}/auth/.well-known/jwks.json",
            KURZ_VISITOR_SALT="a salt for the benchmark",
            KURZ_LOG="warn",
            **variables,
        )
        ready = lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/health/ready").status == 200
        wait_for(ready, name)
        return process

    def ask(self, port, path, body=None, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        if token:
            request.add_header("authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def log_in(self):
        credentials = {"username": "bench", "password": PASSWORD}
        return self.ask(self.auth_port, "/auth/tokens", credentials)["access_token"]

    def prepare(self):
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.nats_port}"\njetstream {{ store_dir: "{self.folder}/nats" }}\n'
        )
        self.nats = self.start([self.options.nats, "--config", config])
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.nats_port)), "nats-server")
        self.service("auth", self.auth_port)
        self.ask(self.auth_port, "/auth/users", {"username": "bench", "password": PASSWORD})
        token = self.log_in()
        shortener_port = free_port()
        shortener = self.service("shortener", shortener_port)
        make = lambda number: self.ask(
            shortener_port,
            "/shortener/links",
            {"code": f"c{number}", "url": f"https://example.org/some/longer/path/to/a/page/{number}"},
            token,
        )
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(make, range(self.options.links)))
        # analytics makes the stream of clicks; it counts them all at the end.
        self.stop(self.service("analytics", free_port()))
        self.stop(shortener)

    def nginx(self):
        port, folder = free_port(), self.folder / "nginx"
        folder.mkdir(exist_ok=True)
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log {folder}/access.log combined; server {{ listen 127.0.0.1:{port} backlog=1024;\n"
            "location / { return 302 https://example.org/some/longer/path/to/a/page$uri; } } }\n"
        )
        process = self.start(["nginx", "-p", folder, "-c", config, "-e", folder / "error.log"])
        wait_for(lambda: socket.create_connection(("127.0.0.1", port)), "nginx")
        return process, port

    def redirector(self, level):
        port = free_port()
        process = self.service(
            "redirector", port, KURZ_CLICK_DURABILITY=level, KURZ_SPOOL=str(self.folder / f"spool-{level}")
        )
        return process, port

    def measure(self, subject):
        process, port = self.nginx() if subject == PEER else self.redirector(subject)
        script = pathlib.Path(__file__).with_name("random_codes.lua")
        wrk = ["wrk", "-t1", "-c64", "--latency", "-s", script, f"http://127.0.0.1:{port}"]
        run = lambda seconds: subprocess.run(
            [*wrk, f"-d{seconds}s", "--", str(self.options.links)], capture_output=True, text=True, check=True
        ).stdout
        requests = int(re.search(r"(\d+) requests in", run(1))[1])
        busy, busy_nats = cpu(process.pid), cpu(self.nats.pid)
        text = run(self.options.seconds)
        done = int(re.search(r"(\d+) requests in", text)[1])
        row = {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
            "p50": milliseconds(re.search(r"\n\s+50%\s+(\S+)", text)[1]),
            "p99": milliseconds(re.search(r"\n\s+99%\s+(\S+)", text)[1]),
            "cpu": (cpu(process.pid) - busy) / done * 1e6,
            "nats": (cpu(self.nats.pid) - busy_nats) / done * 1e6,
            "requests": requests + done,
        }
        errors = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", text)
        if errors:
            sys.exit(f"{subject}: {errors[0]}")
        self.stop(process)
        return row

    def counted(self):
        port = free_port()
        analytics = self.service("analytics", port)
        token = self.log_in()
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 5:
            clicks = self.ask(port, "/analytics/summary", token=token)["clicks"]
            if clicks != last:
                last, since = clicks, time.monotonic()
            time.sleep(0.25)
        self.stop(analytics)
        return last


def cpu(pid):
    """Seconds of processor time of a process and of its children, of now."""
    total = 0.0
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    for one in [str(pid), *children]:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="folder of the built services")
    parser.add_argument("--nats", default=".tools/nats-server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--links", type=int, default=10_000)
    options = parser.parse_args()
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: apt-get install wrk nginx-light")

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        try:
            print(f"making {options.links} links …", file=sys.stderr)
            bench.prepare()
            rows = {subject: [] for subject in (PEER, *LEVELS)}
            for turn in range(options.rounds):
                for subject in rows:
                    print(f"round {turn + 1} of {options.rounds}: {subject}", file=sys.stderr)
                    rows[subject].append(bench.measure(subject))
            answered = sum(row["requests"] for level in LEVELS for row in rows[level])
            print("counting …", file=sys.stderr)
            counted = bench.counted()
        except BaseException:
            print((bench.folder / "log").read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            for process in bench.processes:
                process.kill()
                process.wait()

    median = lambda subject, key: statistics.median(row[key] for row in rows[subject])
    spread = lambda subject: "–".join(f"{f(row['rate'] for row in rows[subject]) / 1000:.0f}" for f in (min, max))
    print("| | req/s (range, thousands) | against nginx | p50 | p99 | CPU per redirect | NATS |")
    print("|---|---|---|---|---|---|---|")
    for subject in rows:
        print(
            f"| {subject} | {median(subject, 'rate'):,.0f} ({spread(subject)}) "
            f"| {median(subject, 'rate') / median(PEER, 'rate'):.2f} "
            f"| {median(subject, 'p50'):.2f} ms | {median(subject, 'p99'):.1f} ms "
            f"| {median(subject, 'cpu'):.1f} µs | {median(subject, 'nats'):.1f} µs |"
        )
    # wrk cuts off what is in flight when its time is up: 64 requests at most in each of its runs.
    cut_off = 64 * 2 * options.rounds * len(LEVELS)
    print(f"\nanswered {answered:,}, counted {counted:,} (up to {cut_off:,} answers were cut off by wrk)")
    if not answered <= counted <= answered + cut_off:
        sys.exit("the counts do not match")


if __name__ == "__main__":
    main()
