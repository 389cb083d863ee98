"""Pods, containers, nodes and the cluster die."""

import contextlib
import os
import time

import kube
from kube import get, kubectl, kurz, pods, until
from life.scene import IN_FLIGHT, TOLD, Skipped, is_ready, scene, settle
from scenes import kill_process


def each_pod(run, inflict):
    """To each pod in turn, in an order that the seed says, once the one before is as it was."""
    for name in run.in_any_order(pod["metadata"]["name"] for pod in pods()):
        # A pod of a Deployment may have got another name since.
        for pod in pods():
            if pod["metadata"]["name"] == name:
                run.at_some_moment()
                inflict(pod)
                run.leave_alone()
                settle()


def is_redirector(pod):
    return pod["metadata"]["labels"]["app.kubernetes.io/name"] == "redirector"


@scene("deleted")
def _(run):
    """each pod is deleted, one after the other"""
    each_pod(run, lambda pod: kurz("delete", "pod", pod["metadata"]["name"]))


@scene("deleted-by-force", failed=IN_FLIGHT, lost=TOLD)
def _(run):
    """each pod of ours is deleted without grace, one after the other; with a redirector goes its volume"""
    def inflict(pod):
        if pod["metadata"]["labels"]["app.kubernetes.io/name"] == "nats":
            # Its successor would start on a store that it still has open, and nats-server has no lock.
            return
        run.deaths += is_redirector(pod)
        kurz("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    each_pod(run, inflict)


@scene("killed", failed=IN_FLIGHT)
def _(run):
    """the container of each pod is killed, one after the other"""
    if "KURZ_CLUSTER_KILL" not in os.environ:
        raise Skipped("KURZ_CLUSTER_KILL is not set")

    def inflict(pod):
        run.deaths += is_redirector(pod)
        name, before = pod["metadata"]["name"], kube.restarts()
        kill_process(pod)
        until("it is started again", lambda: kube.restarts().get(name, 0) > before[name])
    each_pod(run, inflict)


@scene("killed-at-once", failed=TOLD)
def _(run):
    """all containers are killed at the same moment"""
    if "KURZ_CLUSTER_KILL" not in os.environ:
        raise Skipped("KURZ_CLUSTER_KILL is not set")
    before = kube.restarts()
    for pod in pods():
        kill_process(pod)
    run.leave_alone()
    until("all are started again", lambda: all(kube.restarts().get(name, 0) > times for name, times in before.items()))


@scene("drained")
def _(run):
    """a node is drained and let in again"""
    node = expendable(run)
    here = on(node)
    try:
        kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=600s")
        run.more(500)
    finally:
        kubectl("uncordon", node)
    run.leave_alone()
    return f"with {named(here)}"


@scene("node-dies", failed=IN_FLIGHT)
def _(run):
    """a node dies without a word, long enough to be missed, and comes back"""
    return without_node(run, "stop", "start")


@scene("node-cut-off", failed=IN_FLIGHT)
def _(run):
    """a node is cut off, long enough to be missed, and healed"""
    return without_node(run, "cut", "heal")


def without_node(run, take, give_back):
    node = expendable(run)
    here = on(node)
    run.at_some_moment()
    command_node(take, node)
    run.deaths += sum(is_redirector(pod) for pod in here)
    try:
        until("the node is missed", lambda: not is_ready(get("node", node)), 180)
        run.more(500)
    finally:
        command_node(give_back, node)
    run.leave_alone()
    until("the node is there", lambda: is_ready(get("node", node)), 180)
    return f"with {named(here)}"


@scene("cluster-stopped", failed=TOLD)
def _(run):
    """all nodes die at once, and start again"""
    nodes = run.in_any_order(node["metadata"]["name"] for node in get("node")["items"])
    for node in nodes:
        command_node("stop", node)
    began, failed = time.monotonic(), len(run.load.failures)
    until("visitors find nobody", lambda: len(run.load.failures) > failed)
    for node in nodes:
        command_node("start", node)
    run.leave_alone()
    # Pods that the kubelets have not looked at yet still pass for ready.
    run.more(500, 600)
    return f"away for {run.left_alone - began:.0f} s"


def command_node(action, node):
    command = os.environ.get("KURZ_CLUSTER_NODE")
    if not command:
        raise Skipped("KURZ_CLUSTER_NODE is not set")
    kube.run("sh", "-c", command + ' "$1" "$2"', "node", action, node)


def expendable(run):
    """Of the nodes without which visitors still come in the one that takes most with it; first of all analytics."""
    def worth(name):
        here = names_on(name)
        return "redirector" in here, "analytics" in here, len(here)
    return max(run.in_any_order(spare_nodes(run.stage)), key=worth)


def spare_nodes(stage):
    """Those without which visitors still come in: neither the address they come through is on it, nor the only
    ingress controller."""
    ingress = {pod["spec"]["nodeName"] for pod in
               get("pod", "-n", "traefik", "-l", "app.kubernetes.io/name=traefik")["items"]}

    def is_needed(node):
        addresses = {address["address"] for address in node["status"]["addresses"]}
        return stage.address[0] in addresses or ingress == {node["metadata"]["name"]}
    nodes = get("node")["items"]
    names = [node["metadata"]["name"] for node in nodes if not is_needed(node)]
    if len(nodes) < 3 or not names:
        raise Skipped("it takes three nodes, one of which visitors don't come through")
    return names


@contextlib.contextmanager
def new_pods_only_on(node):
    """Meanwhile Kubernetes puts pods there and nowhere else."""
    others = [one["metadata"]["name"] for one in get("node")["items"] if one["metadata"]["name"] != node]
    try:
        for name in others:
            kubectl("cordon", name)
        yield
    finally:
        for name in others:
            kubectl("uncordon", name)


def names_on(node):
    return [pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in on(node)]


def on(node):
    return [pod for pod in pods() if pod["spec"].get("nodeName") == node]


def named(some):
    return ", ".join(sorted(pod["metadata"]["name"] for pod in some)) or "none of our pods"
