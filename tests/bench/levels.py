#!/usr/bin/env python3
"""What each durability level costs: redirects measured against nginx in the same run.

Starts nats-server and the release builds of the services on loopback, makes the links, and lets wrk ask for them at
random: nginx and each level in turn, several rounds, so that a noisy machine is noisy for all of them. Prints one table
of medians and checks at the end that every answered redirect was counted. Installs wrk and nginx if they are missing.
"""

import argparse
import statistics
import sys

import links
import load
from stack import Stack, cost, need, note, wait_for

PEER = "nginx with access log"
LEVELS = ("memory", "spool", "ack")


def measure(stack, options, subject):
    if subject == PEER:
        number = len(list(stack.folder.glob("nginx-*/")))
        program = stack.nginx(f"nginx-{number}", "access.log combined", workers="auto")
    else:
        spool = str(stack.folder / f"spool-{subject}")
        program = stack.service("redirector", KURZ_CLICK_DURABILITY=subject, KURZ_SPOOL=spool)
    answered = load.wrk(program, 1, "random_codes.lua", options.links)["done"]
    with cost(program=program, nats=stack.nats) as taken:
        row = load.wrk(program, options.seconds, "random_codes.lua", options.links)
    row.update(cpu=taken["program"] / row["done"] * 1e6, nats_cpu=taken["nats"] / row["done"] * 1e6)
    row["answered"] = answered + row["done"]
    stack.stop(program)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--links", type=int, default=10_000)
    options = parser.parse_args()
    need("wrk", "nginx")

    rows = {subject: [] for subject in (PEER, *LEVELS)}
    with Stack() as stack:
        stack.start_nats()
        owner = stack.start_auth()
        # It makes the stream of clicks, and counts them all at the end.
        stack.stop(stack.service("analytics"))
        shortener, _ = links.seed(stack, options.links, owner)
        stack.stop(shortener)
        for turn in range(options.rounds):
            for subject in rows:
                note(f"round {turn + 1} of {options.rounds}: {subject}")
                rows[subject].append(measure(stack, options, subject))
        answered = sum(row["answered"] for level in LEVELS for row in rows[level])
        note("counting …")
        analytics = stack.service("analytics")
        counted = lambda: analytics.metric("kurz_clicks_applied_total")
        behind = lambda: analytics.metric("kurz_click_messages_behind") or not analytics.metric("kurz_clicks_following")
        wait_for(lambda: counted() >= answered and not behind(), "counting", 300)
        counted = counted()

    median = lambda subject, key: statistics.median(row[key] for row in rows[subject])
    spread = lambda subject: "–".join(f"{f(row['rate'] for row in rows[subject]) / 1000:.0f}" for f in (min, max))
    print("| | req/s (range, thousands) | against nginx | p50 | p99 | CPU per redirect | NATS |")
    print("|---|---|---|---|---|---|---|")
    for subject in rows:
        print(
            f"| {subject} | {median(subject, 'rate'):,.0f} ({spread(subject)}) "
            f"| {median(subject, 'rate') / median(PEER, 'rate'):.2f} "
            f"| {median(subject, 'p50'):.2f} ms | {median(subject, 'p99'):.1f} ms "
            f"| {median(subject, 'cpu'):.1f} µs | {median(subject, 'nats_cpu'):.1f} µs |"
        )
    cut_off = load.CONNECTIONS * 2 * options.rounds * len(LEVELS)
    print(f"\nanswered {answered:,}, counted {counted:,} (up to {cut_off:,} answers were cut off by wrk)")
    if not answered <= counted <= answered + cut_off:
        sys.exit("the counts do not match")


if __name__ == "__main__":
    main()
