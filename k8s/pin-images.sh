#!/usr/bin/env bash
# Writes the digests of kurz's images into an overlay's site, so that what runs is what was looked at.
# usage: k8s/pin-images.sh <registry/prefix> <version> [<site>]
#   k8s/pin-images.sh registry.example.com/kurz 0.1.0     site: k8s/overlays/production/site
# Asks the registry by crane, skopeo, or docker with buildx, whichever is there.
set -euo pipefail

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${1%/} version=$2 file=${3:-$here/overlays/production/site}/kustomization.yaml
nats=docker.io/library/nats:$(sed -n '/^- name: nats$/{n;s/.*newTag: //p}' "$here/base/kustomization.yaml")
grep -q '^images:$' "$file" || { echo "pin-images.sh: $file has no line 'images:'" >&2; exit 1; }

digest() { # IMAGE
    local found
    if command -v crane >/dev/null; then
        found=$(crane digest "$1")
    elif command -v skopeo >/dev/null; then
        found=$(skopeo inspect --format '{{.Digest}}' "docker://$1")
    else
        found=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1")
    fi
    [[ $found =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "pin-images.sh: no digest of $1: $found" >&2; return 1; }
    echo "$found"
}

new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
# All of it before the list of images, which ends the file.
sed '/^images:$/q' "$file" >"$new"
for name in analytics auth redirector shortener; do
    found=$(digest "$prefix/$name:$version")
    printf -- '- name: kurz/%s\n  newName: %s\n  digest: %s\n' "$name" "$prefix/$name" "$found" >>"$new"
done
found=$(digest "$nats")
printf -- '- name: nats\n  newName: %s\n  digest: %s\n' "${nats%:*}" "$found" >>"$new"
chmod --reference="$file" "$new"
mv "$new" "$file"
echo "$file has the digests of version $version"
