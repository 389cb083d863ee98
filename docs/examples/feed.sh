#!/bin/sh
# Reads the feed of one account with the nats command, click by click.
#
#   ./feed.sh nats://127.0.0.1:4222 subscriber.nk billing 0190b3a4-…
#
# The arguments: the server, the file with the credentials (an nkey seed; - for none), the name of the durable
# consumer, and the id of the account.
set -eu
[ $# -eq 4 ] || { echo "usage: $0 SERVER CREDENTIALS CONSUMER ACCOUNT" >&2; exit 2; }
server=$1 credentials=$2 name=$3 account=$4

set -- --server "$server" --inbox-prefix "_INBOX_$name"
[ "$credentials" = - ] || set -- "$@" --nkey "$credentials"

# Made once; later runs find it where they left it: its place is kept by the server. A plain request, since
# `nats consumer add` asks for more about the stream than a subscriber may know.
answer=$(nats "$@" request --raw "\$JS.API.CONSUMER.CREATE.FEED.$name.feed.v1.$account.>" '{
    "stream_name": "FEED",
    "config": {
        "name": "'"$name"'", "durable_name": "'"$name"'", "filter_subject": "feed.v1.'"$account"'.>",
        "deliver_policy": "all", "ack_policy": "explicit", "ack_wait": 30000000000
    }
}')
case $answer in
*'"error"'*) echo "$answer" >&2; exit 1 ;;
esac

# Shows each click with its headers, and acknowledges it. After a minute without one it asks again.
while :; do
    nats "$@" --timeout 1m consumer next FEED "$name" --ack || sleep 1
done
