#!/usr/bin/env python3
"""Both overlays on a real cluster, applied as they are in git with the patches of tests/cluster/<overlay> and no
other, and tried from outside over HTTPS. Ends with one table. The namespace "kurz" is deleted before and after: use
a cluster made for trying. Builds the images first and loads them. What the cluster must have:
Traefik (strictPrefixMatching) in the namespace "traefik", cert-manager, metrics-server, a default StorageClass, a
CNI that enforces NetworkPolicies, and, for the production overlay, a ClusterIssuer "pebble" whose ACME server
resolves the host names below to the ingress controller. docs/kubernetes.md says how to get one.

Variables:
  KUBECONFIG               the cluster
  KURZ_CLUSTER_LOAD        the command that loads an image file into it: it is called with the file's path
  KURZ_CLUSTER_KILL        the command that kills a container on its node: it is called with the node's name and the
                           container's id; without it that scene says that it was not tried
  KURZ_CLUSTER_INGRESS     where the ingress controller's HTTPS port is reached from here (host:port); else its NodePort
  KURZ_CLUSTER_ACME_ROOT   a file with the root certificate of that ACME server
  KURZ                     the program kurz, for k8s/secrets.sh"""

import argparse
import base64
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

import kube
from kube import Failed, kubectl, kurz
from scenes import ROOT, SCENES
from website import Site


class Stage:
    """One overlay on the cluster."""

    nats_image = "docker.io/library/nats:2.15.1-alpine"

    def __init__(self, overlay, host, address, authorities):
        self.overlay, self.host, self.address, self.authorities = overlay, host, address, authorities
        self.site = None

    def open(self):
        """Makes the site known, once its certificate is there."""
        self.site = Site(self.host, self.address, self.authorities())

    def put_up(self):
        self.begin()
        self.apply(self.overlay)

    def begin(self):
        """An empty namespace, with the secrets."""
        tear_down()
        kube.run(str(ROOT / "k8s/secrets.sh"))

    def apply(self, overlay, *options):
        kubectl("apply", "--server-side", *options, "-k", str(ROOT / "tests/cluster" / overlay))


def load_images(file):
    """Into the cluster: those of the file, or of this tree."""
    load = os.environ.get("KURZ_CLUSTER_LOAD") or sys.exit("run.py: KURZ_CLUSTER_LOAD is not set")
    with tempfile.TemporaryDirectory() as folder:
        if not file:
            subprocess.run([ROOT / "docker/build"], check=True)
            names = [f"kurz/{name}:0.1.0" for name in ("auth", "shortener", "redirector", "analytics")]
            file = f"{folder}/images.tar"
            subprocess.run(["docker", "save", "-o", file, *names], check=True)
        subprocess.run(["sh", "-c", f'{load} "$1"', "load", file], check=True)


def tear_down():
    # Pods first: a namespace that still has pods is looked at again only after half of their grace period.
    kurz("delete", "deployment,statefulset,hpa", "--all", "--cascade=foreground", "--timeout=300s")
    kubectl("delete", "namespace", kube.NAMESPACE, "--ignore-not-found", "--timeout=300s")


def private_authority():
    """The certificate of the CA that components/private-ca makes."""
    encoded = kubectl("get", "secret", "-n", "cert-manager", "kurz-ca", "-o", r"jsonpath={.data.tls\.crt}")
    return base64.b64decode(encoded).decode()


def acme_authority():
    path = os.environ.get("KURZ_CLUSTER_ACME_ROOT") or sys.exit("run.py: KURZ_CLUSTER_ACME_ROOT is not set")
    return pathlib.Path(path).read_text()


def ingress_address():
    if given := os.environ.get("KURZ_CLUSTER_INGRESS"):
        host, _, port = given.rpartition(":")
        return host, int(port)
    port = kubectl("get", "service", "-n", "traefik", "traefik",
                   "-o", "jsonpath={.spec.ports[?(@.port==443)].nodePort}")
    node = kubectl("get", "node", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
    return node, int(port)


def play(stage, only, keep):
    """All scenes, until one fails. Rows of the table."""
    rows, scenes = [], [scene for scene in SCENES if not only or scene.__name__ in only]
    began = time.monotonic()
    print(f"== {stage.overlay}: putting it up", flush=True)
    stage.put_up()
    if only:
        kube.rolled_out()
        stage.open()
        stage.site.log_in("grace")
    for scene in scenes:
        started = time.monotonic()
        try:
            outcome, note = "ok", scene(stage) or ""
        except (Failed, OSError, LookupError) as error:
            outcome, note = "FAILED", f"{type(error).__name__}: {error}"
            traceback.print_exc()
            print(kurz("get", "pod,certificate,event", "--sort-by=.metadata.creationTimestamp", check=False), flush=True)
        seconds = time.monotonic() - started
        print(f"{stage.overlay}: {scene.__name__}: {outcome} ({seconds:.0f} s) {note}", flush=True)
        rows.append((stage.overlay, scene.__doc__, outcome, seconds, note))
        if outcome != "ok":
            break
    else:
        if not keep:
            tear_down()
    print(f"== {stage.overlay}: {time.monotonic() - began:.0f} s", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overlay", choices=["local", "production"], action="append")
    parser.add_argument("--images", metavar="FILE", help="load this file of images, and build none")
    parser.add_argument("--no-images", action="store_true", help="the cluster has the images already")
    parser.add_argument("--scene", action="append", help="only this one (a function of scenes.py)")
    parser.add_argument("--keep", action="store_true", help="leave the last overlay in the cluster")
    options = parser.parse_args()
    if not options.no_images:
        load_images(options.images)
    address = ingress_address()
    stages = {
        "local": Stage("local", "kurz.test", address, private_authority),
        "production": Stage("production", "kurz-production.test", address, acme_authority),
    }
    rows = []
    for overlay in options.overlay or stages:
        rows += play(stages[overlay], options.scene, options.keep)
        if rows[-1][2] != "ok":
            break
    print("\n| overlay | what must be true | | seconds | seen |\n|---|---|---|---|---|")
    for overlay, what, outcome, seconds, note in rows:
        print(f"| {overlay} | {what} | {outcome} | {seconds:.0f} | {note} |")
    failed = sum(row[2] != "ok" for row in rows)
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
