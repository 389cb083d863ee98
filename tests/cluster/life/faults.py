"""What else fails or is renewed in a cluster."""

import contextlib
import datetime
import glob
import json
import threading
import time

import kube
from kube import Failed, Forward, get, in_pod, kubectl, kurz, pods, until
from life.scale import NatsAway
from life.scene import LATE, Skipped, is_ready, scene, settle, workload
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
    run.leave_alone()


@scene("store-full")
def _(run):
    """the streams reach the limit of what they may store: clicks wait in the spools until they may store more"""
    before = next(one["value"] for one in variables() if one["name"] == "MAX_FILE_STORE")
    # What waits while NATS has no server still finds room.
    most = max(stored(pod["metadata"]["name"]) for pod in pods("nats")) // 1024 + 512
    try:
        most_stored(run, f"{most}KiB")
        waited = until("what is answered waits", lambda: none_leave(run))
    finally:
        most_stored(run, before)
    return f"at most {most} KiB; {waited} clicks waited"


def none_leave(run):
    """How many clicks wait, if they get more by (almost) as many as are answered."""
    before = waiting()
    run.more(1000)
    after = waiting()
    return after if after - before > 900 else 0


def waiting():
    count = 0
    for pod in pods("redirector"):
        with Forward(pod["metadata"]["name"], 9090) as admin:
            count += int(admin.metric("kurz_clicks_pending"))
    return count


@scene("disk-full")
def _(run):
    """the disks of all nats-servers are filled to the last byte, and emptied: clicks wait in the spools"""
    servers = [pod["metadata"]["name"] for pod in pods("nats")]
    if shared := [server for server in servers if not has_disk(server)]:
        raise Skipped(f"the volume of {shared[0]} is not a disk of its own, or one that takes long to fill")
    try:
        for server in run.in_any_order(servers):
            in_pod(server, "sh", "-c", "cat /dev/zero > /data/ballast", check=False)
        run.more(6000)
        full = {server: free(server) for server in servers}
    finally:
        for server in servers:
            until(f"the ballast of {server} is gone", lambda server=server: in_pod(server, "rm", "-fv", "/data/ballast")
                  is not None)
    run.leave_alone()
    return f"free: {', '.join(f'{kib} KiB' for kib in full.values())}"


def has_disk(server):
    """Whether its volume is a file system of its own, and not too large."""
    root, data = disk(server, "/"), disk(server, "/data")
    return data[0] != root[0] and data[1] != root[1] and data[1] <= 4 << 20


def disk(server, path):
    """Name of the device, and KiB in all and free."""
    words = in_pod(server, "df", "-kP", path).splitlines()[1].split()
    return words[0], int(words[1]), int(words[3])


def free(server):
    return disk(server, "/data")[2]


def variables():
    return get("statefulset", "nats")["spec"]["template"]["spec"]["containers"][0]["env"]


def stored(pod):
    return json.loads(in_pod(pod, "wget", "-qO-", "http://127.0.0.1:8222/jsz"))["storage"]


def most_stored(run, size):
    """All at once, as when a limit is reached: one server with less room than the others would only fall behind."""
    with NatsAway(run):
        kurz("set", "env", "statefulset/nats", f"MAX_FILE_STORE={size}")
    until("NATS is there again", lambda: sum(is_ready(pod) for pod in pods("nats")) == len(pods("nats")) > 0, 180)
    run.leave_alone()


# Less than half of it is how long the scene takes, so that no click is in the hour of another clock.
WRONG = datetime.timedelta(hours=2)


@scene("clocks")
def _(run):
    """one more redirector is two hours ahead, another one as far behind: each click is counted in the hour of its clock"""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        raise Skipped("needs libfaketime (Debian: libfaketime)")
    began = datetime.datetime.now(datetime.UTC)
    kurz("create", "configmap", "faketime", f"--from-file=libfaketime.so={libraries[0]}")
    wrong = {"redirector-ahead": WRONG, "redirector-behind": -WRONG}
    try:
        for name, offset in wrong.items():
            kurz("apply", "-f", "-", stdin=json.dumps(redirector_with_clock(name, offset)))
        for name in wrong:
            kurz("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s")
        run.more(3000)
        recorded = {name: recorded_until_gone(name) for name in wrong}
        run.more(1000)
    finally:
        kurz("delete", "pod", *wrong, "--ignore-not-found")
        kurz("delete", "configmap", "faketime")
    run.leave_alone()
    if datetime.datetime.now(datetime.UTC) - began > WRONG / 2:
        raise Failed("it took too long to tell whose clock a click is from")
    if not all(recorded.values()):
        raise Failed(f"nobody came to one of them: {recorded}")
    expected = [recorded["redirector-behind"], recorded["redirector-ahead"]]
    found = until("their clicks are counted", lambda: sum(in_hours(run, began)) >= sum(expected) and in_hours(run, began),
                  LATE)
    if found != expected:
        raise Failed(f"behind and ahead: {expected} clicks were recorded, {found} are counted in those hours")
    return f"{expected[1]} clicks two hours ahead, {expected[0]} two hours behind"


def redirector_with_clock(name, offset):
    """A pod as the others are, but for its clock. It belongs to no workload."""
    template = get(workload("redirector"))["spec"]["template"]
    spec, labels = template["spec"], {"app.kubernetes.io/name": "redirector"}
    spec["volumes"].append({"name": "faketime", "configMap": {"name": "faketime"}})
    container = spec["containers"][0]
    container["volumeMounts"].append({"name": "faketime", "mountPath": "/faketime", "readOnly": True})
    container["env"] = container.get("env", []) + [
        {"name": "LD_PRELOAD", "value": "/faketime/libfaketime.so"},
        {"name": "FAKETIME", "value": f"{offset.total_seconds():+.0f}"},
        # What it waits by is right.
        {"name": "FAKETIME_DONT_FAKE_MONOTONIC", "value": "1"},
    ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def recorded_until_gone(name):
    """Deletes a redirector, and says how many clicks it kept in all: for some seconds before it stops nobody comes."""
    last = 0
    with Forward(name, 9090) as admin:
        kurz("delete", "pod", name, "--wait=false")
        with contextlib.suppress(Failed, OSError):
            while True:
                last = int(admin.metric("kurz_clicks_recorded_total"))
    kurz("wait", f"pod/{name}", "--for=delete", "--timeout=120s")
    return last


def in_hours(run, began):
    """How many clicks of the load are counted in the hours of the clock that is behind, and of the one that is ahead."""
    counts = []
    for offset in (-WRONG, WRONG):
        since = (began + offset).replace(minute=0, second=0, microsecond=0)
        period = f"from={stamp(since)}&to={stamp(since + WRONG)}"
        series = (run.stage.site.ask("GET", f"/analytics/links/{code}/series?interval=hour&{period}", expect=200).json()
                  for code in run.load.codes)
        counts.append(sum(bucket["clicks"] for one in series for bucket in one["items"]))
    return counts


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
