#!/usr/bin/env bash
# Restores the database of one service from a backup: stops the service, runs `restore` in a pod that has its
# volumes, and starts it again. The broken database is set aside on its volume, never deleted.
# usage: k8s/restore.sh auth|shortener|analytics [--list | <backup>]
#   the newest good backup unless one is named; --list shows them and changes nothing but for the stop
#   with partitions: analytics-0, analytics-1, … ; all of them stop meanwhile
set -euo pipefail

namespace=kurz
service=${1:-}
if [[ ! $service =~ ^(auth|shortener|analytics|analytics-[0-9]+)$ ]]; then
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
fi
ordinal=0
case $service in *-*)
    ordinal=${service#*-}
    service=${service%-*}
    ;;
esac
arguments='["restore"'
for argument in "${@:2}"; do
    [[ $argument =~ ^[A-Za-z0-9._/-]+$ ]] || { echo "restore.sh: what is $argument?" >&2; exit 2; }
    arguments+=", \"$argument\""
done
arguments+=']'

kube() { kubectl -n "$namespace" "$@"; }
of_template() { kube get statefulset "$service" -o jsonpath="{.spec.template.spec$1}"; }

volumes=$(of_template .volumes)
claims=$(kube get statefulset "$service" -o jsonpath='{.spec.volumeClaimTemplates[*].metadata.name}')
for name in $claims; do
    volumes="${volumes%]}, {\"name\": \"$name\", \"persistentVolumeClaim\": {\"claimName\": \"$name-$service-$ordinal\"}}]"
done
pod=$(
    cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: restore-$service, namespace: $namespace, labels: {app.kubernetes.io/part-of: kurz}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: $(of_template .securityContext)
  containers:
  - name: restore
    image: $(of_template '.containers[0].image')
    args: $arguments
    envFrom: $(of_template '.containers[0].envFrom')
    resources: $(of_template '.containers[0].resources')
    securityContext: $(of_template '.containers[0].securityContext')
    volumeMounts: $(of_template '.containers[0].volumeMounts')
  volumes: $volumes
YAML
)

replicas=$(kube get statefulset "$service" -o jsonpath='{.spec.replicas}')
# It is none if an earlier run was cut off.
[ "$replicas" -gt 0 ] || replicas=1
[ "$ordinal" -lt "$replicas" ] || { echo "restore.sh: there are $replicas of $service, from 0 on" >&2; exit 2; }

# However this ends, the service is started again: a database that is not whole is refused by it.
trap 'kube delete pod "restore-$service" --ignore-not-found --wait=true >&2; kube scale statefulset "$service" --replicas="$replicas" >&2' EXIT
echo "stopping $service" >&2
kube scale statefulset "$service" --replicas=0 >&2
for ((each = 0; each < replicas; each++)); do
    kube wait pod "$service-$each" --for=delete --timeout=120s >&2
done
kube delete pod "restore-$service" --ignore-not-found >&2
kube apply -f - <<<"$pod" >&2
for _ in $(seq 300); do
    phase=$(kube get pod "restore-$service" -o jsonpath='{.status.phase}')
    [ "$phase" = Pending ] || break
    sleep 1
done
kube logs -f "restore-$service"
kube wait pod "restore-$service" --for=jsonpath='{.status.phase}'=Succeeded --timeout=10s >&2 || {
    echo "restore.sh: not restored; $service is started as it was" >&2
    exit 1
}
