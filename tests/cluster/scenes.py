"""What is tried on the cluster, in this order. Each scene is a function with one line that says what must be true."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import threading
import time

import kube
from kube import Failed, get, in_pod, kubectl, kurz, pods, rolled_out, until
from load import Load

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = "https://example.com/a-page"
# bytes that `kubectl exec` is given at once
PIECE = 4 << 20


def pods_are_ready_under_restricted(stage):
    """every pod is ready, in a namespace that lets in nothing but `restricted`"""
    rolled_out()
    labels = get("namespace", kube.NAMESPACE)["metadata"]["labels"]
    if labels["pod-security.kubernetes.io/enforce"] != "restricted":
        raise Failed(f"the namespace enforces {labels}")
    careless = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless"}, "spec": {"containers": [
        {"name": "careless", "image": stage.nats_image}]}}
    try:
        kurz("create", "-f", "-", stdin=json.dumps(careless))
    except Failed as error:
        if "violates PodSecurity" not in str(error):
            raise
    else:
        raise Failed("a pod that may be root was let in")
    return f"{len(pods())} pods"


def a_certificate_is_issued_and_served(stage):
    """cert-manager got a certificate, and the ingress controller shows it"""
    kurz("wait", "certificate/kurz-tls", "--for=condition=Ready", "--timeout=180s")
    stage.open()
    shown = until("the certificate is served", stage.site.certificate, 60)
    # The controller learns of each service's pods for itself, a moment after they are ready.
    for path in ("/auth/openapi.json", "/shortener/openapi.json", "/analytics/openapi.json", "/"):
        until(f"{path} is served", lambda path=path: stage.site.ask("GET", path, token=False).status == 200, 30)
    issuer = dict(pair for name in shown["issuer"] for pair in name)["commonName"]
    return f"by {issuer}, until {shown['notAfter']}"


def the_story_over_https(stage):
    """register, log in, shorten, follow, count, and read the documentation"""
    site = stage.site
    site.log_in("ada")
    link = site.shorten(TARGET)
    code = link["code"]
    if link["short_url"] != f"https://{site.host}/{code}":
        raise Failed(f"the short URL is {link['short_url']}")
    answer = site.follow(code)
    if (answer.status, answer.headers["location"]) != (302, TARGET):
        raise Failed(f"GET /{code}: {answer.status} {answer.headers['location']}")
    site.wait_for_clicks(code, 1)
    site.ask("GET", "/docs/", expect=200, token=False)
    if site.follow("no-such-link").status != 404:
        raise Failed("a code that nobody made leads somewhere")
    return f"{link['short_url']} counted"


def a_live_stream_through_the_ingress(stage):
    """a click is an event on the stream within two seconds, so nothing on the way keeps it back"""
    site = stage.site
    code = site.shorten(TARGET)["code"]
    # It hears of links as the redirectors do: a moment after they were made.
    until("analytics knows the link", lambda: site.ask("GET", f"/analytics/links/{code}").status == 200, 10)
    lines = site.events(f"/analytics/links/{code}/stream")
    took = []

    def wait_for_event():
        for line in lines:
            if line.startswith("data:") and code in line:
                took.append(time.monotonic())
                return

    reader = threading.Thread(target=wait_for_event, daemon=True)
    reader.start()
    # The stream begins where the connection began: go on clicking until it has.
    began = time.monotonic()
    while reader.is_alive() and time.monotonic() - began < 20:
        clicked = time.monotonic()
        site.follow(code)
        reader.join(2)
    if not took or took[0] - clicked > 2:
        raise Failed("no event for a click")
    return f"{(took[0] - clicked) * 1000:.0f} ms from click to event"


def a_code_that_begins_like_a_service(stage):
    """/authx is a code and not a part of auth; /auth/nothing is auth's"""
    site = stage.site
    site.shorten(TARGET, code="authx")
    if site.follow("authx").status != 302:
        raise Failed("/authx does not reach the redirector")
    if site.follow("auth/nothing").status != 404:
        raise Failed("/auth/nothing is not a problem of auth")
    return ""


def pods_hold_nothing_of_the_cluster(stage):
    """no pod has a token of the API server or a root file system that can be written"""
    for pod in pods():
        spec = pod["spec"]
        for volume in spec["volumes"]:
            sources = volume.get("projected", {}).get("sources", [])
            if any("serviceAccountToken" in source for source in sources):
                raise Failed(f"{pod['metadata']['name']} has a token")
    try:
        in_pod("nats-0", "touch", "/written")
    except Failed as error:
        if "Read-only file system" not in str(error):
            raise
    else:
        raise Failed("nats-0 can write its root")
    return ""


