#!/usr/bin/env python3
"""Runs the real k8s/setup.sh against a host that is a folder (host.sh stands for its programs): no root, no network.

check.py            every check; ends with a total, and with 1 if one failed
check.py --write    writes the dry runs of expected/ anew, after a change that was meant
"""

import concurrent.futures
import contextlib
import fcntl
import gzip
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback

here = pathlib.Path(__file__).resolve().parent
setup = here.parent.parent / "k8s/setup.sh"
programs = """apt-get apt-mark curl dpkg dpkg-query exportfs gpg hostname id install kubeadm kubectl modprobe
    stat swapoff sysctl systemctl""".split()

JOIN = "kubeadm join 192.0.2.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:" + "0a" * 32
KEYS = {
    "gpg": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    "Release.key": "DE15B14486CD377B9E876E1A234654DA9A296436",
    "cert-manager-keyring-2021-09-20-1020CF3C033D4F35BAE1C19E1226061C665DF13E.gpg": "1020CF3C033D4F35BAE1C19E1226061C665DF13E",
}
ROLES = {
    "control-plane": ["control-plane", "--endpoint", "k8s.example.org"],
    "worker": ["worker", "--join", "-"],
    "nfs-server": ["nfs-server", "--clients", "192.0.2.0/24,198.51.100.0/24"],
    "addons": ["addons"],
    "addons-nginx": ["addons", "--ingress", "nginx"],
}


def key(fingerprint: str, expires: str = "") -> str:
    """What `gpg --with-colons --show-keys` prints of a key."""
    return f"pub:-:4096:1:{fingerprint[-16:]}:1487788586:{expires}::-:::scSC::::::23::0:\nfpr:::::::::{fingerprint}:\n"


