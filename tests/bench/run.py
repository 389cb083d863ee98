#!/usr/bin/env python3
"""Measures kurz against nginx in the same run, and writes what came out into docs/performance.md.

Starts nats-server, the release builds of the services and nginx on loopback, and goes through the parts below one after
the other; where kurz is compared with nginx, both take turns, so that a noisy machine is noisy for both. After each part
every redirect that was answered has to be counted, else the run ends with a failure. A target that is missed is only
said. Installs wrk and nginx if they are missing.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import links
import load
import page
from stack import ROOT, Stack, ask, check_counted, cost, need, note, numbers, wait_for

# All, and less of each for a first look.
FULL = dict(
    links=1_000_000, rounds=3, seconds=8, half_rounds=3, half_seconds=8, clicks=10_000_000, ingest_seconds=90, write_rounds=3,
    write_seconds=6, log_in_seconds=6, minutes=5.0, idle=10_000, guest_seconds=6,
)
QUICK = dict(
    links=200_000, rounds=1, seconds=5, half_rounds=1, half_seconds=4, clicks=500_000, ingest_seconds=10, write_rounds=1,
    write_seconds=4, log_in_seconds=3, minutes=0.25, idle=1_000, guest_seconds=3,
)
NO_LOG, LOG, KURZ = "nginx, no log", "nginx, access log", "kurz"
MB = 1_000_000


class Bench:
    def __init__(self, stack, options):
        self.stack, self.options = stack, options
        self.found = page.Findings(options)

    def prepare(self):
        """nginx, NATS, auth and analytics; the redirector with an empty table, for its size."""
        stack = self.stack
        self.nginx = {
            NO_LOG: stack.nginx("nginx-no-log", "off"),
            LOG: stack.nginx("nginx-log", "access.log combined"),
        }
        stack.start_nats()
        self.owner = stack.start_auth()
        self.analytics = stack.service("analytics")
        # It makes the bucket, for which the redirector waits.
        shortener = stack.service("shortener")
        empty = stack.service("redirector", KURZ_SPOOL=str(stack.folder / "empty"))
        self.empty_memory = empty.memory()
        stack.stop(empty)
        stack.stop(shortener)

    def memory(self):
        """(c) The link table: how large, and how soon there."""
        stack, count = self.stack, self.options.links
        note(f"{count:,} links")
        self.shortener, seconds = links.seed(stack, count, self.owner)
        self.found.bulk(count / seconds)
        # It has just been told of all of them, too.
        wait_for(lambda: self.analytics.is_idle(), "analytics", 120)
        started = {}
        for start in ("bucket", "snapshot"):
            redirector = stack.service("redirector")
            assert redirector.metric("kurz_link_table_links") == count, "links are missing"
            started[start] = redirector.started, redirector.memory()
            if start == "bucket":
                stack.stop(redirector)
        self.redirector = redirector
        self.found.memory(count, self.empty_memory, started, stack.nats.memory())

    def throughput(self):
        """(a) As fast as it goes."""
        stack, options = self.stack, self.options
        rows = {subject: [] for subject in (NO_LOG, LOG, KURZ)}
        for turn in range(options.rounds):
            for subject in rows:
                note(f"throughput, round {turn + 1} of {options.rounds}: {subject}")
                rows[subject].append(self.saturate(subject))
        self.half = statistics.median(row["rate"] for row in rows[KURZ]) / 2
        note("until all clicks are on their links' pages")
        with cost(analytics=self.analytics) as taken:
            self.settle()
        later = taken["analytics"] / sum(row["redirects"] for row in rows[KURZ]) * 1e6
        self.found.throughput(rows, later)

    def settle(self):
        """Waits until no counted click waits in the buffer any more, which would cost while something else is
        measured."""
        wait_for(lambda: self.analytics.metric("kurz_clicks_buffered") == 0, "settling", 300, 0.5)

    def saturate(self, subject):
        seconds, count = self.options.seconds, self.options.links
        if subject != KURZ:
            server = self.nginx[subject]
            load.wrk(server, 1, "random_codes.lua", count)
            with cost(nginx=server) as taken:
                row = load.wrk(server, seconds, "random_codes.lua", count)
            return row | {"cpu": {name: value / row["done"] * 1e6 for name, value in taken.items()}}
        before = numbers(self.redirector, self.analytics)
        warm_up = load.wrk(self.redirector, 1, "random_codes.lua", count)["done"]
        programs = dict(redirector=self.redirector, nats=self.stack.nats, analytics=self.analytics)
        with cost(**programs) as taken:
            row = load.wrk(self.redirector, seconds, "random_codes.lua", count)
            answered = warm_up + row["done"]
            # What is done for these redirects after the load is over costs, too.
            row["behind"] = check_counted(
                self.redirector, self.analytics, before, answered, 2 * load.CONNECTIONS
            )
        cpu = {name: value / row["done"] * 1e6 for name, value in taken.items()}
        return row | {"cpu": cpu, "redirects": answered}

    def follow(self, server, rate, seconds, connections=load.CONNECTIONS, links=None):
        return load.Pace(
            self.stack, server, rate, seconds, "follow", links or self.options.links, connections=connections
        )

    def latency(self):
        """(b) At half of what it can; and with links that change, which take the other half, at a quarter."""
        options, changes = self.options, "kurz, 1,000 link changes/s"
        rates = {LOG: self.half, KURZ: self.half, f"{LOG}, a quarter": self.half / 2, changes: self.half / 2}
        rows = {subject: [] for subject in rates}
        for turn in range(options.half_rounds):
            for subject, rate in rates.items():
                note(f"latency at {rate:,.0f}/s, round {turn + 1} of {options.half_rounds}: {subject}")
                server = self.nginx[LOG] if subject.startswith(LOG) else self.redirector
                before, changing = numbers(self.redirector, self.analytics), None
                if subject == changes:
                    token = self.stack.token()
                    changing = load.Pace(
                        self.stack, self.shortener, 1000, options.half_seconds, "change", options.links, token
                    )
                row = self.follow(server, rate, options.half_seconds).result(302)
                if server == self.redirector:
                    check_counted(self.redirector, self.analytics, before, row["answered"], 0)
                if changing:
                    row["changes"] = changing.result(200)
                rows[subject].append(row)
        self.found.latency(rates, rows)

    def ingest(self):
        """(d) A backlog: a small one to see how fast it goes, then what fits into the time."""
        options = self.options
        first = self.apply(options.clicks // 50)
        rate = first["clicks"] / first["took"]
        clicks = int(min(options.clicks, rate * options.ingest_seconds) // 500 * 500)
        self.found.ingest(**self.apply(max(clicks, first["clicks"])))

    def apply(self, clicks):
        stack = self.stack
        stack.stop(self.analytics)
        stream, database = stack.stream("CLICKS")["bytes"], size(stack.folder / "analytics.db")
        note(f"a backlog of {clicks:,} clicks")
        filled = load.backlog(stack, clicks, min(100_000, self.options.links), self.owner, int(time.time() * 1000))
        stored = stack.stream("CLICKS")["bytes"] - stream
        token = stack.token()
        self.analytics = stack.service("analytics")
        applied = lambda: self.analytics.metric("kurz_clicks_applied_total")
        note("analytics applies it")
        began, cpu, queries, took = time.monotonic(), self.analytics.cpu(), [], None
        while took is None:
            # Few at a time, so that the last of them ends soon after the backlog does.
            query = load.Pace(
                stack, self.analytics, 100, 2, "get", "/analytics/links/c7/series?interval=hour", token, connections=4
            )
            while query.process.poll() is None and took is None:
                time.sleep(0.02)
                if applied() >= clicks:
                    took = time.monotonic() - began
            queries.append(query.result(200))
        if applied() != clicks:
            sys.exit(f"the counts do not match: published {clicks}, counted {applied()}")
        cpu, memory = (self.analytics.cpu() - cpu) / clicks * 1e6, self.analytics.memory()
        stack.stop(self.analytics)
        grown = size(stack.folder / "analytics.db") - database
        self.analytics = stack.service("analytics")
        return {
            "clicks": clicks, "took": took, "cpu": cpu, "filled": filled, "queries": queries, "stored": stored,
            "grown": grown, "memory": memory,
        }

    def writes(self):
        """(e) Links over the API."""
        stack, options = self.stack, self.options
        rows, fsyncs = [], [fsyncs_a_second(stack.folder)]
        database = stack.folder / "shortener.db"
        self.settle()
        for turn in range(options.write_rounds):
            note(f"new links, round {turn + 1} of {options.write_rounds}")
            before, token = links.count_rows(database), stack.token()
            with cost(shortener=self.shortener) as taken:
                row = load.wrk(self.shortener, options.write_seconds, "new_links.lua", token)
            # Those that wrk cut off are being made.
            wait_for(lambda: self.shortener.metric("kurz_outbox_depth") == 0, "the outbox", 60)
            made = links.count_rows(database) - before
            if not row["done"] <= made <= row["done"] + load.CONNECTIONS:
                sys.exit(f"{row['done']} links were answered, and {made} are in the database")
            wait_for(
                lambda: stack.stream("KV_links")["messages"] == links.count_rows(database), "the link table", 60
            )
            rows.append(row | {"cpu": taken["shortener"] / row["done"] * 1e6})
            fsyncs.append(fsyncs_a_second(stack.folder))
        self.found.writes(rows, statistics.median(fsyncs))

    def log_ins(self):
        """(f) A hundred people who log in at once, again and again."""
        stack, seconds = self.stack, self.options.log_in_seconds
        self.settle()
        names = [f"bench-{number}" for number in range(20)]
        for number, name in enumerate(names):
            stack.register(name, f"198.51.100.{number}")
        token, rows = stack.token(), {}
        for subject in ("before", "during"):
            note(f"log-ins: {subject}")
            before, crowd = numbers(self.redirector, self.analytics), None
            if subject == "during":
                crowd = load.Crowd(stack, 100, seconds, len(names))
            redirects = self.follow(self.redirector, 2000, seconds)
            peer = self.follow(self.nginx[LOG], 2000, seconds)
            checks = load.Pace(stack, stack.auth, 200, seconds, "get", "/auth/users/me", token, connections=8)
            redirects, checks, peer = redirects.result(302), checks.result(200), peer.result(302)
            if crowd:
                outcomes = crowd.result()["statuses"]
            check_counted(self.redirector, self.analytics, before, redirects["answered"], 0)
            rows[subject] = redirects, checks, peer
        self.found.log_ins(rows, outcomes, seconds, stack.auth.memory("VmHWM"))

    def guests(self):
        """(g) Those who only cost: idle connections, and who tries codes."""
        options, rows = self.options, {}
        slow = f"{options.idle // 10:,} clients that send a byte a second"
        for subject in ("alone", f"{options.idle:,} idle connections", slow, "10,000 unknown codes/s"):
            note(f"half load: {subject}")
            before, other = numbers(self.redirector, self.analytics), None
            seconds = options.guest_seconds
            if "idle" in subject:
                other = load.Pace(self.stack, self.redirector, 1, seconds, "idle", connections=options.idle)
            elif subject == slow:
                other = load.Pace(self.stack, self.redirector, 1, seconds, "slow", connections=options.idle // 10)
            elif "unknown" in subject:
                other = load.Pace(self.stack, self.redirector, 10_000, seconds, "get", "/no-such-code", "none")
            row = self.follow(self.redirector, self.half / 2, seconds).result(302)
            if other:
                other.result(404 if "unknown" in subject else None)
            check_counted(self.redirector, self.analytics, before, row["answered"], 0)
            rows[subject] = row
        self.found.guests(self.half / 2, rows)

    def growth(self):
        """(g) Whether anything grows."""
        seconds = max(int(self.options.minutes * 60), 10)
        note(f"{seconds} s at half load")
        programs = dict(redirector=self.redirector, analytics=self.analytics, nats=self.stack.nats)
        samples, before = [], numbers(self.redirector, self.analytics)
        load_ = self.follow(self.redirector, self.half, seconds, links=min(100_000, self.options.links))
        began = time.monotonic()
        while load_.process.poll() is None:
            recorded, applied = (now - then for now, then in zip(numbers(self.redirector, self.analytics), before))
            sample = {"at": time.monotonic() - began, "lag": max(recorded - applied, 0)}
            for name, program in programs.items():
                sample[name], sample[f"{name} files"] = program.memory("RssAnon"), program.files()
            samples.append(sample)
            time.sleep(0.5)
        row = load_.result(302)
        check_counted(self.redirector, self.analytics, before, row["answered"], 0)
        self.found.growth(self.half, row, samples)

    def ten_million(self):
        """(c) Ten times as many links."""
        stack, count = self.stack, 10_000_000
        for program in (self.redirector, self.shortener):
            stack.stop(program)
        note(f"{count:,} links")
        self.shortener, _ = links.seed(stack, count, self.owner, self.options.links)
        self.redirector = stack.service("redirector", ready=600)
        self.found.ten_million(self.redirector, self.empty_memory, stack.nats.memory())


def size(database):
    return sum(path.stat().st_size for path in database.parent.glob(database.name + "*"))


def fsyncs_a_second(folder):
    """How often a second the disk takes 4 KiB more of a file, one after the other."""
    with open(folder / "fsync", "wb", buffering=0) as file:
        began, times = time.monotonic(), 0
        while time.monotonic() - began < 1:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times += 1
    return times / (time.monotonic() - began)


def machine():
    model = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    # What differs from the commit says so.
    words = ["git", "describe", "--always", "--exclude", "*", "--dirty=-modified"]
    commit = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    return {
        "cores": os.cpu_count(),
        "cpu": model,
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "commit": commit.stdout.strip(),
    }


PARTS = ("throughput", "latency", "ingest", "writes", "log_ins", "guests", "growth")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="folder of the built programs")
    parser.add_argument("--quick", action="store_true", help="fewer links, fewer rounds; writes no page")
    parser.add_argument("--minutes", type=float, help="how long to look whether anything grows")
    parser.add_argument("--ten-million", action="store_true", help="also try ten million links (takes 12 GB)")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}; then no page is written")
    options = parser.parse_args()
    chosen = [part for part in PARTS if part in options.parts.split(",")]
    settings = QUICK if options.quick else FULL
    for name, value in settings.items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    need("wrk", "nginx")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    options.machine = machine()
    began = time.monotonic()
    with Stack(options.bin) as stack:
        bench = Bench(stack, options)
        bench.prepare()
        bench.memory()
        # What is at half load needs to know what the whole is.
        if {"latency", "guests", "growth"} & set(chosen) and "throughput" not in chosen:
            chosen.insert(0, "throughput")
        for part in chosen:
            getattr(bench, part)()
        if options.ten_million:
            bench.ten_million()
    found = bench.found
    found.minutes = (time.monotonic() - began) / 60
    print(found.text())
    if chosen == list(PARTS) and not options.quick:
        found.write()


if __name__ == "__main__":
    main()
