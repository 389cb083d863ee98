"""kubectl, and waiting for what it says."""

import http.client
import json
import re
import subprocess
import time

NAMESPACE = "kurz"


class Failed(Exception):
    """What was expected is not so."""


def run(*words, stdin=None, check=True, timeout=900):
    """Standard output of a command; `Failed` with its standard error if it did not succeed."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def kubectl(*words, **options):
    return run("kubectl", *words, **options)


def kurz(*words, **options):
    """kubectl in our namespace."""
    return kubectl("-n", NAMESPACE, *words, **options)


def get(*words):
    """What `kubectl get` knows, as an object."""
    return json.loads(kurz("get", *words, "-o", "json"))


def until(what, question, seconds=120):
    """Asks again until the answer is true, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer, why = question(), ""
        except (Failed, OSError) as error:
            answer, why = None, f" ({error})"
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}{why}")
        time.sleep(0.5)


def rolled_out(seconds=600):
    """Waits until every workload is as it was asked for."""
    for kind in ("statefulset", "deployment"):
        for name in kurz("get", kind, "-o", "name").split():
            kurz("rollout", "status", name, f"--timeout={seconds}s")


def pods(name=None):
    """The pods of a workload, or all of ours, that are not on their way out."""
    selector = f"app.kubernetes.io/name={name}" if name else "app.kubernetes.io/part-of=kurz"
    found = get("pod", "-l", selector)["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def restarts():
    """How often containers were started again, by pod."""
    counts = {}
    for pod in pods():
        for status in pod["status"].get("containerStatuses", []):
            counts[pod["metadata"]["name"]] = status["restartCount"]
    return counts


def in_pod(name, *words, **options):
    return kurz("exec", name, "--", *words, **options)


class Forward:
    """A port of a pod as one of this machine, from when it is entered; nobody's policies are asked."""

    def __init__(self, pod, port, namespace=NAMESPACE):
        words = ("kubectl", "-n", namespace, "port-forward", pod, f":{port}", "--address=127.0.0.1")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = self.process.stdout.readline()
        if not (found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", said)):
            self.__exit__()
            raise Failed(f"port {port} of {pod} is not forwarded: {said.strip()}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def read(self, path):
        """Status and text of what is there."""
        connection = self.connection()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise Failed(f"{path}: {error!r}") from error
        finally:
            connection.close()

    def metric(self, name):
        """The sum of a metric over its labels."""
        text = self.read("/metrics")[1]
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))
