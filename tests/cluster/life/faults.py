"""What else fails or is renewed in a cluster."""

import json
import threading
import time

import kube
from kube import Failed, get, in_pod, kubectl, kurz, pods, until
from life.scene import Skipped, scene, settle
from scenes import ROOT


@scene("no-dns")
def _(run):
    """no name resolves for half a minute, and a nats-server is deleted meanwhile"""
    found = get("deployment", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"] or get(
        "deployment", "-n", "kube-system", "--field-selector=metadata.name=coredns")["items"]
    if not found:
        raise Skipped("no deployment of CoreDNS in kube-system")
    dns, servers = f"deployment/{found[0]['metadata']['name']}", found[0]["spec"]["replicas"]
    lost = run.random.choice(pods("nats"))["metadata"]["name"]
    try:
        kubectl("-n", "kube-system", "scale", dns, "--replicas=0")
        until("no name server is there", lambda: not get(dns, "-n", "kube-system")["status"].get("replicas"))
        began = time.monotonic()
        kurz("delete", "pod", lost)
        until("half a minute is over", lambda: time.monotonic() - began > 30)
        run.more(500)
    finally:
        kubectl("-n", "kube-system", "scale", dns, f"--replicas={servers}")
    run.leave_alone()
    return f"{lost} deleted"


@scene("read-only-volumes")
def _(run):
    """the volumes of the databases can't be written, one after the other: redirects go on, and all is counted later"""
    for name in run.in_any_order(["auth", "shortener", "analytics"]):
        read_only(name, True)
        try:
            run.more(3000)
            if all(status["ready"] for pod in pods(name) for status in pod["status"].get("containerStatuses", [])):
                raise Failed(f"{name} is ready on a volume that can't be written")
        finally:
            read_only(name, False)
        run.leave_alone()
        settle()


def read_only(name, so):
    mounts = get("statefulset", name)["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    index = next(index for index, mount in enumerate(mounts) if mount["name"] == "data")
    patch = [{"op": "add", "path": f"/spec/template/spec/containers/0/volumeMounts/{index}/readOnly", "value": so}]
    kurz("patch", "statefulset", name, "--type=json", "-p", json.dumps(patch))
    # A StatefulSet waits for a pod that is not ready before it replaces it.
    kurz("delete", "pod", f"{name}-0")


@scene("certificate-renewed")
def _(run):
    """the certificate is renewed while visitors come"""
    site, refused = run.stage.site, []
    before = site.certificate()["serialNumber"]
    status = get("certificate", "kurz-tls")["status"]
    # As `cmctl renew` does.
    conditions = [one for one in status["conditions"] if one["type"] != "Issuing"]
    conditions.append({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewed by hand",
                       "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
    kurz("patch", "certificate", "kurz-tls", "--subresource=status", "--type=merge", "-p",
         json.dumps({"status": {"conditions": conditions}}))

    def is_new():
        try:
            return site.certificate()["serialNumber"] != before
        except OSError as error:
            refused.append(error)

    until("the new one is served", is_new, 180)
    if refused:
        raise Failed(f"{len(refused)} connections showed no good certificate: {refused[:3]}")
    return "a new connection every half second"


@scene("signing-key")
def _(run):
    """the key that signs tokens is rotated: tokens of before are good, and so are new ones"""
    site, ended, refused = run.stage.site, threading.Event(), []

    def go_on_asking():
        while not ended.wait(0.1):
            try:
                site.ask("GET", "/analytics/summary", expect=200)
            except (Failed, OSError) as error:
                refused.append(error)

    asking = threading.Thread(target=go_on_asking)
    asking.start()
    try:
        in_pod("auth-0", "auth", "rotate-key")
        run.leave_alone()
        run.more(500)
        site.log_in_again()
        run.more(1000)
    finally:
        ended.set()
        asking.join()
    if refused:
        raise Failed(f"{len(refused)} requests with a token were refused: {refused[:3]}")


def rotate(name):
    kube.run(str(ROOT / "k8s/secrets.sh"), "rotate", name)


@scene("bus-keys")
def _(run):
    """each service gets a new key to the bus, one after the other"""
    for name in run.in_any_order(["auth", "shortener", "analytics", "redirector"]):
        rotate(name)


@scene("store-full")
def _(run):
    """the streams may store no more: clicks wait in the spools until they may again"""
    # Not the disk itself, which pods of others may share; a stream can't tell one from the other.
    before = next(one["value"] for one in variables() if one["name"] == "MAX_FILE_STORE")
    used = max(stored(pod["metadata"]["name"]) for pod in pods("nats"))
    try:
        most_stored(f"{used // 1024 + 64}KiB")
        run.more(6000)
    finally:
        most_stored(before)
    run.leave_alone()
    return f"at most {used // 1024 + 64} KiB"


def variables():
    return get("statefulset", "nats")["spec"]["template"]["spec"]["containers"][0]["env"]


def stored(pod):
    return json.loads(in_pod(pod, "wget", "-qO-", "http://127.0.0.1:8222/jsz"))["storage"]


def most_stored(size):
    kurz("set", "env", "statefulset/nats", f"MAX_FILE_STORE={size}")
    kurz("rollout", "status", "statefulset/nats", "--timeout=600s")
