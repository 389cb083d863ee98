#!/usr/bin/env bash
# From bare Debian or Ubuntu hosts to a Kubernetes on which kurz can be applied. See docs/cluster.md.
# Every step looks first whether it is done, so the same command can be run again at any time:
# after a failure it goes on where it stopped, and on a finished host it changes nothing.
# shellcheck disable=SC2034 # what is set here is used in setup/*.sh
set -Eeuo pipefail

# --- what is installed ---------------------------------------------------------------------------
# Each of these can be set from outside, for a mirror or another patch version:
#   KUBERNETES=1.37.3 DOCKER_APT=https://mirror.example/docker setup.sh worker ...
: "${KUBERNETES:=1.37.2}"
: "${PAUSE:=3.10.2}"       # the sandbox image that kubeadm of this version uses
: "${CONTAINERD:=2.3.6}"   # Docker's package containerd.io: Debian 12 and 13 and Ubuntu 22.04 have 1.x, which the kubelet refuses
: "${HELM:=4.2.3}"
: "${CALICO:=v3.33.1}"
: "${LOCAL_PATH:=v0.0.36}"
: "${CSI_NFS:=4.13.6}"
: "${CERT_MANAGER:=v1.21.2}"
: "${NGINX_CHART:=2.7.3}"  # F5 NGINX Ingress Controller 5.6.3
# Traefik and metrics-server: manifests of our own in k8s/setup, with their versions

# Package sources: apt verifies them with a key, and the key has to have this fingerprint.
: "${KUBERNETES_APT:=https://pkgs.k8s.io/core:/stable:/v${KUBERNETES%.*}/deb}"
: "${KUBERNETES_KEY:=DE15B14486CD377B9E876E1A234654DA9A296436}"
: "${DOCKER_APT:=https://download.docker.com/linux}"
: "${DOCKER_KEY:=9DC858229FC7DD38854AE2D88D81803C0EBFCD88}"
# cert-manager's chart: signed; helm verifies it with a key that has to have this fingerprint.
: "${CERT_MANAGER_KEY_URL:=https://cert-manager.io/public-keys/cert-manager-keyring-2021-09-20-1020CF3C033D4F35BAE1C19E1226061C665DF13E.gpg}"
: "${CERT_MANAGER_KEY:=1020CF3C033D4F35BAE1C19E1226061C665DF13E}"

# Other downloads, by sha256. Helm's are those of its release page. Empty: nobody publishes a checksum or a
# signature that could be checked here; the sum of the first download is recorded on the host, shown, and
# compared from then on. Whoever has verified a file otherwise writes its sum here.
: "${HELM_SHA256_amd64:=e9b88b4ee95b18c706839c28d3a0220e5bc470e9cd9262410c90793c45ff8b7c}"
: "${HELM_SHA256_arm64:=21abd9354d39b2cd79a8d76be6912cd137a983cbf997193503fb8a6a6e2f2785}"
: "${CALICO_CRDS_SHA256:=}"
: "${CALICO_SHA256:=}"
: "${LOCAL_PATH_SHA256:=}"
: "${CSI_NFS_SHA256:=}"
: "${NGINX_SHA256:=}"

# --- settings, options ---------------------------------------------------------------------------
ROOT=${SETUP_ROOT:-}               # for the tests: a folder that stands for /
STATE=/var/lib/kurz-setup
SETTINGS=/etc/kubernetes/kurz
ADMIN=/etc/kubernetes/admin.conf
SOCKET=unix:///run/containerd/containerd.sock
KURZ_ID=10001                      # user and group of kurz's containers
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

dry_run='' endpoint='' pod_cidr=10.244.0.0/16 service_cidr=10.96.0.0/16 single_node=''
join='' clients='' export_path=/srv/kurz ingress=traefik

usage() {
    cat <<EOF
usage: setup.sh ROLE [OPTIONS]      on the host itself, as root; Debian 12, 13, Ubuntu 22.04, 24.04, 26.04

  control-plane                     the first host: containerd, kubeadm init
    --endpoint HOST[:PORT]          a name that will always lead to the control plane; needed to add more later
    --pod-cidr CIDR                 default $pod_cidr
    --service-cidr CIDR             default $service_cidr
    --single-node                   let ordinary pods run on this host too
  join-command                      on the control plane: prints what a worker needs (valid for an hour)
  worker --join FILE|-              containerd, kubeadm join; FILE or standard input: the output of join-command
  nfs-server --clients CIDR[,CIDR]  exports a folder to the nodes over NFS 4.1
    --path FOLDER                   default $export_path
  addons                            on the control plane, once a worker joined: Calico (enforces NetworkPolicy),
                                    local-path (default StorageClass), NFS CSI driver, metrics-server, cert-manager
    --ingress traefik|nginx         ingress controller: Traefik (default) or F5 NGINX Ingress Controller

  every role: --dry-run             print every command and file, in order; needs no root and changes nothing
  --help                            this

example:
  cp#     k8s/setup.sh control-plane --endpoint k8s.example.org
  laptop\$ ssh root@cp k8s/setup.sh join-command | ssh root@worker1 k8s/setup.sh worker --join -
  cp#     k8s/setup.sh addons

Kubernetes $KUBERNETES, containerd $CONTAINERD, Calico $CALICO, cert-manager $CERT_MANAGER; the pins are at the top of this file.
EOF
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}

