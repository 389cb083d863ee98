"""A program of somebody else reads its owner's feed, from another namespace."""

import asyncio
import base64
import collections
import contextlib
import json
import pathlib
import tempfile
import time

import kube
from kube import Failed, Forward, get, kubectl, kurz
from life.scene import Skipped, scene
from scenes import ROOT, TARGET, asker
from website import Site

READERS, OTHERS = "kurz-test-readers", "kurz-test-nobody"
NAME = "outside"


@scene("subscriber")
def _(run):
    """a program in another namespace reads the feed of its owner: each click once, and it may do nothing else"""
    try:
        import nats  # noqa: F401
        import nkeys  # noqa: F401
    except ImportError as error:
        raise Skipped("needs nats-py and nkeys (pip)") from error
    site = run.stage.site
    owner, other = turn_feed_on(site), somebody_else(run.stage)
    since = time.time()
    stranger = turn_feed_on(other)
    secrets("subscriber", owner, NAME)
    try:
        kubectl("create", "namespace", READERS)
        kubectl("label", "namespace", READERS, "kurz/subscribers=true")
        kubectl("create", "namespace", OTHERS)
        with tempfile.TemporaryDirectory() as folder:
            seed = pathlib.Path(folder, "nats.nk")
            encoded = kurz("get", "secret", "subscribers", "-o", f"jsonpath={{.data.{owner}\\.{NAME}}}")
            seed.write_bytes(base64.b64decode(encoded))
            with way_in(run.stage, READERS) as server:
                seen, refused = asyncio.run(subscribe(run, server, str(seed), owner, stranger, other, since))
                secrets("subscriber", owner, NAME, "--remove")
                if asyncio.run(is_let_in(server, str(seed))):
                    raise Failed("a subscriber that was removed is let in")
            with way_in(run.stage, OTHERS) as server:
                if asyncio.run(is_reached(server)):
                    raise Failed("NATS is reached from a namespace without the label")
    finally:
        kubectl("delete", "namespace", READERS, OTHERS, "--ignore-not-found", "--wait=false")
    run.leave_alone()
    return f"{seen} clicks read, each once; {refused} other things refused"


def secrets(*words):
    kube.run(str(ROOT / "k8s/secrets.sh"), *words)


def turn_feed_on(site):
    site.ask("PUT", "/analytics/feed", {"enabled": True}, expect=200)
    return site.ask("GET", "/auth/users/me", expect=200).json()["id"]


def somebody_else(stage):
    site = Site(stage.host, stage.address, stage.authorities())
    site.log_in(f"somebody-else-{int(time.time())}")
    return site


@contextlib.contextmanager
def way_in(stage, namespace):
    """The address of NATS as a pod of that namespace reaches it."""
    address = get("service", "nats")["spec"]["clusterIP"]
    # "again and again" is another word to each busybox
    listening = " || ".join(f"nc {again} -p 4222 -e nc {address} 4222" for again in ("-lk", "-ll"))
    asker(stage, namespace, "way-in", {}, listening)
    with Forward("way-in", 4222, namespace) as forward:
        yield f"nats://127.0.0.1:{forward.port}"


async def connect(server, seed, errors):
    import nats

    async def told(error):
        errors.append(str(error))
    return await nats.connect(server, nkeys_seed=seed, error_cb=told, connect_timeout=10, allow_reconnect=False)


async def subscribe(run, server, seed, owner, stranger, other, since):
    """How many clicks it read, and how many other things it was refused."""
    errors = []
    client = await connect(server, seed, errors)
    try:
        code = other.shorten(TARGET)["code"]
        for _ in range(20):
            other.follow(code)
        other.wait_for_clicks(code, 20)
        seen = await read(run, client, owner, since)
        refused = await everything_else(client, errors, owner, stranger)
    finally:
        await client.close()
    return seen, refused


async def read(run, client, owner, since):
    """Reads until it has every click that was answered up to now, and counts them."""
    from nats.errors import TimeoutError as NothingCame
    clicks = await client.jetstream(prefix="KURZ.API").pull_subscribe_bind(f"{NAME}-{owner}", "FEED")
    with run.load.lock:
        wanted = {request.referrer for request in run.load.requests if request.began > since and not request.fault}
    ids, referrers, deadline = collections.Counter(), collections.Counter(), time.monotonic() + 60
    while not wanted <= referrers.keys():
        if time.monotonic() > deadline:
            raise Failed(f"{len(wanted - referrers.keys())} of {len(wanted)} clicks are not in the feed")
        try:
            messages = await clicks.fetch(100, timeout=1)
        except NothingCame:
            continue
        for message in messages:
            click = json.loads(message.data)
            if not message.subject.startswith(f"feed.v1.{owner}.") or click["code"] not in run.load.codes:
                raise Failed(f"{message.subject} is not of its owner's links")
            ids[message.headers["ce-id"]] += 1
            referrers[click["referrer"]] += 1
            await message.ack_sync()
    if twice := [one for counter in (ids, referrers) for one, times in counter.items() if times > 1]:
        raise Failed(f"{len(twice)} clicks came twice: {twice[:3]}")
    return len(ids)


async def everything_else(client, errors, owner, stranger):
    """Tries what a subscriber may not do, and counts it."""
    subjects = [f"feed.v1.{stranger}.>", "feed.v1.>", "clicks.v1.>", "$KV.links.>", "accounts.v1.>", "dead.v1.>", ">"]
    for subject in subjects:
        subscription = await client.subscribe(subject)
        await refusal(client, errors, subject)
        await subscription.unsubscribe()
    published = [
        f"feed.v1.{owner}.code", f"feed.v1.{stranger}.code", "clicks.v1.0.spool", "$KV.links.code",
        f"accounts.v1.closed.{stranger}", "$JS.API.STREAM.INFO.FEED", "KURZ.API.STREAM.INFO.FEED",
        "KURZ.API.STREAM.PURGE.FEED", "KURZ.API.STREAM.MSG.GET.FEED", "KURZ.API.CONSUMER.CREATE.FEED.mine",
        f"KURZ.API.CONSUMER.MSG.NEXT.FEED.{NAME}-{stranger}",
    ]
    for subject in published:
        await client.publish(subject, b"{}")
        await refusal(client, errors, subject)
    return len(subjects) + len(published)


async def refusal(client, errors, subject):
    """Waits until the server has said that this is not allowed."""
    await client.flush()
    deadline = time.monotonic() + 5
    while not any("permissions violation" in error.lower() and f'"{subject.lower()}"' in error.lower() for error in errors):
        if time.monotonic() > deadline:
            raise Failed(f"{subject} is not refused")
        await asyncio.sleep(0.05)


async def is_let_in(server, seed):
    from nats.errors import Error
    try:
        client = await connect(server, seed, [])
    except (Error, OSError):
        return False
    await client.close()
    return True


async def is_reached(server):
    """Whether a nats-server says anything; each one does to whoever connects."""
    reader, writer = await asyncio.open_connection(*server.removeprefix("nats://").split(":"))
    try:
        return bool(await asyncio.wait_for(reader.read(1), 5))
    except (TimeoutError, OSError):
        return False
    finally:
        writer.close()
