#!/usr/bin/env bash
# Makes the secrets of kurz and keeps them in the cluster, and nowhere else. See --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: k8s/secrets.sh [--partitions <number>]               make what is missing; safe to run again, and needed after an upgrade
       k8s/secrets.sh rotate <service>                      a new key to the bus, without a stop
       k8s/secrets.sh subscriber <owner-id> [<name>]        let a program read the feed of one account
       k8s/secrets.sh subscriber <owner-id> [<name>] --remove

Works on the namespace "kurz" of the cluster that kubectl is set to. What it makes:
  auth, shortener, analytics, redirector, operator   nats.nk: each one's key to the bus; the redirector's visitor-salt
  nats-authorization                                 who may do what on the bus (public keys), the password between nats-servers
  subscribers                                        the keys of subscribers: <owner-id>.<name>
The keys that sign tokens are made by auth itself, in its database: `auth rotate-key` rotates them.

Needs the program kurz: $KURZ, or "kurz" on PATH, or the image $KURZ_IMAGE (kurz/kurz:0.1.0) by podman or docker.
TEXT
}

namespace=kurz
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=(auth shortener analytics redirector)
identities=("${services[@]}" operator)
forwarding=

say() { printf '%s\n' "$*" >&2; }
die() {
    say "secrets.sh: $*"
    exit 1
}

umask 077
folder=$(mktemp -d)
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$forwarding" ] || kill "$forwarding" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT

kurz() {
    local engine
    if [ -n "${KURZ:-}" ]; then
        "$KURZ" "$@"
    elif command -v kurz >/dev/null; then
        command kurz "$@"
    elif engine=$(command -v podman || command -v docker); then
        "$engine" run --rm --network host --user "$(id -u):$(id -g)" --volume "$folder:$folder" \
            --env KURZ_NATS_URL "${KURZ_IMAGE:-kurz/kurz:0.1.0}" "$@"
    else
        die "the program kurz is needed: set KURZ to its path, or install podman or docker"
    fi
}

# The files of a Secret into a folder; nothing if there is no such Secret.
fetch() { # SECRET FOLDER
    local name value
    mkdir -p "$2"
    # shellcheck disable=SC2016 # a template of kubectl's
    kubectl get secret -n "$namespace" "$1" --ignore-not-found \
        -o go-template='{{range $name, $value := .data}}{{$name}} {{$value}}{{"\n"}}{{end}}' >"$folder/fetched"
    while read -r name value; do
        printf '%s' "$value" | base64 -d >"$2/$name"
    done <"$folder/fetched"
    rm "$folder/fetched"
}

# The files of a folder into a Secret. Applied by the server, so that no annotation repeats them.
store() { # SECRET FOLDER
    kubectl create secret generic -n "$namespace" "$1" --from-file="$2" --dry-run=client -o yaml |
        kubectl label --local -f - app.kubernetes.io/part-of=kurz -o yaml |
        kubectl apply --server-side --force-conflicts --field-manager=kurz-secrets -f - >&2
}

fetch_all() {
    local key owner name
    for name in "${identities[@]}"; do
        fetch "$name" "$folder/made/$name"
    done
    fetch nats-authorization "$folder/made/nats"
    fetch subscribers "$folder/subscribers"
    for key in "$folder"/subscribers/*; do
        [ -e "$key" ] || continue
        owner=$(basename "$key")
        name=${owner#*.}
        owner=${owner%%.*}
        mkdir -p "$folder/made/subscribers/$owner/$name"
        cp "$key" "$folder/made/subscribers/$owner/$name/nats.nk"
    done
}

# Makes what is missing, and writes anew who may do what.
make() { # [--partitions NUMBER]
    kurz secrets "$folder/made" "$@"
    if [ ! -e "$folder/made/nats/route-password" ]; then
        # nats-server would take one that begins with a digit for a number.
        printf 'r%s' "$(head -c 32 /dev/urandom | base64 | tr -dc A-Za-z0-9)" >"$folder/made/nats/route-password"
    fi
}

store_authorization() {
    store nats-authorization "$folder/made/nats"
}

store_subscribers() {
    local seed owner name
    rm -rf "$folder/subscribers"
    mkdir "$folder/subscribers"
    for seed in "$folder"/made/subscribers/*/*/nats.nk; do
        [ -e "$seed" ] || continue
        name=$(basename "$(dirname "$seed")")
        owner=$(basename "$(dirname "$(dirname "$seed")")")
        cp "$seed" "$folder/subscribers/$owner.$name"
    done
    store subscribers "$folder/subscribers"
}