for part in steps node control-plane worker nfs-server addons; do
    [ -r "$HERE/setup/$part.sh" ] || fail "$HERE/setup/$part.sh is missing: copy the whole folder k8s to the host, such as scp -r k8s root@HOST:"
    # shellcheck source=/dev/null
    . "$HERE/setup/$part.sh"
done

# --- the command line ----------------------------------------------------------------------------
value() { # OPTION VALUE...: the option's value
    [ $# -ge 2 ] && [ "$2" ] || fail "$1 needs a value; see setup.sh --help"
    printf '%s' "$2"
}
network() { # OPTION VALUE
    [[ $2 =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$ ]] || fail "$1 takes networks such as 10.0.0.0/16, not \"$2\""
}

role=''
case ${1:-} in
    control-plane | join-command | worker | nfs-server | addons) role=$1 ;;
    -h | --help | help)
        usage
        exit 0
        ;;
    '')
        usage >&2
        exit 64
        ;;
    *) fail "there is no role \"$1\"; see setup.sh --help" ;;
esac
shift

while [ $# -gt 0 ]; do
    case $role:$1 in
        *:--dry-run) dry_run=yes ;;
        *:--help | *:-h)
            usage
            exit 0
            ;;
        control-plane:--endpoint)
            endpoint=$(value "$@")
            [[ $endpoint =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$ ]] || fail "--endpoint takes HOST or HOST:PORT, not \"$endpoint\""
            [[ $endpoint == *:* ]] || endpoint+=:6443
            shift
            ;;
        control-plane:--pod-cidr)
            pod_cidr=$(value "$@")
            network "$1" "$pod_cidr"
            shift
            ;;
        control-plane:--service-cidr)
            service_cidr=$(value "$@")
            network "$1" "$service_cidr"
            shift
            ;;
        control-plane:--single-node) single_node=yes ;;
        worker:--join)
            join=$(value "$@")
            shift
            ;;
        nfs-server:--clients)
            clients=$(value "$@")
            for client in ${clients//,/ }; do network "$1" "$client"; done
            shift
            ;;
        nfs-server:--path)
            export_path=$(value "$@")
            [[ $export_path =~ ^(/[A-Za-z0-9._-]+)+$ ]] || fail "--path takes an absolute path of letters, digits, dots, dashes and underscores, not \"$export_path\""
            shift
            ;;
        addons:--ingress)
            ingress=$(value "$@")
            [ "$ingress" = traefik ] || [ "$ingress" = nginx ] || fail "--ingress is traefik or nginx, not \"$ingress\""
            shift
            ;;
        *) fail "$role has no option \"$1\"; see setup.sh --help" ;;
    esac
    shift
done

# --- this host -----------------------------------------------------------------------------------
os_release() { { sed -n "s/^$1=//p" "$ROOT/etc/os-release" 2>/dev/null || true; } | tr -d '"'; }
os=$(os_release ID) codename=$(os_release VERSION_CODENAME)
case $os:$(os_release VERSION_ID) in
    debian:12 | debian:13 | ubuntu:22.04 | ubuntu:24.04 | ubuntu:26.04) ;;
    *) fail "this is $(os_release PRETTY_NAME), which setup.sh does not know; it sets up Debian 12 and 13, Ubuntu 22.04, 24.04 and 26.04" ;;
esac
architecture=$(dpkg --print-architecture)
[ "$architecture" = amd64 ] || [ "$architecture" = arm64 ] || fail "the architecture $architecture is not supported: amd64 or arm64"

if [ "$dry_run" ]; then
    say "# dry run: $role on $os $codename ($architecture). Nothing is changed. A real run skips what is done."
else
    [ "$(id -u)" = 0 ] || fail "must run as root: sudo $0 $role ... (--dry-run needs no root)"
    has /run/systemd/system || fail "systemd does not run here; setup.sh needs a host or a virtual machine, not a container"
    has /sys/fs/cgroup/cgroup.controllers || fail "this host has cgroup v1, which the kubelet refuses; boot it with systemd.unified_cgroup_hierarchy=1"
    mkdir -p "$ROOT$STATE"
    exec 9>"$ROOT$STATE/lock"
    flock -n 9 || fail "setup.sh runs already on this host"
fi

trap stop ERR
case $role in
    control-plane) control_plane ;;
    join-command) join_command ;;
    worker) worker ;;
    nfs-server) nfs_server ;;
    addons) addons ;;
esac