def policies_refuse_what_is_not_drawn(stage):
    """a pod in our namespace, and one in another, reach what the policies name and nothing else"""
    ports = {"auth": 8080, "shortener": 8080, "analytics": 8080, "redirector": 8080, "nats": 4222}
    targets = [(name, pods(name)[0]["status"]["podIP"], port) for name, port in ports.items()]
    targets += [("auth", targets[0][1], 9090), ("nats", targets[4][1], 6222), ("nats", targets[4][1], 8222)]
    # Who asks, by the labels of its pod and of its namespace, and what may answer.
    askers = [
        (kube.NAMESPACE, {"app.kubernetes.io/name": "stranger"}, set()),
        (kube.NAMESPACE, {"app.kubernetes.io/name": "redirector"}, {("nats", 4222)}),
        (kube.NAMESPACE, {"app.kubernetes.io/name": "shortener"}, {("auth", 8080), ("nats", 4222)}),
        ("kurz-test-elsewhere", {"app.kubernetes.io/name": "auth"}, set()),
        ("kurz-test-metrics", {}, {("auth", 9090)}),
        ("kurz-test-subscribers", {}, {("nats", 4222)}),
    ]
    labels = {"kurz-test-metrics": "kurz/monitoring=true", "kurz-test-subscribers": "kurz/subscribers=true"}
    others = ("kurz-test-elsewhere", *labels)
    try:
        for other in others:
            kubectl("create", "namespace", other)
        for other, label in labels.items():
            kubectl("label", "namespace", other, label)
        faults = []
        for number, (namespace, own, allowed) in enumerate(askers):
            name = f"asker-{number}"
            asker(stage, namespace, name, own)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                answers = list(pool.map(lambda target: reaches(namespace, name, *target[1:]), targets))
            for (target, _, port), reached in zip(targets, answers):
                if reached != ((target, port) in allowed):
                    verb = "reaches" if reached else "does not reach"
                    faults.append(f"{own or namespace} {verb} {target}:{port}")
            kubectl("-n", namespace, "delete", "pod", name, "--wait=false", "--grace-period=0", "--force")
        if faults:
            raise Failed("; ".join(faults))
    finally:
        kubectl("delete", "namespace", *others, "--ignore-not-found", "--wait=false")
    return f"{len(askers) * len(targets)} pairs tried"


