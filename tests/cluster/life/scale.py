"""More and fewer redirectors, and those that go while NATS is away."""

import json
import re
import subprocess
import tempfile
import time

import kube
from kube import Failed, get, kurz, until
from life.scene import SAID, redirectors, scene, settle, workload


@scene("scaled")
def _(run):
    """the autoscaler takes the redirectors from two to four and back"""
    spec = get("hpa", "redirector")["spec"]
    fewest = len(redirectors())
    try:
        # The least load is too much, and later the most too little; it needs no patience for that.
        autoscale({"maxReplicas": 4, "metrics": [utilization(1)]})
        until("there are four", lambda: all_ready(4), 300)
        run.more(1000)
        began = time.monotonic()
        autoscale({"metrics": [utilization(10_000)], "behavior": {"scaleDown": {
            "stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}})
        until("there are as few as before", lambda: all_ready(fewest), 300)
        until("the others are gone", lambda: len(all_pods()) == fewest)
        down = time.monotonic() - began
    finally:
        autoscale({name: spec[name] for name in ("maxReplicas", "metrics", "behavior")})
    run.leave_alone()
    return f"from 4 to {fewest} in {down:.0f} s"


def autoscale(spec):
    kurz("patch", "hpa", "redirector", "--type=merge", "-p", json.dumps({"spec": spec}))


def utilization(percent):
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def all_ready(number):
    status = get(workload("redirector"))["status"]
    return status.get("readyReplicas") == status.get("replicas") == number


@scene("nats-away")
def _(run):
    """NATS goes while a redirector is deleted, and is back within its grace: it waits, and takes nothing with it"""
    with NatsAway(run) as away:
        run.more(1000)
        going = run.random.choice(redirectors())["metadata"]["name"]
        with Log(going) as log:
            kurz("delete", "pod", going, "--wait=false")
            until("it waits", lambda: log.has("clicks wait for NATS"), 60)
            run.more(500)
            away.end()
            until("it is gone", lambda: not is_there(going), 120)
    if not log.has("every click is in the stream"):
        raise Failed(f"{going} did not say that all is in the stream: {log.text()[-500:]}")
    return f"{going} waited for it"


@scene("nats-away-too-long", lost=SAID)
def _(run):
    """NATS is away for longer than a deleted redirector's grace: it says how many clicks go with it"""
    grace = 20
    kurz("set", "env", workload("redirector"), f"KURZ_STOP_TIMEOUT={grace}")
    kurz("rollout", "status", workload("redirector"), "--timeout=300s")
    try:
        with NatsAway(run):
            run.more(1000)
            going = run.random.choice(redirectors())["metadata"]["name"]
            with Log(going) as log:
                began = time.monotonic()
                kurz("delete", "pod", going, "--wait=false")
                until("it is gone", lambda: not is_there(going), 120)
                took = time.monotonic() - began
            run.said += log.clicks_taken()
    finally:
        kurz("set", "env", workload("redirector"), "KURZ_STOP_TIMEOUT-")
        kurz("rollout", "status", workload("redirector"), "--timeout=300s")
    if took < grace:
        raise Failed(f"{going} waited only {took:.0f} s")
    return f"{going} waited {took:.0f} s and said that {run.said} clicks go with it"


@scene("durable-spool")
def _(run):
    """the same with the component durable-spool: its successor publishes them; the change to it and back"""
    run.stage.apply("durable")
    until("two of the new kind are ready", lambda: kind_is_ready("statefulset", 2), 300)
    kurz("delete", "deployment", "redirector", "--cascade=foreground", "--timeout=300s")
    try:
        with NatsAway(run):
            run.more(1000)
            going = run.random.choice(redirectors())["metadata"]["name"]
            with Log(going) as log:
                kurz("delete", "pod", going)
            waiting = log.clicks_taken()
        settle()
    finally:
        run.stage.apply(run.stage.overlay)
        until("two of the old kind are ready", lambda: kind_is_ready("deployment", 2), 300)
        kurz("delete", "statefulset", "redirector", "--cascade=foreground", "--timeout=300s")
        kurz("delete", "pvc", "-l", "app.kubernetes.io/name=redirector")
    run.leave_alone()
    if not waiting:
        raise Failed(f"{going} said nothing of clicks on its volume")
    return f"{going} left {waiting} clicks on its volume"


def kind_is_ready(kind, number):
    return get(f"{kind}/redirector")["status"].get("readyReplicas", 0) >= number


def all_pods():
    """The redirectors, also those on their way out."""
    return get("pod", "-l", "app.kubernetes.io/name=redirector")["items"]


def is_there(name):
    return any(pod["metadata"]["name"] == name for pod in all_pods())


class NatsAway:
    """No nats-server runs, from when it is entered until its end."""

    def __init__(self, run):
        self.run, self.servers = run, get("statefulset", "nats")["spec"]["replicas"]

    def __enter__(self):
        kurz("scale", "statefulset/nats", "--replicas=0")
        until("NATS is gone", lambda: not get("pod", "-l", "app.kubernetes.io/name=nats")["items"], 180)
        return self

    def end(self):
        kurz("scale", "statefulset/nats", f"--replicas={self.servers}")
        self.run.leave_alone()

    def __exit__(self, *_):
        if get("statefulset", "nats")["spec"]["replicas"] != self.servers:
            self.end()


class Log:
    """What a pod says until it is gone."""

    def __init__(self, pod):
        self.file = tempfile.TemporaryFile(mode="w+")
        words = ("kubectl", "-n", kube.NAMESPACE, "logs", "--follow", "--tail=1", pod)
        self.follower = subprocess.Popen(words, stdout=self.file, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.follower.wait(30)
        except subprocess.TimeoutExpired:
            self.follower.kill()
            self.follower.wait()

    def text(self):
        self.file.seek(0)
        return self.file.read()

    def has(self, words):
        return words in self.text()

    def clicks_taken(self):
        """How many clicks it said that it had to leave unpublished; none if all are in the stream."""
        last = [line for line in self.text().splitlines() if "NATS took not all clicks" in line]
        return sum(int(re.search(r'"clicks":\s*"?(\d+)', line)[1]) for line in last)
