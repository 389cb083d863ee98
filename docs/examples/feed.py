#!/usr/bin/env python3
"""Reads the feed of one account: one line for each click, none missing and none twice.

    pip install nats-py nkeys
    ./feed.py nats://127.0.0.1:4222 subscriber.nk billing 0190b3a4-…

The arguments: the server, the file with the credentials, the name of the durable consumer, and the id of the
account. For a server that asks for no credentials give `-` as the file.
"""

import asyncio
import contextlib
import json
import signal
import sys

import nats
from nats.errors import Error as NatsError, TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

ACK_WAIT = 30  # seconds that a click may be worked on; then the server hands it out again
BATCH = 100  # clicks that are fetched at once


def credentials(path: str) -> dict:
    """The file holds an nkey seed, which is one line that begins with S, or JWT credentials."""
    if path == "-":
        return {}
    with open(path) as file:
        is_seed = file.read().lstrip().startswith("S")
    return {"nkeys_seed": path} if is_seed else {"user_credentials": path}


async def told(error: Exception) -> None:
    """For what happens to the connection, which is made again by itself."""
    print(f"{error!r}: going on", file=sys.stderr)


async def take(message) -> None:
    """Works on one click, then acknowledges it: in this order, so that a crash in between repeats a click and
    never loses one."""
    headers = message.headers or {}
    try:
        click_id, click = headers["ce-id"], json.loads(message.data)
    except (KeyError, ValueError):
        # No click, and it never will be one: don't hand it out again.
        print(f"{message.subject} is no click", file=sys.stderr)
        await message.term()
        return
    # Above 1 only after an acknowledgement that was missed. Whoever writes into a database puts the id under a
    # unique key, and the second time changes nothing.
    print(f"{click_id} delivery {message.metadata.num_delivered}: {json.dumps(click)}", flush=True)
    # Waits until the server has it: nothing acknowledged is delivered again.
    await message.ack_sync()


async def main(server: str, path: str, name: str, account: str) -> None:
    stopping = asyncio.Event()
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, stopping.set)
    # A subscriber may only listen to answers of its own. A lost connection is made again by itself, for ever.
    client = await nats.connect(
        server,
        inbox_prefix=f"_INBOX_{name}".encode(),
        max_reconnect_attempts=-1,
        error_cb=told,
        **credentials(path),
    )
    jetstream = client.jetstream()
    try:
        await jetstream.consumer_info("FEED", name)
    except NotFoundError:
        # Made once; later runs find it where they left it: its place is kept by the server.
        config = ConsumerConfig(
            name=name,
            durable_name=name,
            filter_subject=f"feed.v1.{account}.>",
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
        )
        await jetstream.add_consumer("FEED", config)
    clicks = await jetstream.pull_subscribe_bind(name, "FEED")
    while not stopping.is_set():
        try:
            messages = await clicks.fetch(BATCH, timeout=1)
        except NothingCame:
            continue
        except NatsError as error:
            # A lost connection is made again by itself.
            print(f"{error}: going on", file=sys.stderr)
            await asyncio.sleep(1)
            continue
        for message in messages:
            try:
                await take(message)
            except NatsError as error:
                # What was not acknowledged comes again.
                print(f"{error}: going on", file=sys.stderr)
    with contextlib.suppress(OSError):  # The connection may be away just now.
        await client.close()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: feed.py SERVER CREDENTIALS CONSUMER ACCOUNT")
    asyncio.run(main(*sys.argv[1:]))
