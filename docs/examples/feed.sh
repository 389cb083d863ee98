#!/bin/sh
# Reads the feed of one account with the nats command, click by click.
#
#   ./feed.sh nats://127.0.0.1:4222 nats.nk billing-0190b3a4-…
#
# The arguments: the server, the file with the seed, and the name of the durable consumer, as `kurz subscriber` tells
# them. KURZ.API is where a subscriber reaches the streams of kurz: not at the usual place.
set -eu
[ $# -eq 3 ] || { echo "usage: $0 SERVER SEED CONSUMER" >&2; exit 2; }

# Shows each click with its headers, and acknowledges it. After a minute without one it asks again.
while :; do
    nats --server "$1" --nkey "$2" --js-api-prefix KURZ.API --timeout 1m consumer next FEED "$3" --ack || sleep 1
done
