"""The load: wrk as fast as it goes, `bench pace` at a fixed rate."""

import json
import re
import subprocess
import sys

from stack import HERE, PASSWORD

CONNECTIONS = 64


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[unit]


def wrk(program, seconds, script, *arguments, connections=CONNECTIONS, allowed=()):
    """Rate, latencies in ms and number of answers. When its time is up, wrk cuts off what is in flight: `connections`
    requests at most, which may be answered and which it does not count."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    command += ["-s", HERE / script, program.url, "--", *map(str, arguments)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", text)
    if errors and not allowed:
        sys.exit(f"{' '.join(map(str, command))}\n{text}")
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50": milliseconds(re.search(r"\n\s+50%\s+(\S+)", text)[1]),
        "p99": milliseconds(re.search(r"\n\s+99%\s+(\S+)", text)[1]),
        "done": int(re.search(r"(\d+) requests in", text)[1]),
    }


class Generator:
    """A command of `bench`, in the background until `result`."""

    def __init__(self, stack, *command):
        self.command = list(map(str, [stack.bin / "bench", *command]))
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)

    def result(self):
        """What it says."""
        text, _ = self.process.communicate()
        if self.process.returncode:
            sys.exit(f"failed: {self.command}")
        return json.loads(text)


class Crowd(Generator):
    """People who log in again and again, as one user of so many or another."""

    def __init__(self, stack, people, seconds, users):
        super().__init__(stack, "log-ins", f"127.0.0.1:{stack.auth.port}", people, seconds, users, PASSWORD)


class Pace(Generator):
    """Requests at a fixed rate."""

    def __init__(self, stack, program, rate, seconds, *request, connections=CONNECTIONS):
        super().__init__(stack, "pace", f"127.0.0.1:{program.port}", rate, connections, seconds, *request)

    def result(self, status=None):
        """What it says; every answer has to have this status."""
        result = super().result()
        other = {code: times for code, times in result.get("statuses", {}).items() if code != str(status)}
        if status and (other or result["errors"]):
            sys.exit(f"{self.command[6:8]}: not all were answered with {status}: {result}")
        return result


def backlog(stack, clicks, links, owner, now_ms):
    """Fills the stream of clicks."""
    command = [stack.bin / "bench", "clicks", f"127.0.0.1:{stack.nats_port}", clicks, links, owner, now_ms]
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
