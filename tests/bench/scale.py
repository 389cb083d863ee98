#!/usr/bin/env python3
"""What a rate of redirects needs, from the costs that `make bench` measured: the tables of docs/scale.md.

Most of it is division. What can't be divided is the skew: an account is in one partition, and a few accounts have most of
the clicks. How full the fullest partition becomes is simulated, with accounts drawn from a Zipf distribution and hashed
as kurz does it. So is how far counting lags behind: sets are gathered and stored as analytics does it, with the measured
cost of each.
"""

import argparse
import json
import math
import random
import statistics
import uuid

from page import COSTS
from stack import ROOT

PAGE = ROOT / "docs/scale.md"
BEGIN, END = "<!-- begin of what make scale writes -->", "<!-- end of what make scale writes -->"
DAY = 86_400
# A server is planned for half of what it can: a peak, a rolling update, a node that is down.
HEADROOM = 0.5
# What one replicated stream takes: messages a second with one in flight for each spool (performance of nats-server 2.15
# with three replicas), and clicks in each.
STREAM_MESSAGES, CLICKS_IN_A_MESSAGE = 1_100, 500
RATES = (1_000, 10_000, 100_000, 1_000_000)


def crc32c(data):
    """The hash that divides the accounts: CRC-32C, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def fullest(partitions, accounts, exponent, random_, hashes):
    """The share of the clicks that the fullest of the partitions has."""
    shares = [0.0] * partitions
    total = 0.0
    for rank in range(1, accounts + 1):
        weight = rank**-exponent
        shares[hashes[random_.randrange(len(hashes))] % partitions] += weight
        total += weight
    return max(shares) / total


def largest(accounts, exponent):
    """The share of the clicks that the largest account has."""
    return 1 / sum(rank**-exponent for rank in range(1, accounts + 1))


def lag(rate, cost, seconds=60.0):
    """Simulates one analytics at `rate` clicks a second that cost `cost` seconds each: how old a click is when it is
    counted (median and most, in seconds); none if it falls behind."""
    now, waiting, took, ages = 0.0, [(0.0, 0.0)], 0.0, []
    # Sets follow each other: one is gathered while the one before it is stored.
    stored_until, gathered_from = 0.0, 0.0
    while now < seconds:
        gather = min(4 * took, 1.0)
        ready = max(gathered_from + gather, stored_until)
        clicks = min(rate * (ready - gathered_from) + 1, 100_000)
        took = 0.004 + clicks * cost
        first = gathered_from
        gathered_from = first + clicks / rate
        stored_until = ready + took
        ages.append((stored_until - (first + gathered_from) / 2, stored_until - first))
        now = ready
        if stored_until - gathered_from > 10:
            return None
    settled = ages[len(ages) // 2 :]
    return statistics.median(age for age, _ in settled), max(age for _, age in settled)


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def terabytes(value):
    return f"{value / 1e12:,.1f} TB" if value >= 1e12 else f"{value / 1e9:,.0f} GB" if value >= 1e9 else f"{value / 1e6:,.0f} MB"


def needs(costs, rate):
    """The row of a rate: what it takes."""
    core = lambda key: rate * costs[key] * 1e-6
    redirectors = core("redirector_us") / HEADROOM
    partitions = math.ceil(rate / (costs["ingest_rate"] * HEADROOM))
    streams = math.ceil(rate / CLICKS_IN_A_MESSAGE / (STREAM_MESSAGES * HEADROOM))
    return (
        f"{rate:,}/s", f"{number(core('redirector_us'))} → {math.ceil(redirectors)}",
        f"{number(core('nats_us'))}", f"{number(core('analytics_us'))}", f"{max(partitions, streams)}",
        terabytes(rate * DAY * costs["stream_bytes"]), terabytes(rate * DAY * costs["database_bytes"]),
    )


def table(head, rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def text(costs, seed):
    random_ = random.Random(seed)
    hashes = [crc32c(uuid.UUID(int=random_.getrandbits(128)).bytes) for _ in range(20_000)]
    what = (
        ("a redirect, in the redirector", f"{costs['redirector_us']:.1f} µs"),
        ("its click, in nats-server", f"{costs['nats_us']:.1f} µs"),
        ("its click, in analytics", f"{costs['analytics_us']:.1f} µs; {costs['ingest_rate']:,.0f} clicks/s at most"),
        ("a click in the stream; in the database", f"{costs['stream_bytes']:.0f} bytes; {costs['database_bytes']:.0f} bytes"),
        ("a link in a redirector; in nats-server", f"{costs['link_bytes']:.0f} bytes; {costs['link_nats_bytes']:.0f} bytes"),
    )
    plan = table(
        ("redirects", "redirectors: cores → with headroom", "nats-server: cores", "analytics: cores", "partitions",
         "stream a day", "databases a day"),
        [needs(costs, rate) for rate in RATES],
    )
    skew = []
    for exponent, accounts in ((0.8, 1_000), (0.8, 100_000), (1.0, 1_000), (1.0, 100_000)):
        shares = [
            statistics.median(fullest(partitions, accounts, exponent, random_, hashes) for _ in range(5))
            for partitions in (3, 8, 16, 64)
        ]
        skew.append(
            (f"{accounts:,}, exponent {exponent}", f"{100 * largest(accounts, exponent):.1f} %",
             *(f"{share * partitions:.1f} ×" for share, partitions in zip(shares, (3, 8, 16, 64))))
        )
    cost = 1 / costs["ingest_rate"]
    lags = []
    for part in (0.1, 0.25, 0.5, 0.75, 0.9):
        found = lag(part * costs["ingest_rate"], cost)
        lags.append(
            (f"{100 * part:.0f} %", f"{part * costs['ingest_rate']:,.0f}/s",
             "falls behind" if found is None else f"{found[0]:.2f} s", "" if found is None else f"{found[1]:.2f} s")
        )
    return "\n\n".join((
        table(("what", "costs"), what), plan,
        "How much more than its share the fullest partition has (simulated, medians of five divisions):",
        table(("accounts", "the largest has", "of 3", "of 8", "of 16", "of 64"), skew),
        "How old a click is when it is counted, by how busy its analytics is (simulated):",
        table(("busy", "clicks", "median", "most"), lags),
    ))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the simulations")
    options = parser.parse_args()
    found = text(json.loads(COSTS.read_text()), options.seed)
    print(found)
    page = PAGE.read_text()
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]
    PAGE.write_text("\n\n".join([before + BEGIN, found, after]))


if __name__ == "__main__":
    main()