class Host:
    """A bare host, as a folder: `root` is its /, `state` what host.sh knows of it."""

    def __init__(self, folder: pathlib.Path, os_release: str = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'):
        self.root, self.state, self.bin = folder / "root", folder / "state", folder / "bin"
        for path in ("etc", "proc", "run/systemd/system", "sys/fs/cgroup", "sys/module"):
            (self.root / path).mkdir(parents=True)
        (self.root / "etc/os-release").write_text(os_release)
        (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n")
        (self.root / "sys/fs/cgroup/cgroup.controllers").touch()
        (self.state / "web").mkdir(parents=True)
        for name, fingerprint in KEYS.items():
            (self.state / "web" / name).write_text(key(fingerprint))
        self.put("join/command", JOIN)
        self.put("nodes/list", "cp node-role.kubernetes.io/control-plane\nworker1 \n")
        self.put("nodes/taints", "node-role.kubernetes.io/control-plane")
        self.bin.mkdir()
        for name in programs:
            (self.bin / name).symlink_to(here / "host.sh")
        self.helm_sum = self.helm_archive()

    def put(self, name: str, value: str) -> None:
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)

    def helm_archive(self) -> str:
        archive = self.state / "web/helm-v4.2.3-linux-amd64.tar.gz"
        with gzip.GzipFile(archive, "w", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(here / "host.sh", "linux-amd64/helm")
        return hashlib.sha256(archive.read_bytes()).hexdigest()

    def run(self, *arguments: str, stdin: str = JOIN + "\n", **variables: str) -> subprocess.CompletedProcess:
        for name in ("calls", "looks"):
            (self.state / name).write_text("")
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.state), "LC_ALL": "C",
            "SETUP_ROOT": str(self.root), "HOST": str(self.state), "HELM_SHA256_amd64": self.helm_sum, **variables,
        }
        return subprocess.run([setup, *arguments], env=environment, input=stdin, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def initialised(self) -> "Host":
        """With a control plane, as addons needs it."""
        for name in ("admin.conf", "kubelet.conf"):
            path = self.root / "etc/kubernetes" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return self

    def known(self, folder: str) -> set[str]:
        """What host.sh has of a kind, without the place of this host's root in the names."""
        return {path.name.replace(str(self.root).replace("/", "_"), "") for path in self.state.glob(folder + "/*")}

    def calls(self) -> list[str]:
        return (self.state / "calls").read_text().replace(str(self.root), "").splitlines()

    def tree(self) -> dict[str, tuple]:
        """Every file of the host, with its mode and content; the one random key counts as present."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_file() and not name.endswith("/lock"):
                text = path.read_bytes()
                if name.endswith("encryption.yaml"):
                    text = re.sub(rb"secret: [A-Za-z0-9+/]{43}=}", b"secret: KEY}", text)
                found[name] = (path.stat().st_mode, text.replace(str(self.root).encode(), b""))
        return found


@contextlib.contextmanager
def host(*arguments, **options):
    with tempfile.TemporaryDirectory(prefix="setup-") as folder:
        yield Host(pathlib.Path(folder), *arguments, **options)


def ready(machine: Host, role: str) -> Host:
    return machine.initialised() if role.startswith("addons") else machine


def dry_run(role: str) -> str:
    with host() as machine:
        before = machine.tree()
        result = machine.run(*ROLES[role], "--dry-run", FAKE_UID="1000", HELM_SHA256_amd64="")
        assert result.returncode == 0, result.stderr
        assert machine.tree() == before, "a dry run changed a file"
        assert machine.calls() == [], machine.calls()
        assert (machine.state / "looks").read_text() == "", "a dry run does not look at the host either"
        return result.stdout.replace(str(machine.root), "").replace(str(setup.parent), "k8s")


checks = []


def check(function):
    checks.append(function)
    return function


def fails(result: subprocess.CompletedProcess, *words: str) -> None:
    assert result.returncode != 0, "it succeeded: " + result.stdout
    for word in words:
        assert word in result.stderr, f"{word!r} is not in: {result.stderr}"


def succeeds(result: subprocess.CompletedProcess) -> None:
    assert result.returncode == 0, result.stdout + result.stderr


# --- dry runs ------------------------------------------------------------------------------------

@check
def dry_runs_print_what_is_expected():
    for role in ROLES:
        assert dry_run(role) == (here / f"expected/{role}.txt").read_text(), f"{role}: see check.py --write"


@check
def a_dry_run_prints_what_a_real_run_does():
    """The commands that a dry run prints are those that a real run on a bare host gives to the host, in this order."""
    for role in ROLES:
        printed = [shlex.split(line[2:], comments=True) for line in dry_run(role).splitlines() if line.startswith("+ ")]
        printed = [" ".join(words) for words in printed
                   if words[0] in programs + ["/var/lib/kurz-setup/bin/helm-4.2.3"] and words[0] != "gpg"]
        printed = [re.sub(r"^/var/lib/kurz-setup/bin/|", "", line) for line in printed
                   if not line.startswith("kubeadm config validate") and " template " not in line]
        with host() as machine:
            succeeds(ready(machine, role).run(*ROLES[role]))
            done = [line.replace(str(setup.parent), "k8s") for line in machine.calls()]
        printed = [line.replace("(podSubnet of the ConfigMap kubeadm-config)", "10.244.0.0/16") for line in printed]
        done = [re.sub("kurz-setup=[0-9a-f]{32}", "kurz-setup=SUM-OF-CHART-AND-VALUES", line) for line in done]
        assert printed == done, "\n".join(["printed:", *printed, "done:", *done])
        assert len(done) >= 5


# --- idempotence and failures --------------------------------------------------------------------

@check
def a_second_run_changes_nothing():
    for role in ROLES:
        with host() as machine:
            first = ready(machine, role).run(*ROLES[role])
            succeeds(first)
            before, times = machine.tree(), {path: path.stat().st_mtime_ns for path in machine.root.rglob("*")}
            times.pop(machine.root / "var/lib/kurz-setup/lock")
            second = machine.run(*ROLES[role], stdin="")
            succeeds(second)
            assert machine.calls() == [], machine.calls()
            assert machine.tree() == before
            assert {path: path.stat().st_mtime_ns for path in times} == times
            assert "done:" not in second.stdout and second.stdout.count("done before:") == first.stdout.count("done:")


def goes_on(role: str, number: int, how: str, unbroken: Host) -> None:
    """The change of this number fails, or is the last one before the machine dies; then the same command again."""
    with host() as machine:
        ready(machine, role).put("break", f"{number} {how}\n")
        broken = machine.run(*ROLES[role])
        if how == "fail":
            fails(broken, "failed:", "what to do:", "run the same command again")
            assert broken.stderr.count("what to do:") == 1, broken.stderr
        else:
            assert broken.returncode == -9, broken
        assert len(machine.calls()) == number, "it went on after the failure"
        (machine.state / "break").unlink()
        succeeds(machine.run(*ROLES[role]))
        kept = {name: value for name, value in machine.tree().items() if not name.endswith((".part", ".new"))}
        assert kept == unbroken.tree(), set(kept.items()) ^ set(unbroken.tree().items())
        for folder in ("packages", "held", "enabled", "active", "sysctl", "owners", "releases", "nodes", "rollouts"):
            assert machine.known(folder) == unbroken.known(folder), folder


@check
def after_a_failure_anywhere_the_same_command_goes_on():
    """Every change of every role is broken once: it fails, or the machine dies after it. A worker's first changes are
    those of the control plane, so only its own count here."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool, contextlib.ExitStack() as stack:
        cases = []
        for role in ("control-plane", "worker", "nfs-server", "addons"):
            unbroken = stack.enter_context(host())
            succeeds(ready(unbroken, role).run(*ROLES[role]))
            changes = len(unbroken.calls())
            first = changes - 1 if role == "worker" else 1
            for number in range(first, changes + 1):
                both = role == "worker" or number == changes
                for how in ("fail", "kill") if both else ("fail", "kill")[number % 2:][:1]:
                    cases.append(((role, number, how), pool.submit(goes_on, role, number, how, unbroken)))
        assert len(cases) > 40
        for case, future in cases:
            try:
                future.result()
            except AssertionError as error:
                raise AssertionError(f"{case}: {error}") from None


@check
def what_is_built_into_the_kernel_is_there():
    """The kernel shows it as a module only if it has parameters; `modprobe` finds nothing to do."""
    with host() as machine:
        folder = machine.root / "lib/modules" / os.uname().release
        folder.mkdir(parents=True)
        (folder / "modules.builtin").write_text("kernel/net/bridge/br_netfilter.ko\n")
        succeeds(machine.run(*ROLES["worker"]))
        shutil.rmtree(machine.root / "sys/module/br_netfilter")
        succeeds(machine.run(*ROLES["worker"]))
        assert machine.calls() == [], machine.calls()
        (folder / "modules.builtin").write_text("kernel/net/bridge/another_br_netfilter.ko\n")
        succeeds(machine.run(*ROLES["worker"]))
        assert machine.calls() == ["modprobe -a overlay br_netfilter"]


@check
def what_was_applied_is_done_only_when_it_runs():
    with host() as machine:
        succeeds(machine.initialised().run("addons"))
        (machine.state / "rollouts/daemonset_traefik").unlink()
        succeeds(machine.run("addons"))
        assert [line.split()[1] for line in machine.calls()] == ["apply", "rollout"], machine.calls()


@check
def a_worker_that_joined_and_is_not_known_is_not_done():
    """The kubelet may end at its start, of which kubeadm says nothing."""
    with host() as machine:
        succeeds(machine.run(*ROLES["worker"]))
        (machine.state / "nodes/known").unlink()
        result = machine.run(*ROLES["worker"])
        succeeds(result)
        assert "done before: this node is part of the cluster" in result.stdout
        assert [line.split()[3] for line in machine.calls()] == ["wait"], machine.calls()


@check
def what_has_drifted_is_put_right():
    with host() as machine:
        succeeds(machine.run(*ROLES["worker"]))
        with (machine.root / "proc/swaps").open("a") as swaps:
            swaps.write("/dev/zram0 partition 1 0 100\n")
        machine.put("sysctl/net.ipv4.ip_forward", "0")
        (machine.root / "etc/containerd/config.toml").write_text("disabled_plugins = ['cri']\n")
        succeeds(machine.run(*ROLES["worker"]))
        assert "swapoff -a" in machine.calls()
        assert "systemctl restart containerd" in machine.calls()
        assert any(line.startswith("sysctl -q --load") for line in machine.calls())


@check
def a_restart_that_is_owed_is_not_forgotten():
    """The machine dies between the new file and the restart of a containerd that runs with the old one."""
    with host() as machine:
        succeeds(machine.run(*ROLES["worker"]))
        (machine.root / "etc/containerd/config.toml").write_text("disabled_plugins = ['cri']\n")
        machine.put("break", "1 kill\n")
        assert machine.run(*ROLES["worker"]).returncode == -9
        assert machine.calls() == ["systemctl enable containerd"]
        assert "SystemdCgroup" in (machine.root / "etc/containerd/config.toml").read_text()
        (machine.state / "break").unlink()
        succeeds(machine.run(*ROLES["worker"]))
        assert machine.calls() == ["systemctl enable containerd", "systemctl restart containerd"]


@check
def a_cluster_keeps_its_key_and_its_settings():
    with host() as machine:
        succeeds(machine.run("control-plane"))
        folder = machine.root / "etc/kubernetes/kurz"
        first, settings = (folder / "encryption.yaml").read_text(), (folder / "kubeadm.yaml").read_text()
        assert (folder / "encryption.yaml").stat().st_mode & 0o777 == 0o600
        assert len(re.search(r"secret: ([^}]+)}", first)[1]) == 44
        result = machine.run("control-plane", "--endpoint", "other.example.org", "--single-node")
        succeeds(result)
        assert "differ from those the cluster was made with" in result.stdout
        assert (folder / "encryption.yaml").read_text() == first
        assert (folder / "kubeadm.yaml").read_text() == settings
        assert [line for line in machine.calls() if line.startswith("kubeadm")] == []
        assert machine.calls() == ["kubectl --kubeconfig /etc/kubernetes/admin.conf taint nodes -l"
                                   " node-role.kubernetes.io/control-plane node-role.kubernetes.io/control-plane:NoSchedule-"]
        (folder / "audit-policy.yaml").write_text("another\n")
        succeeds(machine.run("control-plane"))
        assert "omitStages" in (folder / "audit-policy.yaml").read_text()
        assert (folder / "encryption.yaml").read_text() == first
        (folder / "encryption.yaml").unlink()
        fails(machine.run("control-plane"), "restore it from your backup")
        assert not (folder / "encryption.yaml").exists()


@check
def a_node_of_a_cluster_is_not_upgraded_by_running_it_again():
    with host() as machine:
        succeeds(machine.run(*ROLES["worker"]))
        fails(machine.run(*ROLES["worker"], KUBERNETES="1.38.0"), "belongs to a cluster", "docs/cluster.md")
        assert not [line for line in machine.calls() if "kubelet=" in line]


# --- what is not trusted -------------------------------------------------------------------------

@check
def another_key_is_refused():
    other = "A" * 40
    for name, fingerprint in KEYS.items():
        role = "addons" if name.startswith("cert") else "worker"
        wrongs = [key(other), key(fingerprint) + key(other), key(other) + key(fingerprint), key(fingerprint, str(int(time.time()) - 60)), "no key\n"]
        for wrong in wrongs if name == "gpg" else wrongs[:1]:
            with host() as machine:
                (ready(machine, role).state / "web" / name).write_text(wrong)
                fails(machine.run(*ROLES[role]), "the key from https://", "before you trust it")
                assert not list(machine.root.rglob("*.asc")) or name == "Release.key"
                assert not [path for path in machine.root.rglob("*.new") if path.is_file()]
                unwanted = {"gpg": "containerd.io", "Release.key": "kubelet=", KEYS[name]: ""}.get(name, "cert-manager --version")
                assert not [line for line in machine.calls() if unwanted in line], machine.calls()


@check
def a_key_that_was_renewed_is_fetched_again():
    """Package keys are renewed under the same fingerprint; the old copy has expired by then."""
    with host() as machine:
        succeeds(machine.run(*ROLES["worker"]))
        (machine.root / "etc/apt/keyrings/kurz-kubernetes.asc").write_text(key(KEYS["Release.key"], "1700000000"))
        result = machine.run(*ROLES["worker"])
        succeeds(result)
        assert "done: package source of Kubernetes" in result.stdout
        assert (machine.root / "etc/apt/keyrings/kurz-kubernetes.asc").read_text() == key(KEYS["Release.key"])


@check
def another_helm_is_refused():
    with host() as machine:
        fails(machine.initialised().run("addons", HELM_SHA256_amd64="0" * 64), "is not the one expected", "was removed")
        assert not list(machine.root.rglob("helm*"))


@check
def a_download_without_a_published_sum_is_compared_with_the_first():
    with host() as machine:
        result = machine.initialised().run("addons")
        succeeds(result)
        assert result.stdout.count("recorded, as there is no published sum") == 4
        chart = next(machine.root.rglob("csi-driver-nfs-*.tgz"))
        chart.unlink()
        succeeds(machine.run("addons"))
        chart.unlink()
        records = machine.root / "var/lib/kurz-setup/sha256sums"
        records.write_text(re.sub(r"[0-9a-f]{64}(  csi)", "0" * 64 + r"\1", records.read_text()))
        fails(machine.run("addons"), "is not the one expected")
        assert not chart.exists() and not list(machine.root.rglob("new/csi*"))
    with host() as machine:
        fails(machine.initialised().run("addons", CALICO_SHA256="0" * 64), "is not the one expected")
        assert not [line for line in machine.calls() if "upgrade" in line], "nothing is applied before all is verified"


@check
def the_token_is_no_argument_and_is_not_kept():
    for number in (0, 1000):
        with host() as machine:
            if number:
                succeeds(machine.run(*ROLES["worker"]))
                join = [line.split()[1] for line in machine.calls()].index("join") + 1
        with host() as machine:
            if number:
                machine.put("break", f"{join} fail\n")
            result = machine.run(*ROLES["worker"])
            assert (result.returncode == 0) == (number == 0), result.stderr
            assert "abcdef.0123456789abcdef" in (machine.state / "joined-with").read_text()
            seen = result.stdout + result.stderr + (machine.state / "calls").read_text() + (machine.state / "looks").read_text()
            assert "0123456789abcdef" not in seen
            assert not [path for path in machine.root.rglob("*") if path.is_file() and b"0123456789abcdef" in path.read_bytes()]


@check
def join_takes_a_file_too():
    with host() as machine:
        file = machine.state / "join-command"
        file.write_text(JOIN + " \n")
        succeeds(machine.run("worker", "--join", str(file), stdin=""))
        settings = (machine.state / "joined-with").read_text()
        assert 'apiServerEndpoint: "192.0.2.1:6443"' in settings and f'["{JOIN.split()[-1]}"]' in settings


@check
def what_is_no_join_command_is_refused():
    for text in ("", "hello", JOIN.replace("sha256:", ""), JOIN.replace("abcdef.", "abc."), JOIN.replace("192.0.2.1", "a b")):
        with host() as machine:
            fails(machine.run(*ROLES["worker"], stdin=text), "join-command")
            assert not [line for line in machine.calls() if line.startswith("kubeadm")]
    with host() as machine:
        fails(machine.run("worker", "--join", "/nowhere"), "cannot read /nowhere")


@check
def join_command_prints_nothing_else():
    with host() as machine:
        fails(machine.run("join-command"), "control plane")
        result = machine.initialised().run("join-command")
        succeeds(result)
        assert result.stdout == JOIN, result.stdout
        assert machine.calls() == ["kubeadm token create --ttl 1h --print-join-command"]


# --- refusals ------------------------------------------------------------------------------------

@check
def known_systems_are_accepted_and_others_refused():
    for name, version, codename in (("debian", "12", "bookworm"), ("debian", "13", "trixie"), ("ubuntu", "22.04", "jammy"),
                                    ("ubuntu", "24.04", "noble"), ("ubuntu", "26.04", "resolute")):
        with host(f'ID={name}\nVERSION_ID="{version}"\nVERSION_CODENAME={codename}\n') as machine:
            succeeds(machine.run(*ROLES["worker"]))
            source = (machine.root / "etc/apt/sources.list.d/kurz-docker.sources").read_text()
            assert f"/linux/{name}\nSuites: {codename}\n" in source, source
    for text in ('ID=debian\nVERSION_ID="11"\n', 'ID=ubuntu\nVERSION_ID="25.10"\n', 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora 43"\n', ""):
        with host(text) as machine:
            for arguments in (["control-plane"], ["control-plane", "--dry-run"]):
                fails(machine.run(*arguments), "which setup.sh does not know", "Debian 12 and 13")
            assert machine.calls() == []
    with host() as machine:
        (machine.root / "etc/os-release").unlink()
        fails(machine.run("control-plane"), "which setup.sh does not know")


@check
def a_wrong_command_line_is_refused_before_anything_happens():
    for arguments, words in (
        (["--frobnicate"], "there is no role"), (["master"], "there is no role"), ([], "usage:"),
        (["control-plane", "--frobnicate"], "has no option"), (["worker", "--endpoint", "a"], "has no option"),
        (["control-plane", "extra"], "has no option"), (["control-plane", "--pod-cidr"], "needs a value"),
        (["control-plane", "--pod-cidr", "10.0.0.0"], "takes networks"), (["control-plane", "--endpoint", "a;b"], "takes HOST"),
        (["control-plane", "--endpoint", 'a"\nb'], "takes HOST"), (["control-plane", "--service-cidr", "x/16"], "takes networks"),
        (["worker"], "needs --join"), (["nfs-server"], "needs --clients"), (["nfs-server", "--clients", "*"], "takes networks"),
        (["nfs-server", "--clients", "10.0.0.0/8,all"], "takes networks"),
        (["nfs-server", "--clients", "10.0.0.0/8", "--path", "srv"], "absolute path"),
        (["nfs-server", "--clients", "10.0.0.0/8", "--path", "/srv/a b"], "absolute path"),
        (["addons", "--ingress", "haproxy"], "traefik or nginx"),
    ):
        with host() as machine:
            result = machine.run(*arguments)
            fails(result, words)
            assert machine.calls() == [] and "step 0" not in result.stderr, (arguments, result.stderr)


@check
def a_host_that_cannot_be_a_node_is_refused():
    for spoil, words in (
        (lambda machine: {"FAKE_UID": "1000"}, "must run as root"),
        (lambda machine: (machine.root / "run/systemd/system").rmdir(), "systemd does not run here"),
        (lambda machine: (machine.root / "sys/fs/cgroup/cgroup.controllers").unlink(), "cgroup v1"),
    ):
        with host() as machine:
            fails(machine.run("control-plane", **(spoil(machine) or {})), words)
            assert machine.calls() == [] and not (machine.root / "var").exists()


@check
def addons_need_a_cluster_with_room():
    with host() as machine:
        fails(machine.run("addons"), "run addons on the control plane")
        machine.initialised().put("api/down", "yes")
        fails(machine.run("addons"), "does not answer")
        machine.put("api/down", "no")
        machine.put("nodes/list", "cp node-role.kubernetes.io/control-plane\n")
        fails(machine.run("addons"), "no node takes ordinary pods", "--single-node")
        assert machine.calls() == []


@check
def two_at_once_are_refused():
    with host() as machine:
        (machine.root / "var/lib/kurz-setup").mkdir(parents=True)
        with (machine.root / "var/lib/kurz-setup/lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fails(machine.run("control-plane"), "runs already")
            assert machine.calls() == []


@check
def a_copy_without_its_folder_says_so():
    with host() as machine:
        alone = machine.state / "setup.sh"
        shutil.copy(setup, alone)
        result = subprocess.run([alone, "control-plane", "--dry-run"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        fails(result, "copy the whole folder k8s")


@check
def help_fits_one_screen():
    with host("") as machine:
        for arguments in (["--help"], ["worker", "--help"]):
            result = machine.run(*arguments)
            succeeds(result)
            lines = result.stdout.splitlines()
            assert len(lines) <= 25 and max(map(len, lines)) <= 130, (len(lines), max(map(len, lines)))
            for role in ("control-plane", "join-command", "worker", "nfs-server", "addons"):
                assert f"\n  {role} " in result.stdout


@check
def nothing_floats():
    """Images have a version, and no file holds a password."""
    for path in sorted((setup.parent / "setup").glob("*")):
        text = path.read_text()
        for image in re.findall(r"image: (\S+)", text):
            assert re.search(r":v?\d+\.\d+\.\d+", image), f"{path.name}: {image}"
        assert not re.search(r"(?i)password\s*[:=]|:latest", text), path


def main() -> int:
    if sys.argv[1:] == ["--write"]:
        (here / "expected").mkdir(exist_ok=True)
        for role in ROLES:
            (here / f"expected/{role}.txt").write_text(dry_run(role))
        return 0
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for function, future in [(function, pool.submit(function)) for function in checks]:
            try:
                future.result()
                print(f"ok {function.__name__}", flush=True)
            except Exception as error:
                failed += 1
                note = str(error) if isinstance(error, AssertionError) and str(error) else "".join(traceback.format_exception(error))
                print(f"FAILED {function.__name__}: {note}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
