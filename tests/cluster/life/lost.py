"""A node is lost for good."""

from kube import Forward, get, in_pod, kubectl, kurz, pods, until
from life.deaths import command_node, is_redirector, named, names_on, new_pods_only_on, on, spare_nodes
from life.scene import IN_FLIGHT, UNPUBLISHED, Skipped, is_ready, scene, workload

DATABASES = {"auth", "shortener", "analytics"}


@scene("node-lost", failed=IN_FLIGHT, lost=UNPUBLISHED)
def _(run):
    """a node dies for good, with its redirectors, their spools and the store of a nats-server; later there is a new one"""
    # What was answered within one second; what was published before is not lost.
    return lose_a_node(run, lambda going: run.rate)


@scene("node-lost-ack", failed=IN_FLIGHT, lost=UNPUBLISHED)
def _(run):
    """the same at the level `ack`: nothing may be lost but what was answered without the stream, which is counted"""
    at_level("ack")
    try:
        return lose_a_node(run, lambda going: sum(counted(pod, "kurz_click_ack_fallbacks_total") for pod in going))
    finally:
        at_level(None)


def at_level(level):
    kurz("set", "env", workload("redirector"), f"KURZ_CLICK_DURABILITY={level}" if level else "KURZ_CLICK_DURABILITY-")
    kurz("rollout", "status", workload("redirector"), "--timeout=300s")


def lose_a_node(run, may_lose):
    nodes = [name for name in spare_nodes(run.stage) if not DATABASES.intersection(names_on(name))]
    if not nodes:
        raise Skipped("every node that visitors don't need has a database")
    node = max(run.in_any_order(nodes), key=lambda name: "redirector" in names_on(name))
    if "redirector" not in names_on(node):
        bring_a_redirector(node)
    here = on(node)
    going = [pod for pod in here if is_redirector(pod)]
    run.at_some_moment()
    run.unpublished = int(may_lose([pod["metadata"]["name"] for pod in going]))
    run.deaths += len(going)
    command_node("stop", node)
    try:
        kubectl("delete", "node", node)
        gone = {pod["metadata"]["uid"] for pod in going}
        until("its redirectors are replaced", lambda: not gone.intersection(
            pod["metadata"]["uid"] for pod in pods("redirector")) and is_rolled_out("redirector"), 300)
        run.more(500)
    finally:
        # Nobody there knows it any more: what is on its volumes is nobody's.
        command_node("start", node)
    run.leave_alone()
    until("a new node is there", lambda: is_ready(get("node", node)), 180)
    for pod in here:
        if pod["metadata"]["labels"]["app.kubernetes.io/name"] == "nats":
            with_a_new_volume(pod["metadata"]["name"])
    return f"with {named(here)}; at most {run.unpublished} clicks may be lost"


def bring_a_redirector(node):
    """Replaces one that is elsewhere."""
    with new_pods_only_on(node):
        kurz("delete", "pod", pods("redirector")[0]["metadata"]["name"])
        until(f"{node} has a redirector", lambda: "redirector" in names_on(node) and is_rolled_out("redirector"), 180)


def counted(pod, metric):
    with Forward(pod, 9090) as admin:
        return admin.metric(metric)


def is_rolled_out(name):
    status = get(workload(name))["status"]
    return status.get("readyReplicas", 0) == status.get("replicas")


def with_a_new_volume(server):
    """A nats-server whose volume is lost gets an empty one, which the others fill: docs/kubernetes.md."""
    kurz("delete", "pvc", f"data-{server}", "--wait=false")
    kurz("delete", "pod", server)
    until("it is ready", lambda: any(
        pod["metadata"]["name"] == server and is_ready(pod) for pod in pods("nats")), 180)
    until("it has every stream", lambda: '"ok"' in in_pod(server, "wget", "-qO-", "http://127.0.0.1:8222/healthz"), 180)
