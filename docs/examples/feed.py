#!/usr/bin/env python3
"""Reads the feed of one account: one line for each click, none missing and none twice.

    pip install nats-py nkeys
    ./feed.py nats://127.0.0.1:4222 nats.nk billing-0190b3a4-…

The arguments: the server, the file with the seed, and the name of the durable consumer, as `kurz subscriber` tells
them.
"""

import asyncio
import contextlib
import json
import signal
import sys

import nats
from nats.errors import Error as NatsError, TimeoutError as NothingCame

API = "KURZ.API"  # where a subscriber reaches the streams of kurz: not at the usual place
BATCH = 100  # clicks that are fetched at once


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


async def main(server: str, seed: str, name: str) -> None:
    stopping = asyncio.Event()
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, stopping.set)
    # A lost connection is made again by itself, for ever.
    client = await nats.connect(server, nkeys_seed=seed, max_reconnect_attempts=-1, error_cb=told)
    # A subscriber may not look at the stream itself, only at its own consumer.
    jetstream = client.jetstream(prefix=API)
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
    if len(sys.argv) != 4:
        sys.exit("usage: feed.py SERVER SEED CONSUMER")
    asyncio.run(main(*sys.argv[1:]))
