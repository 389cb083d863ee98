"""The programs that are measured, on loopback and in a folder of their own: nats-server, the release builds of the
services, nginx; and what the kernel says about them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PASSWORD = "a password for the benchmark"
TICKS = os.sysconf("SC_CLK_TCK")


def need(*tools):
    """Installs what is missing; the packages of Debian and Ubuntu."""
    packages = {"nginx": "nginx-light", "wrk": "wrk", "valgrind": "valgrind"}
    path = os.environ["PATH"] + ":/usr/sbin"
    os.environ["PATH"] = path
    missing = [packages[tool] for tool in tools if not shutil.which(tool)]
    if missing:
        subprocess.run([ROOT / ".ci/apt-install", *missing], check=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(probe, what, seconds=60, pause=0.02):
    """What `probe` says, once that is true."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            found = probe()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(pause)
    sys.exit(f"{what}: not within {seconds} s")


def ask(url, body=None, token=None, headers=(), seconds=60):
    """The answer of an API; an HTTP error is an exception."""
    request = urllib.request.Request(url, headers=dict(headers))
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        text = answer.read()
    return json.loads(text) if "json" in answer.headers.get("content-type", "") else text.decode()


class Program:
    """A process, and what it costs."""

    def __init__(self, process, port=None, admin=None, log=None):
        self.process, self.port, self.admin, self.log = process, port, admin, log
        self.pid = process.pid
        self.url = f"http://127.0.0.1:{port}"

    def metric(self, name):
        text = ask(f"http://127.0.0.1:{self.admin}/metrics")
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return int(sum(map(float, values)))

    def pids(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [str(self.pid), *children]

    def cpu(self):
        """Seconds of processor time so far, of its children, too."""
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def is_idle(self):
        """Whether it does next to nothing for half a second."""
        before = self.cpu()
        time.sleep(0.5)
        return self.cpu() - before < 0.02

    def memory(self, what="VmRSS"):
        """Resident bytes; with `RssAnon` those that belong to no file."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{what}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Stack:
    """Use it as `with Stack(options) as stack`: at the end every process is gone, and the folder, too."""

    def __init__(self, bin="target/release", nats=".tools/nats-server"):
        self.bin = pathlib.Path(bin).resolve()
        self.nats_program = pathlib.Path(os.environ.get("KURZ_NATS_SERVER", nats)).resolve()
        self.programs = []
        self.token_of, self.token_until = None, 0

    def __enter__(self):
        # Beside the build, which is on a disk: /tmp may be memory.
        self.temporary = tempfile.TemporaryDirectory(dir=ROOT / "target", prefix="bench-")
        self.folder = pathlib.Path(self.temporary.name)
        self.auth_port = free_port()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            note("".join(log.read_text()[-1500:] for log in sorted(self.folder.glob("*.log"))))
        # In order, and nats-server last: a process may have children, and clicks to hand over.
        for program in reversed(self.programs):
            program.process.terminate()
            try:
                program.process.wait(30)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()
        self.temporary.cleanup()

    def start(self, name, command, port=None, admin=None, **variables):
        log = self.folder / f"{name}.log"
        with open(log, "ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **variables},
            )
        program = Program(process, port, admin, log)
        self.programs.append(program)
        return program

    def stop(self, program):
        program.process.send_signal(signal.SIGTERM)
        program.process.wait(120)
        self.programs.remove(program)

    def start_nats(self):
        self.nats_port, self.monitor_port = free_port(), free_port()
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.nats_port}"\nhttp: "127.0.0.1:{self.monitor_port}"\n'
            f'jetstream {{ store_dir: "{self.folder}/nats" }}\n'
        )
        self.nats = self.start("nats", [self.nats_program, "--config", config], self.nats_port)
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.nats_port)), "nats-server")
        return self.nats

    def stream(self, name):
        """What nats-server says about the state of a stream."""
        answer = ask(f"http://127.0.0.1:{self.monitor_port}/jsz?streams=true")
        for account in answer.get("account_details", []):
            for stream in account.get("stream_detail", []):
                if stream["name"] == name:
                    return stream["state"]
        return {"messages": 0, "bytes": 0}

    def service(self, name, port=None, ready=60, **variables):
        """Starts one and waits until it is ready; how long that took is in `started`."""
        admin, port = free_port(), port or free_port()
        began = time.monotonic()
        program = self.start(
            name,
            [self.bin / name],
            port,
            admin,
            **{
                "KURZ_LISTEN": f"127.0.0.1:{port}",
                "KURZ_ADMIN_LISTEN": f"127.0.0.1:{admin}",
                "KURZ_PUBLIC_URL": "http://bench.test",
                "KURZ_NATS_URL": f"nats://127.0.0.1:{self.nats_port}",
                "KURZ_DATABASE": str(self.folder / f"{name}.db"),
                "KURZ_SPOOL": str(self.folder / "spool"),
                "KURZ_JWKS_URL": f"http://127.0.0.1:{self.auth_port}/auth/.well-known/jwks.json",
                "KURZ_VISITOR_SALT": "a salt for the benchmark",
                "KURZ_TRUSTED_PROXIES": "127.0.0.1" if name == "auth" else "",
                "KURZ_LOG": "warn",
                **variables,
            },
        )
        wait_for(lambda: ask(f"http://127.0.0.1:{admin}/health/ready"), name, ready)
        program.started = time.monotonic() - began
        return program

    def start_auth(self, name="bench"):
        """Starts auth with one account; its id."""
        self.auth = self.service("auth", self.auth_port)
        return self.register(name)

    def register(self, name, client="192.0.2.1"):
        body = {"username": name, "password": PASSWORD}
        return ask(f"{self.auth.url}/auth/users", body, headers=[("x-forwarded-for", client)])["id"]

    def token(self, name="bench"):
        """An access token that is good for some minutes more."""
        if time.monotonic() > self.token_until:
            answer = ask(f"{self.auth.url}/auth/tokens", {"username": name, "password": PASSWORD})
            self.token_of = answer["access_token"]
            self.token_until = time.monotonic() + answer["expires_in"] / 2
        return self.token_of

    def nginx(self, name, access_log, workers=1):
        """An nginx that redirects whatever it is asked for."""
        port, folder = free_port(), self.folder / name
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes {workers};\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log {access_log}; keepalive_requests 1000000000; keepalive_timeout 1h;\n"
            f"server {{ listen 127.0.0.1:{port} backlog=1024;\n"
            "location / { return 302 https://example.org/some/longer/path/to/a/page$uri; } } }\n"
        )
        program = self.start(name, ["nginx", "-p", folder, "-c", config, "-e", folder / "error.log"], port)
        wait_for(lambda: socket.create_connection(("127.0.0.1", port)), name)
        return program


@contextlib.contextmanager
def cost(**programs):
    """Seconds of processor time that each program took meanwhile, and all together, in a dict."""
    taken = {}
    before = {name: program.cpu() for name, program in programs.items()}
    yield taken
    taken.update({name: program.cpu() - before[name] for name, program in programs.items()})
    taken["all"] = sum(taken.values())


def check_counted(redirector, analytics, before, answered, cut_off, seconds=1800):
    """Waits until everything that was recorded is counted; says how long that took. What was answered and is not
    counted ends the run. `before` is what `numbers` said before the load."""
    began = time.monotonic()

    def now():
        # In this order: what wrk cut off may be recorded a moment after its end.
        counted = analytics.metric("kurz_clicks_applied_total") - before[1]
        return counted, redirector.metric("kurz_clicks_recorded_total") - before[0]

    def all_are_counted():
        counted, recorded = now()
        return counted >= recorded

    wait_for(all_are_counted, "counting", seconds)
    took = time.monotonic() - began
    counted, recorded = now()
    dropped = redirector.metric("kurz_clicks_dropped_total")
    if dropped or counted != recorded or not answered <= counted <= answered + cut_off:
        sys.exit(
            f"the counts do not match: answered {answered} (and up to {cut_off} that wrk cut off), "
            f"recorded {recorded}, counted {counted}, dropped {dropped}"
        )
    return took


def numbers(redirector, analytics):
    return redirector.metric("kurz_clicks_recorded_total"), analytics.metric("kurz_clicks_applied_total")
