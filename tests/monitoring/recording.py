"""What Prometheus scraped while a scene of tests/cluster/chaos.py was played, and which alerts that brings.

A scene lasts a minute, and most alerts wait for many. So promtool is asked twice:
- as it was: a quarter of an hour of quiet, the scene, and quiet again, at the speed at which it was played. What fires
  here, fires in every such update and every such death.
- as if it had lasted: the part in which something is done to the cluster is drawn out to half an hour. A counter that
  rose by a hundred in it still rises by a hundred, and who was away for all of it still is. The rest is as it was."""

import json
import math
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = ROOT / "k8s/components/monitoring/alerts.yaml"

# Seconds: between two samples that promtool gets, of quiet before, of a scene that lasts, and of quiet afterwards.
TICK, BEFORE, LASTING, AFTER = 15, 900, 1800, 1200
# The labels of a target, as against those of its series.
TARGET = ("instance", "job", "namespace", "part_of", "pod")


def expressions():
    """Those of the rules."""
    return re.findall(r"^ {8}expr: (.*\n(?: {10}.*\n|\n)*)", ALERTS.read_text(), flags=re.MULTILINE)


def metrics():
    """The names that the rules ask for, of what kurz and kube-state-metrics say."""
    return set(re.findall(r"\b(?:up|kurz_\w+|kube_pod_\w+)\b", " ".join(expressions())))


def compared_with_earlier():
    """The names of those of which only news count: their rules look hours back, or a day."""
    of_records = {"kurz_audit_missing", "kurz_clicks_missing"}
    return of_records | {name for text in expressions() if " offset " in text for name in re.findall(r"kurz_\w+", text)}


def is_counter(name):
    return name.endswith(("_total", "_bucket", "_count", "_sum"))


