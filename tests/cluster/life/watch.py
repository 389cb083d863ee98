"""A Prometheus that watches kurz while scenes are played: here, and not in the cluster, so that nothing that is done to
the cluster is done to it. It finds its targets as the PodMonitor of k8s/components/monitoring does, and reaches them
by their addresses through a pod in a namespace that may collect metrics."""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import kube
from kube import Failed, kubectl, until
from life import alerts
from scenes import ROOT

sys.path.insert(0, str(ROOT / "tests/monitoring"))
from recording import Recording, metrics  # noqa: E402

NAMESPACE = "kurz-test-watch"
# As in the PodMonitor.
SERVICES = {"auth", "shortener", "redirector", "analytics"}
# Seconds. In earnest it is 15, but a scene lasts less than a minute.
STEP = 2

# An HTTP proxy for GET. busybox has two kinds of nc, which say "go on listening" in different ways.
RELAY = r"""
read -r _ url _
while read -r line && [ "${#line}" -gt 1 ]; do :; done
if body=$(timeout 5 wget -q -O - "$url" 2>/dev/null); then
    printf 'HTTP/1.0 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\r\n%s\n' "$body"
else
    printf 'HTTP/1.0 502 Bad Gateway\r\n\r\n'
fi
"""
LISTEN = 'if nc --help 2>&1 | grep -q -- -lk; then on=-lk; else on=-ll; fi; exec nc $on -p 8080 -e sh -c "$RELAY"'


def program(name):
    """Where it is; none if it is nowhere."""
    here = ROOT / ".tools" / name
    return str(here) if here.exists() else shutil.which(name)


class Watch:
    """Used as a context manager. `folder` gets a recording of each scene."""

    def __init__(self, stage, folder):
        self.stage, self.folder = stage, folder and pathlib.Path(folder)
        self.ended, self.pods, self.processes, self.threads = threading.Event(), {}, {}, []
        self.lock = threading.Lock()

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory(prefix="kurz-watch-")
        self.targets = pathlib.Path(self.work.name) / "targets.json"
        self.targets.write_text("[]")
        self.prometheus, self.relay = free_port(), free_port()
        try:
            if self.folder:
                self.folder.mkdir(parents=True, exist_ok=True)
            put_up_relay(self.stage)
            self.states = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
            self.start(self.states.serve_forever)
            self.keep_running("pods", self.follow_pods, "kubectl", "-n", kube.NAMESPACE, "get", "pod", "-l",
                              "app.kubernetes.io/part-of=kurz", "--watch", "--output-watch-events", "-o", "json")
            self.keep_running("relay", drain, "kubectl", "-n", NAMESPACE, "port-forward", "pod/relay",
                              f"{self.relay}:8080")
            self.run_prometheus()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.ended.set()
        with self.lock:
            for process in self.processes.values():
                process.terminate()
        if hasattr(self, "states"):
            self.states.shutdown()
            self.states.server_close()
        for thread in self.threads:
            thread.join(30)
        for process in self.processes.values():
            process.wait(30)
        self.work.cleanup()
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false", check=False)

    def start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)

    def keep_running(self, name, read, *words):
        """Runs a command anew whenever it ends."""
        def run():
            while not self.ended.is_set():
                with self.lock:
                    if self.ended.is_set():
                        return
                    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                    self.processes[name] = process
                with process.stdout:
                    read(process.stdout)
                process.wait()
                self.ended.wait(1)
        self.start(run)

    def run_prometheus(self):
        folder = pathlib.Path(self.work.name)
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": f"{STEP}s", "scrape_timeout": f"{STEP}s"},
            "scrape_configs": [
                {"job_name": "pods", "proxy_url": f"http://127.0.0.1:{self.relay}",
                 "file_sd_configs": [{"files": [str(self.targets)], "refresh_interval": "5s"}]},
                {"job_name": "kube-state-metrics", "honor_labels": True,
                 "static_configs": [{"targets": [f"127.0.0.1:{self.states.server_port}"],
                                     "labels": {"instance": "kube-state-metrics"}}]},
            ],
        }))
        words = [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.prometheus}", "--log.level=warn"]
        log = folder / "prometheus.log"
        with log.open("w") as file:
            self.processes["prometheus"] = subprocess.Popen(words, stdout=file, stderr=file)
        # It says so only after it has looked for targets.
        try:
            until("Prometheus is ready", lambda: self.ask("/-/ready"), 60)
            until("every service answers", self.all_answer, 60)
            self.ended.wait(2 * STEP)
        except Failed as error:
            raise Failed(f"{error}: {log.read_text()[-2000:]}") from error

    def all_answer(self):
        targets = json.loads(self.ask("/api/v1/targets"))["data"]["activeTargets"]
        answer = {one["labels"]["job"] for one in targets if one["health"] == "up"}
        if missing := SERVICES - answer:
            raise Failed(f"{missing} do not: {[one['lastError'] for one in targets if one['lastError']]}")
        return True

    def is_whole(self):
        """Whether it knows the pods that there are, and no others."""
        targets = json.loads(self.ask("/api/v1/targets"))["data"]["activeTargets"]
        known = {one["labels"]["pod"] for one in targets if "pod" in one["labels"]}
        return known == {one["labels"]["pod"] for one in self.wanted()}

    def ask(self, path, **words):
        body = urllib.parse.urlencode(words).encode() or None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.prometheus}{path}", body, timeout=60) as answer:
            return answer.read().decode()

    def follow_pods(self, output):
        self.pods = {}
        text = []
        for line in output:
            text.append(line)
            # An object is a line, or, from an older kubectl, ends with the first one that is not indented.
            if line.endswith("}\n") and not line.startswith(" "):
                event, text = json.loads("".join(text)), []
                pod = event["object"]
                pods = dict(self.pods)
                if event["type"] == "DELETED":
                    pods.pop(pod["metadata"]["name"], None)
                else:
                    pods[pod["metadata"]["name"]] = pod
                self.pods = pods
                self.write_targets()

    def wanted(self):
        """The targets that there are now, as Prometheus reads them from a file."""
        for name, pod in self.pods.items():
            service, status = pod["metadata"]["labels"].get("app.kubernetes.io/name"), pod["status"]
            if service not in SERVICES or not status.get("podIP") or status["phase"] in ("Failed", "Succeeded"):
                continue
            yield {"targets": [f"{status['podIP']}:9090"], "labels": {
                "job": service, "namespace": kube.NAMESPACE, "pod": name, "part_of": "kurz"}}

    def write_targets(self):
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps(list(self.wanted())))
        os.replace(new, self.targets)

    def handler(watch):
        class Handler(http.server.BaseHTTPRequestHandler):
            """What kube-state-metrics would say of our pods, as far as the rules ask for it."""

            def do_GET(self):
                body = "".join(line for pod in watch.pods.values() for line in states(pod)).encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        return Handler

    def look(self, row, began):
        """Which alerts a scene brought that began then, by `time.time`; says so in its row."""
        # Prometheus learns of new pods some seconds late. And there is to be some quiet, also before the next scene.
        with contextlib.suppress(Failed):
            until("every pod answers", lambda: self.all_answer() and self.is_whole(), 30)
        self.ended.wait(2 * STEP)
        began -= 2 * STEP
        end, scene = time.time(), row.scene.name
        query = f'{{__name__=~"{"|".join(sorted(metrics()))}", namespace="{kube.NAMESPACE}"}}[{int(end - began) + 1}s]'
        answer = json.loads(self.ask("/api/v1/query", query=query, time=f"{end:.3f}"))
        # What the row knows is of another clock.
        ago = time.monotonic() - time.time()
        times = (began, row.began - ago, row.left_alone - ago, end)
        recording = Recording.of_samples(scene, STEP, times, answer["data"]["result"])
        if self.folder:
            recording.write(self.folder / f"{scene}.txt")
        found = alerts.brought(scene, recording, program("promtool"))
        row.alerts = alerts.described(scene, found)
        row.is_alarmed_well = alerts.are_expected(scene, found)


