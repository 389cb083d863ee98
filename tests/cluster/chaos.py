#!/usr/bin/env python3
"""What Kubernetes does to everybody, done to kurz while visitors follow links through the ingress controller. One
scene after the other; ends with one table, and with 1 if a rule is broken. The production overlay with the patches
of tests/cluster/production, on a cluster as run.py wants it, of three nodes, whose ingress controller tries another
pod when the first can't be reached (k8s/setup/traefik.yaml has it so). The namespace "kurz" is deleted before and
after. Each request has a referrer of its own, by which it is looked up in the statistics.

Variables, beside those of run.py:
  KURZ_CLUSTER_NODE        the command that does something to a node: it is called with "stop" (it dies without a word)
                           and "start", or "cut" (its network goes) and "heal", and with the node's name; without it
                           these scenes are not tried"""

import argparse
import contextlib
import random
import sys
import time

import run
from kube import Failed, kurz, pods, until
from life.scene import SCENES, Skipped, play, settle
from life.watch import Watch, program
from scenes import ROOT, a_certificate_is_issued_and_served

# Each has its scenes, which are played in this order.
from life import updates, deaths, scale, faults, checks, outside, traces, lost, size  # noqa: E402, F401
from life.deaths import new_pods_only_on, spare_nodes  # noqa: E402
from life.lost import DATABASES  # noqa: E402

PAGE = ROOT / "docs/reliability.md"
BEGIN = "<!-- begin of what tests/cluster/chaos.py writes -->"
END = "<!-- end of what tests/cluster/chaos.py writes -->"


class Stage(run.Stage):
    def put_up(self):
        """All databases on one node, so that another one can be lost for good: volumes may be local to their node."""
        self.begin()
        try:
            on_one_node = new_pods_only_on(spare_nodes(self)[0])
        except Skipped:
            on_one_node = contextlib.nullcontext()
        with on_one_node:
            self.apply(self.overlay, "-l", f"app.kubernetes.io/name in ({','.join(DATABASES)})")
            until("the databases have their node", lambda: [
                pod["spec"].get("nodeName") is not None for pod in pods()] == [True] * len(DATABASES))
        self.apply(self.overlay)

    def apply(self, overlay, *options):
        super().apply(overlay, "--force-conflicts", *options)


def table(rows):
    lines = ["| scene | requests | failed | answered | counted | lost | double | seconds to recover | alerts | |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---|---|"]
    for row in rows:
        what = f"{row.scene.what} (`{row.scene.name}`)"
        if row.skipped:
            lines.append(f"| {what} | | | | | | | | | not tried: {row.note} |")
            continue
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        note = "; ".join(filter(None, [row.note, *(f"**{fault}**" for fault in row.broken)])).replace("|", "/")
        lines.append(f"| {what} | {row.requests} | {row.failed} | {row.answered} | {row.counted} | {row.lost} "
                     f"| {row.double} | {seconds} | {row.alerts} | {note} |")
    return "\n".join(lines)


def write(text):
    page = PAGE.read_text()
    before, after = page[: page.index(BEGIN)], page[page.index(END):]
    PAGE.write_text("\n\n".join([before + BEGIN, text, after]))


@contextlib.contextmanager
def watching(stage, folder):
    """A Prometheus that watches, or None if it can't be had."""
    if missing := [name for name in ("prometheus", "promtool") if not program(name)]:
        print(f"nobody looks for alerts: there is no {' and no '.join(missing)} (.ci/install-prometheus)", flush=True)
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            watch = stack.enter_context(Watch(stage, folder))
        except (Failed, OSError) as error:
            print(f"nobody looks for alerts: {error}", flush=True)
            watch = None
        yield watch


def play_all(stage, names, seed, rate, watch):
    """The rows of these scenes; the last one is None if the cluster did not come to rest."""
    rows = []
    for scene in SCENES:
        if scene.name not in names:
            continue
        started = time.time()
        try:
            row = play(scene, stage, seed, rate)
        except (Failed, OSError) as error:
            print(f"{scene.name}: the cluster did not come to rest before it: {error}", flush=True)
            print(kurz("get", "pod,event", "--sort-by=.metadata.creationTimestamp", check=False), flush=True)
            return [*rows, None]
        rows.append(row)
        if watch and not row.skipped:
            try:
                watch.look(row, started)
            except (OSError, ValueError, LookupError) as error:
                row.alerts, row.is_alarmed_well = f"**not known**: {error}", False
        print(f"({time.time() - started:.0f} s)\n{table([row])}\n", flush=True)
        if row.broken:
            print("\n".join(row.faults[:20]), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [scene.name for scene in SCENES]
    parser.add_argument("--list", action="store_true", help="say which scenes there are")
    parser.add_argument("--scene", action="append", choices=names, metavar="NAME",
                        help="only this one, and others given so")
    parser.add_argument("--seed", type=int, help="what is done when, and in which order; drawn by default")
    parser.add_argument("--rate", type=int, default=200, help="requests a second (200)")
    parser.add_argument("--images", metavar="FILE", help="load this file of images, and build none")
    parser.add_argument("--no-images", action="store_true", help="the cluster has the images already")
    parser.add_argument("--no-apply", action="store_true", help="kurz is there from a run with --keep")
    parser.add_argument("--keep", action="store_true", help="leave it in the cluster")
    parser.add_argument("--write", action="store_true",
                        help="write the table into docs/reliability.md, if no rule is broken")
    parser.add_argument("--record", metavar="FOLDER",
                        help="keep there what Prometheus scraped in each scene, as tests/monitoring/scenes has it")
    options = parser.parse_args()
    if options.list:
        for scene in SCENES:
            print(f"{scene.name:20} {scene.what}; failed: {scene.failed}, lost: {scene.lost}")
        return 0
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    stage = Stage("production", "kurz-production.test", run.ingress_address(), run.acme_authority)
    if not options.no_apply:
        if not options.no_images:
            run.load_images(options.images)
        stage.put_up()
        settle()
    a_certificate_is_issued_and_served(stage)
    began = time.monotonic()
    with watching(stage, options.record) as watch:
        rows = play_all(stage, [name for name in names if name in (options.scene or names)], seed, options.rate, watch)
    stopped_early = rows[-1:] == [None]
    rows = [row for row in rows if row]
    broken = [row for row in rows if row.broken]
    tried = [row for row in rows if not row.skipped]
    summary = (f"{len(tried)} scenes with the seed {seed}, {options.rate} requests a second, "
               f"in {(time.monotonic() - began) / 60:.0f} minutes.")
    surprising = [row for row in tried if not row.is_alarmed_well]
    print(f"\n{summary}\n\n{table(rows)}\n\n{len(broken)} of {len(tried)} scenes broke a rule, "
          f"{len(surprising)} brought other alerts than they should", flush=True)
    if broken or stopped_early:
        return 1
    if options.write:
        write(f"{summary}\n\n{table(rows)}")
    if surprising:
        return 1
    if not options.keep:
        run.tear_down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
