"""New versions, good and bad."""

import re

from kube import Failed, kurz, pods, until
from life.scene import is_ready, scene, workload


def roll(*names):
    """Restarts workloads as an update does, all at once, and waits until they are done."""
    for name in names:
        kurz("rollout", "restart", workload(name))
    for name in names:
        kurz("rollout", "status", workload(name), "--timeout=900s")


@scene("update-redirector")
def _(run):
    """the redirectors are rolled over"""
    roll("redirector")


@scene("update-auth")
def _(run):
    """auth is rolled over"""
    roll("auth")


@scene("update-shortener")
def _(run):
    """the shortener is rolled over"""
    roll("shortener")


@scene("update-analytics")
def _(run):
    """analytics is rolled over"""
    roll("analytics")


@scene("update-nats")
def _(run):
    """the nats-servers are rolled over, one by one"""
    roll("nats")


@scene("update-all")
def _(run):
    """everything is rolled over at once"""
    roll(*run.in_any_order(["auth", "shortener", "analytics", "redirector", "nats"]))


@scene("bad-redirector")
def _(run):
    """a version of the redirector that never becomes ready, and back: the old ones stay"""
    old = {pod["metadata"]["name"] for pod in pods("redirector")}
    kurz("set", "env", "deployment/redirector", "KURZ_NATS_URL=nats://nobody.invalid:4222")
    new = until("a pod of the bad version runs", lambda: [
        pod for pod in pods("redirector")
        if pod["metadata"]["name"] not in old and pod["status"].get("phase") == "Running"])
    # It is asked every second.
    run.more(3000)
    here = {pod["metadata"]["name"]: is_ready(pod) for pod in pods("redirector")}
    kurz("rollout", "undo", "deployment/redirector")
    run.leave_alone()
    if here.get(new[0]["metadata"]["name"]) is not False or not all(here.get(name) for name in old):
        raise Failed(f"ready with a bad version: {here}")
    return f"{len(old)} old pods stayed ready"


@scene("bad-analytics")
def _(run):
    """an image of analytics that can't be had, and back: clicks wait for it"""
    undone("analytics", run)


@scene("bad-nats")
def _(run):
    """an image of nats-server that can't be had, and back: two of three go on"""
    undone("nats", run)


def undone(name, run):
    kurz("set", "image", f"statefulset/{name}", f"{name}=kurz/{name}:no-such-version")
    bad = until("its pod does not start", lambda: [
        pod["metadata"]["name"] for pod in pods(name) if re.search("ErrImage|ImagePull", waits_for(pod))], 180)
    run.more(1000)
    kurz("rollout", "undo", f"statefulset/{name}")
    run.leave_alone()
    try:
        kurz("rollout", "status", f"statefulset/{name}", "--timeout=120s")
    except Failed as error:
        # Some are waited for by their StatefulSet, which would then replace them.
        kurz("delete", "pod", *bad)
        raise Failed(f"the way back took a hand: {error}") from error


def waits_for(pod):
    states = [status["state"].get("waiting", {}) for status in pod["status"].get("containerStatuses", [])]
    return " ".join(state.get("reason", "") for state in states)