def asker(stage, namespace, name, labels, command="sleep 600"):
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10002, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "asker", "image": stage.nats_image, "command": ["sh", "-c", command],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                # Services find their pods by labels: it must not become one of them.
                "readinessProbe": {"exec": {"command": ["false"]}},
            }],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("-n", namespace, "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    # The policies reach the node a moment after the pod: until then nothing is known.
    time.sleep(2)


def reaches(namespace, pod, address, port):
    # It has nothing to say, so the server ends what was reached. Not every busybox has `nc -z`.
    words = ("kubectl", "-n", namespace, "exec", pod, "--", "nc", "-w", "2", address, str(port))
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


def a_maintenance_command_in_the_container(stage):
    """`analytics audit` in the container finds nothing missing"""
    audit = in_pod("analytics-0", "analytics", "audit")
    if "nothing is missing" not in audit:
        raise Failed(audit)
    return ""


def a_rolling_restart_under_load(stage):
    """each workload is rolled over while visitors follow links: none sees an error, every click is counted"""
    codes = [stage.site.shorten(TARGET)["code"] for _ in range(8)]
    with Load(stage.site, codes) as load:
        until("visitors are answered", lambda: load.total() > 200)
        for workload in kurz("get", "deployment,statefulset", "-o", "name").split():
            kurz("rollout", "restart", workload)
            kurz("rollout", "status", workload, "--timeout=600s")
        settled = load.total() + 200
        until("visitors are still answered", lambda: load.total() > settled)
    if load.failures:
        raise Failed(f"{len(load.failures)} of {load.total()} requests failed: {load.failures[:3]}")
    for code in codes:
        stage.site.wait_for_clicks(code, load.answered[code])
    return f"{load.total()} requests, 0 failed, all counted"


def killed_containers_lose_nothing(stage):
    """the processes of redirectors and analytics are killed under load: what was answered is counted"""
    if "KURZ_CLUSTER_KILL" not in os.environ:
        return "NOT TRIED: KURZ_CLUSTER_KILL is not set"
    codes = [stage.site.shorten(TARGET)["code"] for _ in range(8)]
    before = kube.restarts()
    with Load(stage.site, codes) as load:
        until("visitors are answered", lambda: load.total() > 200)
        for name in ("redirector", "analytics"):
            for pod in pods(name):
                kill_process(pod)
        rolled_out()
        settled = load.total() + 200
        until("visitors are answered again", lambda: load.total() > settled)
    for code in codes:
        stage.site.wait_for_clicks(code, load.answered[code])
    again = sum(after - before.get(pod, after) for pod, after in kube.restarts().items())
    if again < 2:
        raise Failed(f"only {again} containers were started again")
    return f"{again} containers killed, {load.total()} answered, all counted; {len(load.failures)} requests failed"


def kill_process(pod):
    """SIGKILL from the node: nothing inside a container can kill its first process."""
    container = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    kube.run("sh", "-c", os.environ["KURZ_CLUSTER_KILL"] + ' "$1" "$2"', "kill", pod["spec"]["nodeName"], container)


def a_database_comes_back(stage):
    """the statistics are deleted from their volume and restored: counted again to the same numbers"""
    site = stage.site
    code = site.shorten(TARGET)["code"]
    follow = lambda times: [site.follow(code) for _ in range(times)]
    follow(20)
    site.wait_for_clicks(code, 20)
    in_pod("analytics-0", "analytics", "backup")
    follow(30)
    site.wait_for_clicks(code, 50)
    summary = site.ask("GET", "/analytics/summary", expect=200).json()
    delete_database(stage, "analytics", "clicks.db")
    kube.run(str(ROOT / "k8s/restore.sh"), "analytics")
    rolled_out()
    site.wait_for_clicks(code, 50)
    until("the summary is as it was", lambda: site.ask("GET", "/analytics/summary", expect=200).json() == summary)
    follow(1)
    site.wait_for_clicks(code, 51)
    return "20 clicks in the backup, 30 replayed from the stream, all equal"


def delete_database(stage, service, name):
    with Volumes(stage, service) as volumes:
        volumes.run(f"rm -v /data/{name}*")


class Volumes:
    """Those of a service, in the hands of a shell, while the service is stopped. It stays so for a restore."""

    def __init__(self, stage, service):
        self.service, self.image, self.pod = service, stage.nats_image, f"volumes-of-{service}"

    def __enter__(self):
        kurz("scale", "statefulset", self.service, "--replicas=0")
        kurz("wait", f"pod/{self.service}-0", "--for=delete", "--timeout=120s")
        claims = [f"{name}-{self.service}-0" for name in ("data", "backups")]
        claims = [claim for claim in claims if kurz("get", "pvc", claim, "--ignore-not-found")]
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.pod, "namespace": kube.NAMESPACE},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                                    "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "shell", "image": self.image, "command": ["sleep", "3600"],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": claim.split("-")[0], "mountPath": f"/{claim.split('-')[0]}"}
                                     for claim in claims],
                }],
                "volumes": [{"name": claim.split("-")[0], "persistentVolumeClaim": {"claimName": claim}}
                            for claim in claims],
            },
        }
        kurz("apply", "-f", "-", stdin=json.dumps(pod))
        kurz("wait", f"pod/{self.pod}", "--for=condition=Ready", "--timeout=120s")
        return self

    def __exit__(self, fault, *_):
        kurz("delete", "pod", self.pod)
        if fault:
            kurz("scale", "statefulset", self.service, "--replicas=1")

    def run(self, command):
        return in_pod(self.pod, "sh", "-c", command)

    def fetch(self, path, file):
        with open(file, "wb") as target:
            if self.exec(f"gzip -1 < {path}", stdout=target).returncode:
                raise Failed(f"{path} can't be read")

    def put(self, data, path):
        """Piece by piece: a long `kubectl exec` now and then ends before its input does."""
        self.run(f": > {path}")
        for at in range(0, len(data), PIECE):
            until(f"{path} is there up to {at + PIECE}", lambda at=at: self.put_piece(data[at:at + PIECE], path), 60)

    def put_piece(self, piece, path):
        words = f"cat > {path}.piece && [ $(wc -c < {path}.piece) = {len(piece)} ] && cat {path}.piece >> {path}"
        return self.exec(words, input=piece, stderr=subprocess.DEVNULL).returncode == 0

    def exec(self, command, **streams):
        words = ("kubectl", "-n", kube.NAMESPACE, "exec", "-i", self.pod, "--", "sh", "-c", command)
        return subprocess.run(words, check=False, timeout=300, **streams)


def a_key_is_rotated_without_a_stop(stage):
    """the redirectors get a new key to the bus under load; no request fails, every click is counted"""
    code = stage.site.shorten(TARGET)["code"]
    before = kurz("get", "secret", "redirector", "-o", "jsonpath={.data.nats\\.nk}")
    with Load(stage.site, [code], per_second=100) as load:
        kube.run(str(ROOT / "k8s/secrets.sh"), "rotate", "redirector")
        settled = load.total() + 100
        until("visitors are answered", lambda: load.total() > settled)
    if kurz("get", "secret", "redirector", "-o", "jsonpath={.data.nats\\.nk}") == before:
        raise Failed("it is the old key")
    if load.failures:
        raise Failed(f"{len(load.failures)} requests failed: {load.failures[:3]}")
    stage.site.wait_for_clicks(code, load.total())
    return f"{load.total()} requests, 0 failed, all counted"


SCENES = [
    pods_are_ready_under_restricted,
    a_certificate_is_issued_and_served,
    the_story_over_https,
    a_live_stream_through_the_ingress,
    a_code_that_begins_like_a_service,
    pods_hold_nothing_of_the_cluster,
    policies_refuse_what_is_not_drawn,
    a_maintenance_command_in_the_container,
    killed_containers_lose_nothing,
    a_rolling_restart_under_load,
    a_key_is_rotated_without_a_stop,
    a_database_comes_back,
]