class Recording:
    """Samples at equal steps. `series` has for a pair of name and labels a list with a value or None for each step.
    Something was done to the cluster from the step `began` until `left_alone`."""

    def __init__(self, scene, step, began, left_alone, series):
        self.scene, self.step, self.began, self.left_alone, self.series = scene, step, began, left_alone, series

    @property
    def length(self):
        return max(len(values) for values in self.series.values())

    @classmethod
    def of_samples(cls, scene, step, times, matrix):
        """Of an answer of Prometheus, in which something was done at the second and third of four `times`."""
        start, began, left_alone, end = times
        length = int((end - start) / step)
        series = {}
        for one in matrix:
            labels = dict(one["metric"])
            name, values = labels.pop("__name__"), [None] * length
            for time, value in one["values"]:
                if 0 <= (index := int((time - start) / step)) < length:
                    values[index] = float(value)
            # Scrapes are not exactly a step apart: a step may have none, the first and the last, too.
            if length > 1 and values[0] is None:
                values[0] = values[1]
            for index in range(1, length):
                if values[index] is None and (index == length - 1 or values[index + 1] is not None):
                    values[index] = values[index - 1]
            if any(value is not None for value in values):
                series[name, tuple(sorted(labels.items()))] = values
        recording = cls(scene, step, int((began - start) / step), math.ceil((left_alone - start) / step), series)
        recording.thin_out()
        return recording

    def thin_out(self):
        """Leaves out what adds nothing to any sum: requests and times of requests of which there were none, and phases
        that a pod never was in; and the times of so few requests to an API that no rule looks at them."""
        changed = set()
        for (name, labels), values in self.series.items():
            present = [value for value in values if value is not None]
            few = 50 if name.startswith("kurz_http_request_seconds") else 0
            if max(present) - min(present) > few or values[0] is None and not few:
                changed.add(self.histogram(name, labels))
        thin = re.compile(r"kurz_http_requests_total$|.*_bucket$|.*_seconds_(count|sum)$")
        self.series = {(name, labels): values for (name, labels), values in self.series.items()
                       if not thin.match(name) or self.histogram(name, labels) in changed}
        self.series = {(name, labels): values for (name, labels), values in self.series.items()
                       if name != "kube_pod_status_phase" or any(values)}

    @staticmethod
    def histogram(name, labels):
        return (re.sub("_(bucket|count|sum)$", "", name), tuple(label for label in labels if label[0] != "le"))

    def write(self, path):
        """One block for each target. `1*3 _ 2` is three times 1, nothing, and 2."""
        targets = {}
        for (name, labels), values in self.series.items():
            own = tuple(label for label in labels if label not in target(labels))
            targets.setdefault(target(labels), []).append(f"{name}{braces(own)} {short(values)}")
        head = [f"step {self.step}", f"began {self.began}", f"left_alone {self.left_alone}"]
        blocks = ["\n".join(head)]
        blocks += ["\n".join([braces(labels), *sorted(lines)]) for labels, lines in sorted(targets.items())]
        path.write_text("\n\n".join(blocks) + "\n")

    @classmethod
    def read(cls, path):
        head, *blocks = path.read_text().strip().split("\n\n")
        marks = dict(line.split() for line in head.splitlines())
        series = {}
        for block in blocks:
            first, *lines = block.splitlines()
            for line in lines:
                name, own, values = re.fullmatch(r"(\w+)({.*})? ([^{}]*)", line).groups()
                series[name, tuple(sorted(labels_of(first) | labels_of(own or "")))] = long(values)
        return cls(path.stem, float(marks["step"]), int(marks["began"]), int(marks["left_alone"]), series)

    def test(self, lasting):
        """A test of promtool without any expectation."""
        done = max(self.left_alone - self.began, 1) * self.step
        drawn_out = max(LASTING, done) if lasting else done
        rest = (self.length - self.left_alone) * self.step
        whole = BEFORE + self.began * self.step + drawn_out + rest + AFTER

        def source(time):
            """The place in the recording that is shown at a time of the test."""
            time -= BEFORE + self.began * self.step
            if time < 0:
                return max(self.began + time / self.step, 0)
            if time < drawn_out:
                return self.began + time / drawn_out * (self.left_alone - self.began)
            return self.left_alone + (time - drawn_out) / self.step

        places = [source(tick * TICK) for tick in range(int(whole / TICK) + 1)]
        # A scene begins and ends with everything ready that is asked for: who is down then is on its way out.
        leaving = {target(labels) for (name, labels), values in self.series.items() if name == "up" and not values[-1]}
        series = []
        for (name, labels), values in self.news().items():
            if target(labels) in leaving:
                values = [*values, None]
            if name == "up" and not values[0]:
                values = [None, *values[1:]]
            shown = [sample(values, place, is_counter(name)) for place in places]
            series.append({"series": name + braces(labels), "values": notation(shown)})
        firing = f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{int(whole)}s]))'
        return {"interval": f"{TICK}s", "input_series": series,
                "promql_expr_test": [{"expr": firing, "eval_time": f"{int(whole)}s"}]}

    def news(self):
        """The series, but what only news count of begins at 0: the scenes before have left something there."""
        news, names, before = {}, compared_with_earlier(), {}
        for (name, labels), values in self.series.items():
            if name in names and values[0]:
                before[name, without_instance(labels)] = values[0]
        for (name, labels), values in self.series.items():
            known = before.get((name, without_instance(labels)), 0)
            if known:
                # A counter of a process that was started again is less than it was.
                restarted = is_counter(name) and (min(value for value in values if value is not None) < known)
                values = values if restarted else [value and max(value - known, 0) for value in values]
            news[name, labels] = values
        return news

    def alerts(self, promtool, lasting):
        """The names of those that fire."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"rule_files": [str(ALERTS)], "evaluation_interval": "30s", "tests": [self.test(lasting)]}, file)
            file.flush()
            done = subprocess.run([promtool, "test", "rules", file.name], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if done.returncode == 0:
            return set()
        got = re.search(r"^\s*got: ?(.*)", said, flags=re.MULTILINE)
        if not got:
            raise ValueError(f"promtool on {self.scene}: {said.strip()}")
        return set(re.findall(r'alertname=\\?"(\w+)', got[1]))


def target(labels):
    return tuple(label for label in labels if label[0] in TARGET)


def without_instance(labels):
    return tuple(label for label in labels if label[0] != "instance")


def sample(values, place, is_counter):
    """What is scraped at a place between two steps; None for nothing."""
    index = min(int(place), len(values) - 1)
    value, after = values[index], values[min(index + 1, len(values) - 1)]
    if is_counter and value is not None and after is not None and after > value and place < len(values):
        value += (after - value) * (place - index)
    return value


def number(value):
    return f"{value:.10g}"


def runs(texts):
    """Pairs of a text and how often it comes, one after the other."""
    found = []
    for text in texts:
        if found and found[-1][0] == text:
            found[-1][1] += 1
        else:
            found.append([text, 1])
    return found


def notation(values):
    """As promtool writes it; a series that ends is stale, as it is when its target is gone or does not answer."""
    texts = []
    for index, value in enumerate(values):
        ends = value is None and index > 0 and values[index - 1] is not None
        texts.append("stale" if ends else "_" if value is None else number(value))
    return " ".join(text if times == 1 else f"{text}x{times - (text != '_')}" for text, times in runs(texts))


def short(values):
    texts = ("_" if value is None else number(value) for value in values)
    return " ".join(text if times == 1 else f"{text}*{times}" for text, times in runs(texts))


def long(text):
    values = []
    for word in text.split():
        value, _, times = word.partition("*")
        values += [None if value == "_" else float(value)] * int(times or 1)
    return values


def braces(labels):
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels) + "}" if labels else ""


def labels_of(text):
    return {(name, json.loads(value)) for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text)}