def states(pod):
    name, status = pod["metadata"]["name"], pod["status"]
    labels = f'namespace="{kube.NAMESPACE}",pod="{name}"'
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
    yield f'kube_pod_status_ready{{{labels},condition="true"}} {ready:d}\n'
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        yield f'kube_pod_status_phase{{{labels},phase="{phase}"}} {status.get("phase") == phase:d}\n'
    for one in status.get("containerStatuses", []):
        yield (f'kube_pod_container_status_restarts_total{{{labels},container="{one["name"]}"}} '
               f'{one["restartCount"]}\n')


def drain(output):
    for _ in output:
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def put_up_relay(stage):
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "kurz/monitoring=true")
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "relay", "namespace": NAMESPACE},
        "spec": {
            # There is none on the nodes that die alone.
            "nodeName": front_door(stage),
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10002, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "relay", "image": stage.nats_image, "command": ["sh", "-c", LISTEN],
                # To Kubernetes "$$" is a dollar.
                "env": [{"name": "RELAY", "value": RELAY.replace("$", "$$")}],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("-n", NAMESPACE, "wait", "pod/relay", "--for=condition=Ready", "--timeout=120s")


def front_door(stage):
    """The node that visitors come through."""
    for node in json.loads(kubectl("get", "node", "-o", "json"))["items"]:
        if any(one["address"] == stage.address[0] for one in node["status"]["addresses"]):
            return node["metadata"]["name"]
    ingress = json.loads(kubectl("get", "pod", "-n", "traefik", "-l", "app.kubernetes.io/name=traefik", "-o", "json"))
    return ingress["items"][0]["spec"]["nodeName"]
