#!/usr/bin/env bash
# Stands for the programs of a host that setup.sh calls (systemctl, apt-get, kubeadm, kubectl, curl, ...), under their
# names, through PATH. What the host is like lies as files in $HOST; check.py reads and changes them.
#   $HOST/calls    every call that changes the host, one a line
#   $HOST/looks    every other call
#   $HOST/break    "N fail": the Nth change fails and has no effect; "N kill": it is made, and then setup.sh is killed
set -euo pipefail
self=${0##*/}
line="$self $*"

look() { printf '%s\n' "$line" >>"$HOST/looks"; }
change() {
    local n how
    printf '%s\n' "$line" >>"$HOST/calls"
    if [ -e "$HOST/break" ]; then
        read -r n how <"$HOST/break"
        mapfile -t made <"$HOST/calls"
        [ ${#made[@]} -eq "$n" ] || return 0
        if [ "$how" = fail ]; then
            echo "$self: broken by the test" >&2
            exit 1
        fi
        trap 'kill -KILL $PPID' EXIT
    fi
}
after() { # OPTION ARGUMENT...: what follows the option
    local option=$1
    shift
    while [ "$1" != "$option" ]; do shift; done
    printf '%s' "$2"
}
set_key() {
    [ -d "$HOST/$1" ] || mkdir -p "$HOST/$1"
    printf '%s' "$3" >"$HOST/$1/${2//\//_}"
}
key() {
    local file=$HOST/$1/${2//\//_}
    [ -e "$file" ] && printf '%s' "$(<"$file")"
}
sum() { sha256sum <"$1" | cut -c 1-16; }

case $self in
    id) echo "${FAKE_UID:-0}" ;;
    dpkg) echo amd64 ;;
    hostname) echo cp ;;
    dpkg-query)
        look
        version=$(key packages "$4") || exit 1
        if [ "$3" = "\${Version}" ]; then
            printf '%s' "$version"
        else
            printf '%s ok installed %s' "$(key held "$4" || echo install)" "$version"
        fi
        ;;
    apt-get)
        change
        if [ "$1" = install ]; then
            for word in "$@"; do
                case $word in
                    install | -* | Dpkg::*) ;;
                    *=*) version=${word#*=} && set_key packages "${word%%=*}" "${version/\*/1.1}" ;;
                    *) set_key packages "$word" 1.0-1 ;;
                esac
            done
        fi
        ;;
    apt-mark)
        change
        for word in "${@:2}"; do set_key held "$word" hold; done
        ;;
    systemctl)
        case $* in
            "mask "*) change && set_key enabled "$2" masked ;;
            "enable --now "*) change && set_key enabled "$3" enabled && set_key active "$3" active ;;
            "enable "*) change && set_key enabled "$2" enabled ;;
            "restart "*) change && set_key active "$2" active ;;
            "is-enabled "*) look && key enabled "$2" ;;
            "-q is-enabled "*) look && [ "$(key enabled "$3")" = enabled ] ;;
            "-q is-active "*) look && [ "$(key active "$3")" = active ] ;;
            *) echo "unknown: $line" >&2 && exit 2 ;;
        esac
        ;;
    swapoff) change && sed -i 1q "$SETUP_ROOT/proc/swaps" ;;
    modprobe)
        change
        for word in "${@:2}"; do mkdir -p "$SETUP_ROOT/sys/module/$word"; done
        ;;
    sysctl)
        if [ "$1" = -n ]; then
            look
            key sysctl "$2" || echo 0
        else
            change
            while IFS=' =' read -r name value; do
                case $name in '#'* | '') ;; *) set_key sysctl "$name" "$value" ;; esac
            done <"$3"
        fi
        ;;
    curl)
        change
        url=${*: -1}
        name=${url##*/}
        if [ -e "$HOST/web/$name" ]; then cp "$HOST/web/$name" "$(after -o "$@")"; else echo "from $url" >"$(after -o "$@")"; fi
        ;;
    gpg) look && cat "${*: -1}" ;; # the keys of the test are what gpg would print of them
    install)
        change
        for word in "$@"; do
            case $word in /*) mkdir -p "$word" && set_key owners "$word" "$(after -o "$@"):$(after -g "$@") $(after -m "$@" | sed 's/^0//')" ;; esac
        done
        ;;
    stat) look && key owners "$3" ;;
    exportfs)
        if [ "$1" = -s ]; then
            look
            key exports now || true
        else
            change
            set_key exports now "$(cat "$SETUP_ROOT"/etc/exports.d/*.exports)"
        fi
        ;;
    kubeadm)
        kubernetes=$SETUP_ROOT/etc/kubernetes
        case "$1 $2" in
            "config validate") look && [ -s "$4" ] ;;
            "init --config")
                if [ -e "$kubernetes/manifests/etcd.yaml" ] && [[ $* != *FileAvailable--etc-kubernetes-manifests-etcd.yaml* ]]; then
                    change
                    echo "[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]: etcd.yaml already exists" >&2
                    exit 1
                fi
                mkdir -p "$kubernetes/manifests" && touch "$kubernetes/manifests/etcd.yaml" # it fails half-way, when it fails
                change
                touch "$kubernetes/kubelet.conf" "$kubernetes/admin.conf"
                ;;
            "join --config")
                if [ -e "$kubernetes/pki/ca.crt" ] && [[ $* != *FileAvailable--etc-kubernetes-pki-ca.crt* ]]; then
                    change
                    echo "[ERROR FileAvailable--etc-kubernetes-pki-ca.crt]: ca.crt already exists" >&2
                    exit 1
                fi
                [ "$(/usr/bin/stat -c %a "$3")" = 600 ]
                cp "$3" "$HOST/joined-with"
                mkdir -p "$kubernetes/pki" && touch "$kubernetes/pki/ca.crt"
                change
                touch "$kubernetes/kubelet.conf"
                ;;
            "token create") change && key join command ;;
            *) echo "unknown: $line" >&2 && exit 2 ;;
        esac
        ;;
    kubectl)
        [ "$1" != --kubeconfig ] || set -- "${@:3}"
        case "$1 $2" in
            "get --raw") look && [ "$(key api down)" != yes ] ;;
            "get nodes")
                look
                if [[ $* == *metadata.name* ]]; then key nodes list; else key nodes taints || true; fi
                ;;
            "taint nodes") change && set_key nodes taints '' ;;
            "get storageclass") look && key class default || true ;;
            "annotate storageclass") change && set_key class default true ;;
            "-n kube-system") look && printf 'networking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/16\n' ;;
            "diff --server-side") look && [ -e "$HOST/applied/$(sum "$5")" ] ;;
            "apply --server-side") change && set_key applied "$(sum "$5")" "$5" ;;
            "get node") look && [ "$(key nodes known)" = "$3" ] ;;
            "wait node/"*) change && set_key nodes known "${2#node/}" ;;
            "wait --for=condition=Ready")
                if [[ $* == *--timeout=1s* ]]; then
                    look
                    [ "$(key nodes ready)" = yes ]
                else
                    change
                    set_key nodes ready yes
                fi
                ;;
            "rollout status")
                if [[ $* == *--timeout=1s* ]]; then
                    look
                    key rollouts "$5" >/dev/null
                else
                    change
                    set_key rollouts "$5" yes
                fi
                ;;
            *) echo "unknown: $line" >&2 && exit 2 ;;
        esac
        ;;
    helm-*)
        case $1 in
            pull) change && echo "chart $2" >"$(after --destination "$@")/$(basename "$2")-$(after --version "$@").tgz" ;;
            template) look && echo "definitions of $3" ;;
            list) look && [ -e "$HOST/releases/$(after --selector "$@")" ] && key releases "$(after --selector "$@")" ;;
            upgrade) change && set_key releases "$(after --labels "$@")" "$3" ;;
            *) echo "unknown: $line" >&2 && exit 2 ;;
        esac
        ;;
    *) echo "unknown: $line" >&2 && exit 2 ;;
esac
