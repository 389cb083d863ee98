"""What many links do. Played last, for they stay."""

import contextlib
import gzip
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
import uuid

import kube
from kube import Failed, Forward, get, in_pod, pods, until
from life.scene import redirectors, scene
from scenes import ROOT, Volumes
from life.scale import all_ready, autoscale

MANY = 1_000_000
SAMPLE = 2_000


@scene("million-links")
def _(run):
    """a redirector joins when there are a million links: it has them all when it is ready"""
    spec, number = get("hpa", "redirector")["spec"], len(redirectors())
    before = {pod["metadata"]["name"] for pod in redirectors()}
    try:
        autoscale({"minReplicas": number, "maxReplicas": number})
        began = time.monotonic()
        add_links(run.stage, MANY)
        until("all links are in the table", lambda: in_table() >= MANY, 600)
        loaded = time.monotonic() - began
        autoscale({"minReplicas": number + 1, "maxReplicas": number + 1})
        joins = until("another redirector is started", lambda: [
            pod["metadata"]["name"] for pod in redirectors()
            if pod["metadata"]["name"] not in before and is_started(pod)])[0]
        codes = [f"c{n}" for n in run.random.sample(range(MANY), SAMPLE)]
        took = asked_when_ready(joins, codes)
        run.leave_alone()
        until("it is one of them", lambda: all_ready(number + 1))
        run.more(1000)
    finally:
        autoscale({name: spec[name] for name in ("minReplicas", "maxReplicas")})
    return (f"ready after {took:.1f} s, and {SAMPLE} of {MANY} links drawn at random led on from it at once; "
            f"backup, restore and table of links: {loaded:.0f} s")


def is_started(pod):
    """It is live, perhaps not yet ready."""
    return any(status.get("started") for status in pod["status"].get("containerStatuses", []))


def url(number):
    return f"https://example.org/a/path/of/some/length/to/page/{number:010}"


def add_links(stage, number):
    """As a restore of a backup brings them: nothing else is as fast."""
    in_pod("shortener-0", "shortener", "backup")
    with tempfile.TemporaryDirectory() as folder:
        packed, database = pathlib.Path(folder, "links.gz"), pathlib.Path(folder, "links.db")
        with Volumes(stage, "shortener") as volumes:
            volumes.fetch("$(ls /backups/links-*.db | tail -1)", packed)
            with gzip.open(packed) as source, database.open("wb") as target:
                shutil.copyfileobj(source, target)
            write(database, number)
            pack = subprocess.run(["gzip", "-1", "--stdout", database], capture_output=True, check=True)
            volumes.put(pack.stdout, "/backups/many.gz")
            volumes.run("gunzip -c /backups/many.gz > /backups/many.db && rm /backups/many.gz*")
    kube.run(str(ROOT / "k8s/restore.sh"), "shortener", "many.db")


def write(database, number):
    owner, now = uuid.uuid4().bytes, int(time.time() * 1000)
    rows = ((uuid.UUID(int=(now << 80) + (7 << 76) + (2 << 62) + n).bytes, owner, f"c{n}", url(n), now, now,
             f"c{n} {url(n)}") for n in range(number))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO links (link_id, owner_id, code, url, state, redirect_status, version, created_at_ms,"
            " updated_at_ms, search_text) VALUES (?, ?, ?, ?, 'active', 302, 1, ?, ?, ?)", rows)


def in_table():
    """How many links the bus has: of its servers, the one that says least."""
    return min(messages(pod["metadata"]["name"], "KV_links") for pod in pods("nats"))


def messages(server, stream):
    text = in_pod(server, "wget", "-qO-", "http://127.0.0.1:8222/jsz?accounts=true&streams=true")
    streams = [one for account in json.loads(text)["account_details"] for one in account.get("stream_detail", [])]
    return sum(one["state"]["messages"] for one in streams if one["name"] == stream)


def asked_when_ready(pod, codes):
    """Asks a redirector for links as soon as it says that it is ready, not when Kubernetes has heard of it."""
    with Forward(pod, 9090) as admin, Forward(pod, 8080) as public:
        began, early = time.monotonic(), 0
        while admin.read("/health/ready")[0] != 200:
            # A link that it does not have yet is not one that nobody made.
            status = public.read(f"/{random.choice(codes)}")[0]
            early += status == 503
            if status not in (302, 503):
                raise Failed(f"{pod} answers {status} before it is ready")
            if time.monotonic() - began > 300:
                raise Failed(f"{pod} does not become ready")
        took = time.monotonic() - began
        connection = public.connection()
        for code in codes:
            connection.request("GET", f"/{code}")
            response = connection.getresponse()
            response.read()
            if (response.status, response.headers["location"]) != (302, url(int(code[1:]))):
                raise Failed(f"{pod} is ready, and answers {response.status} to {code}")
        connection.close()
    return took