# Has every nats-server that runs read the rights anew. A Secret takes up to two minutes to reach a pod, unless the
# pod changes in some other way: then its kubelet looks at once.
reload() {
    local pod deadline
    for pod in $(kubectl get pod -n "$namespace" -l app.kubernetes.io/name=nats \
        --field-selector=status.phase=Running -o name); do
        say "$pod: waiting for the new rights"
        kubectl annotate -n "$namespace" --overwrite "$pod" "kurz/rights-read=$(date +%s)" >&2
        deadline=$((SECONDS + 180))
        until kubectl exec -n "$namespace" "$pod" -c nats -- cat /etc/nats/authorization/authorization.conf 2>/dev/null |
            cmp -s - "$folder/made/nats/authorization.conf"; do
            [ "$SECONDS" -lt "$deadline" ] || die "$pod still has the old rights after 180 s; run this again"
            sleep 2
        done
        kubectl exec -n "$namespace" "$pod" -c nats -- nats-server --signal reload=/run/nats/nats.pid
        say "$pod: read anew"
    done
}

all() { # [--partitions NUMBER]
    fetch_all
    make "$@"
    for name in "${identities[@]}"; do
        store "$name" "$folder/made/$name"
    done
    store_authorization
    reload
}

# Waits until no pod of a service is on its way out: a redirector then still publishes its last clicks, with the key
# that it has, and it may wait for NATS until its grace period ends.
gone() { # SERVICE
    local deadline=$((SECONDS + 900)) ending
    while :; do
        ending=$(kubectl get pod -n "$namespace" -l "app.kubernetes.io/name=$1" \
            -o jsonpath='{.items[*].metadata.deletionTimestamp}')
        [ -n "$ending" ] || return 0
        [ "$SECONDS" -lt "$deadline" ] || die "pods of $1 do not end; run this again when they have"
        sleep 1
    done
}

rotate() { # SERVICE
    local service=$1 own=$folder/made/$1 workload
    [[ " ${services[*]} " == *" $service "* ]] || die "rotate what? One of: ${services[*]}"
    workload=$(kubectl get deployment,statefulset -n "$namespace" -l "app.kubernetes.io/name=$service" -o name)
    fetch_all
    if [ ! -e "$own/old.nk" ]; then
        [ -e "$own/nats.nk" ] || die "$service has no key yet: run k8s/secrets.sh"
        mv "$own/nats.nk" "$own/old.nk"
    fi
    say "1 of 3: the old key and the new one are let in"
    make
    # Both at once: should this end here, the next run goes on with the same two keys.
    store_authorization
    store "$service" "$own"
    reload
    say "2 of 3: $service takes the new key"
    kubectl rollout restart -n "$namespace" "$workload" >&2
    kubectl rollout status -n "$namespace" "$workload" --timeout=15m >&2
    gone "$service"
    say "3 of 3: the old key is let in no more"
    rm "$own/old.nk"
    make
    store "$service" "$own"
    store_authorization
    reload
}

subscriber() { # OWNER [NAME] [--remove]
    local name=feed port
    [ $# -ge 1 ] || die "subscriber: whose? The id is in GET /auth/users/me"
    case ${2:-} in '' | --remove) ;; *) name=$2 ;; esac
    fetch_all
    kurz subscriber "$folder/made" "$@" >/dev/null
    store_subscribers
    store_authorization
    # nats-server lets an account that is new use what it imports only after the second time.
    reload
    reload
    if [ "${*: -1}" = --remove ]; then
        say "removed"
        return
    fi
    kubectl port-forward -n "$namespace" service/nats :4222 >"$folder/forwarding" 2>&1 &
    forwarding=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$folder/forwarding")
        [ -z "$port" ] || break
        sleep 0.1
    done
    [ -n "$port" ] || die "can't reach NATS: $(cat "$folder/forwarding")"
    KURZ_NATS_URL=nats://127.0.0.1:$port kurz subscriber "$folder/made" "$@" >/dev/null
    say "The consumer is $name-$1. The key:"
    say "  kubectl get secret -n $namespace subscribers -o jsonpath='{.data.$1\\.$name}' | base64 -d"
}

case ${1:-} in
'' | --partitions)
    [ $# -eq 0 ] || [ $# -eq 2 ] || die "--partitions: how many? As many as there are analytics"
    kubectl apply --server-side -f "$here/base/namespace.yaml" >&2
    all "$@"
    ;;
rotate)
    [ $# -eq 2 ] || die "rotate what? One of: ${services[*]}"
    rotate "$2"
    ;;
subscriber)
    shift
    subscriber "$@"
    ;;
-h | --help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
