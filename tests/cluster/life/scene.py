"""A scene: something is done to the cluster while visitors follow links. What must be true of it, and what was."""

import collections
import random
import re
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Callable, NamedTuple

from kube import Failed, get, in_pod, kubectl, pods, rolled_out, until
from load import Load
from scenes import TARGET

VISITORS = 8
# How long a visitor waits for an answer.
PATIENCE = 5
LINKS = 32
# How long a click may take from the answer to the statistics, once everything is as it should be.
LATE = 120

# How many requests may fail, and how many clicks be lost:
NONE = "none"
# as many as were in flight on the redirectors that died: each visitor has one request at a time, so at most one
# for each visitor and each such redirector
IN_FLIGHT = "in flight"
# as many as the pod that took them with it said
SAID = "said"
# as many as a pod that is gone for good, with its volume, may not have published, which the scene says
UNPUBLISHED = "unpublished"
# any number, which the table tells: there is nobody who could answer, or the volume is gone
TOLD = "told"


class Skipped(Exception):
    """It can't be tried here."""


class Scene(NamedTuple):
    name: str
    play: Callable
    failed: str
    lost: str

    @property
    def what(self):
        return self.play.__doc__


SCENES = []


def scene(name, failed=NONE, lost=NONE):
    """Makes a scene of a function, whose first line says what happens; it gets a `Run`, and may return a remark."""
    def register(play):
        SCENES.append(Scene(name, play, failed, lost))
        return play
    return register


@dataclass
class Run:
    """One scene while it is played."""

    stage: object
    random: random.Random
    load: Load
    # requests a second
    rate: int
    # redirectors that died without a word
    deaths: int = 0
    # clicks that pods said to take with them
    said: int = 0
    # clicks that may be nowhere but on a volume that is gone
    unpublished: int = 0
    # since when nothing is done to the cluster but by itself
    left_alone: float = field(default_factory=time.monotonic)

    def in_any_order(self, things):
        things = sorted(things)
        return self.random.sample(things, len(things))

    def leave_alone(self):
        self.left_alone = time.monotonic()

    def more(self, answers, seconds=300):
        """Waits until so many more requests are answered."""
        enough = self.load.total() + answers
        until(f"{answers} more answers", lambda: self.load.total() >= enough, seconds)

    def at_some_moment(self):
        """The seed says when."""
        self.more(self.random.randrange(20, 400))


@dataclass
class Row:
    """What came out."""

    scene: Scene
    note: str = ""
    skipped: bool = False
    requests: int = 0
    failed: int = 0
    answered: int = 0
    counted: int = 0
    lost: int = 0
    double: int = 0
    seconds: float | None = None
    broken: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    # when something began to be done to the cluster, and since when nothing was
    began: float = field(default_factory=time.monotonic)
    left_alone: float = field(default_factory=time.monotonic)
    # alerts that it brought, for people, and whether it were the right ones; only if it was watched
    alerts: str = ""
    is_alarmed_well: bool = True


def play(one, stage, seed, per_second):
    """Plays a scene, and looks each request up in the statistics."""
    row = Row(one)
    settle()
    site = stage.site
    site.log_in(f"{one.name}-{int(time.time())}")
    codes = [site.shorten(TARGET)["code"] for _ in range(LINKS)]
    probe = Probe(site)
    missing = audited()
    load = Load(site, codes, per_second, VISITORS, PATIENCE)
    run = Run(stage, random.Random(f"{seed} {one.name}"), load, per_second)
    try:
        with load:
            run.more(per_second)
            run.leave_alone()
            row.began = run.left_alone
            row.note = one.play(run) or ""
            row.seconds = recovered(probe) - run.left_alone
            run.more(per_second)
    except Skipped as reason:
        row.skipped, row.note = True, str(reason)
        return row
    # A fault of a scene is one of its own, not of those that come after it.
    except Exception as error:
        traceback.print_exc()
        row.broken.append(f"{type(error).__name__}: {error}")
    row.left_alone = run.left_alone
    # However it went, what was answered is to be counted.
    try:
        tally(row, site, load, probe)
        judge(row, run, audited() - missing)
    except (Failed, OSError) as error:
        row.broken.append(f"not read: {type(error).__name__}: {error}")
    return row


def settle():
    """Waits until everything in the cluster is as it should be."""
    kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=180s")
    rolled_out()
    # A workload learns of its pods a moment after they changed.
    until("every pod that is asked for is ready", is_whole, 300)


def is_whole():
    ready = collections.Counter(pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods() if is_ready(pod))
    wanted = {one["metadata"]["name"]: one["spec"]["replicas"] for one in get("deployment,statefulset")["items"]}
    return ready == wanted


def is_ready(thing):
    """Of a pod or a node."""
    conditions = thing["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Probe:
    """A link beside those of the load: whether it leads on and is counted."""

    def __init__(self, site):
        self.site = site
        self.code = site.shorten(TARGET)["code"]
        self.clicks = 0
        # It was made last, so who has it has all. Several redirectors take turns.
        until("every redirector has the links", lambda: all([self.follow() for _ in range(12)]), 60)

    def follow(self):
        answered = self.site.follow(self.code).status == 302
        self.clicks += answered
        return answered

    def is_counted(self):
        return self.site.clicks(self.code) >= self.clicks


def recovered(probe):
    """When all pods are ready, and a click that was made then is counted."""
    settle()
    until("a link is followed", probe.follow)
    until("its click is counted", probe.is_counted, LATE)
    return time.monotonic()


def tally(row, site, load, probe):
    """Each request by its referrer: answered, and counted or not."""
    until("a token is given", lambda: site.log_in_again() or site.token, 60)
    row.requests = len(load.requests)
    row.answered = load.total()
    row.failed = row.requests - row.answered
    row.faults = load.failures
    all_counted(site, row.answered + probe.clicks)
    times = {}
    for code in load.codes:
        times |= site.referrers(code)
    answered = [times.get(request.referrer, 0) for request in load.requests if not request.fault]
    row.counted = sum(count > 0 for count in answered)
    row.lost = row.answered - row.counted
    row.double = sum(count > 1 for count in times.values())
    sent = {request.referrer for request in load.requests}
    if strangers := times.keys() - sent:
        row.broken.append(f"{len(strangers)} clicks are invented")


def all_counted(site, expected):
    """Waits until the clicks are there and no more come."""
    deadline, before, same = time.monotonic() + LATE, None, 0
    while same < 4:
        try:
            now = site.ask("GET", "/analytics/summary", expect=200).json()["clicks"]
        except (Failed, OSError):
            now = None
        late = time.monotonic() > deadline
        same = same + 1 if now == before and now is not None and (now >= expected or late) else 0
        if late and now is None:
            raise Failed("the statistics do not answer")
        before = now
        threading.Event().wait(0.5)


def judge(row, run, missing):
    one = row.scene
    bounds = {NONE: 0, IN_FLIGHT: VISITORS * run.deaths, TOLD: row.requests}
    if row.failed > bounds[one.failed]:
        row.broken.append(f"{row.failed} requests failed, at most {bounds[one.failed]} may: {row.faults[:3]}")
    elif one.failed == IN_FLIGHT:
        row.note = f"{row.note}; at most {bounds[IN_FLIGHT]} were in flight".removeprefix("; ")
    if row.double:
        row.broken.append(f"{row.double} clicks are counted twice")
    if one.lost == SAID:
        # A request that failed may have left a click behind, too.
        if not row.lost <= run.said <= row.lost + row.failed:
            row.broken.append(f"{row.lost} clicks are lost, and {run.said} said to be")
    elif one.lost == UNPUBLISHED:
        if row.lost > run.unpublished:
            row.broken.append(f"{row.lost} clicks are lost, at most {run.unpublished} may be")
        if missing > row.lost + row.failed:
            row.broken.append(f"analytics misses {missing} clicks")
    elif one.lost == NONE:
        if row.lost:
            row.broken.append(f"{row.lost} clicks are lost")
        # analytics knows the numbers of all clicks, also of those whose answer did not arrive.
        if missing > 0:
            row.broken.append(f"analytics misses {missing} clicks")
    if row.answered == 0:
        row.broken.append("nothing was answered")


def audited():
    """How many clicks analytics knows of that are neither counted nor on their way."""
    def look():
        # It fails if some are missing, and while it can't read the streams.
        text = in_pod("analytics-0", "analytics", "audit", check=False)
        return re.search(r"^(nothing is|(\d+) clicks are) missing", text, re.MULTILINE)

    return int(until("an audit", look, LATE)[2] or 0)


def redirectors():
    return pods("redirector")


def workload(name):
    """`deployment.apps/redirector` or `statefulset.apps/redirector`, whichever there is."""
    found = get("deployment,statefulset", "-l", f"app.kubernetes.io/name={name}")["items"][0]
    return f"{found['kind'].lower()}/{name}"
