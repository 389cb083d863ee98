"""What was found: a table with a verdict for each target, the plots, and the part of docs/performance.md between the
marks."""

import json
import statistics

import plot
from stack import ROOT

PAGE = ROOT / "docs/performance.md"
# What everything costs, for tests/bench/scale.py.
COSTS = ROOT / "docs/performance/costs.json"
BEGIN, END = "<!-- begin of what make bench writes -->", "<!-- end of what make bench writes -->"
NO_LOG, LOG, KURZ = "nginx, no log", "nginx, access log", "kurz"
# What the machine does beside it: two medians within this are the same.
NOISE = 1.25


def median(rows, key):
    return statistics.median(key(row) if callable(key) else row[key] for row in rows)


def spread(rows, key, form="{:,.0f}"):
    values = [key(row) if callable(key) else row[key] for row in rows]
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(statistics.median(values))} ({form.format(min(values))}–{form.format(max(values))})"


def megabytes(count):
    return f"{count / 1e6:,.0f} MB"


class Findings:
    def __init__(self, options):
        self.options, self.rows, self.plots, self.costs, self.minutes = options, [], {}, {}, 0

    def add(self, part, what, kurz, peer="", target="", met=None):
        verdict = "" if met is None else "ok" if met else "**missed**"
        self.rows.append((part, what, kurz, peer, target, verdict))

    def bulk(self, rate):
        self.add(
            "writes", "links in the database → link table (as after a restore)", f"{rate:,.0f}/s", "", "≥ 50,000/s",
            rate >= 50_000,
        )

    def memory(self, count, empty, started, nats):
        largest = max(memory for _, memory in started.values())
        scaled = empty + (largest - empty) * 1_000_000 / count
        self.add(
            "memory", f"redirector with {count:,} links of 60 bytes", megabytes(largest), "",
            f"≤ 200 MB for a million (here {megabytes(scaled)})", scaled <= 200e6,
        )
        self.add(
            "memory", "for each link; with none", f"{(largest - empty) / count:.0f} bytes; {megabytes(empty)}",
        )
        self.add("memory", "nats-server with these links", megabytes(nats))
        self.costs |= {"link_bytes": (largest - empty) / count, "link_nats_bytes": nats / count}
        for start, (seconds, _) in started.items():
            target = 3 if count >= 1_000_000 else None
            self.add(
                "memory", f"from start to ready, from the {start}", f"{seconds:.1f} s", "", "≤ 3 s" if target else "",
                seconds <= target if target else None,
            )

    def ten_million(self, redirector, empty, nats):
        memory = redirector.memory()
        self.add(
            "memory", "redirector with ten million links",
            f"{megabytes(memory)}, ready after {redirector.started:.0f} s; nats-server {megabytes(nats)}",
        )

    def throughput(self, rows, later):
        rate = lambda subject: median(rows[subject], "rate")
        cpu = lambda subject, name: median(rows[subject], lambda row: row["cpu"][name])
        ours, log, bare = rate(KURZ), rate(LOG), rate(NO_LOG)
        self.add(
            "throughput", "redirects/s",
            spread(rows[KURZ], "rate"), f"access log {spread(rows[LOG], 'rate')}, no log {spread(rows[NO_LOG], 'rate')}",
            f"≥ 1.0 × access log (here {ours / log:.2f})", ours >= log,
        )
        parts = ", ".join(f"{name} {cpu(KURZ, name):.1f}" for name in ("redirector", "nats", "analytics"))
        total, peer = cpu(KURZ, "all") + later, cpu(LOG, "all")
        self.add(
            "throughput", "CPU for each counted redirect, µs",
            f"{total:.1f}: {parts}, and {later:.1f} later", f"access log {peer:.1f}",
            f"≤ 1.0 × access log (here {total / peer:.2f})", total <= peer,
        )
        alone, peer = cpu(KURZ, "redirector"), cpu(NO_LOG, "all")
        self.add(
            "throughput", "of that the redirector alone, µs", f"{alone:.1f}", f"no log {peer:.1f}",
            f"≤ 1.15 × no log (here {alone / peer:.2f})", alone <= 1.15 * peer,
        )
        self.costs |= {f"{name}_us": cpu(KURZ, name) for name in ("redirector", "nats", "analytics")}
        self.costs["analytics_us"] += later
        form = "{:.1f}"
        for quantile in ("p50", "p99"):
            self.add(
                "throughput", f"{quantile} at saturation, ms", spread(rows[KURZ], quantile, form),
                f"access log {spread(rows[LOG], quantile, form)}, no log {spread(rows[NO_LOG], quantile, form)}",
            )
        behind = max(row["behind"] for row in rows[KURZ])
        self.add("throughput", "all counted after the load", f"{behind:.2f} s", "", "≤ 2 s", behind <= 2)
        self.plots["throughput"] = plot.bars(
            "Redirects a second, random links", "req/s",
            [(subject, [(subject, rate(subject))], [row["rate"] for row in rows[subject]]) for subject in rows],
        )
        self.plots["cpu"] = plot.bars(
            "CPU for each redirect, all processes, kernel included", "µs",
            [
                (
                    subject,
                    [(name, cpu(subject, name)) for name in rows[subject][0]["cpu"] if name != "all"]
                    + [("analytics, later", later)] * (subject == KURZ),
                    [],
                )
                for subject in rows
            ],
        )

    def latency(self, rates, rows):
        for subject, rate in rates.items():
            if subject.startswith(LOG):
                continue
            log = rows[LOG if rate == rates[LOG] else f"{LOG}, a quarter"]
            peer = median(log, "p99")
            p99, longest = median(rows[subject], "p99"), max(row["max"] for row in rows[subject])
            self.add(
                "latency", f"p99 at {rate:,.0f}/s, ms: {subject}", spread(rows[subject], "p99", "{:.2f}"),
                f"access log {spread(log, 'p99', '{:.2f}')}", f"≤ 1.5 × access log (here {p99 / peer:.2f})",
                p99 <= 1.5 * peer,
            )
            self.add(
                "latency", f"longest, ms: {subject}", spread(rows[subject], "max", "{:.1f}"),
                f"access log {spread(log, 'max', '{:.1f}')}", "≤ 20 ms", longest <= 20,
            )
            changes = [row["changes"] for row in rows[subject] if "changes" in row]
            if changes:
                self.add(
                    "latency", "link changes done at the same time",
                    spread(changes, lambda row: row["answered"] / row["seconds"]) + "/s, p99 "
                    + spread(changes, "p99", "{:.1f}") + " ms",
                )

    def ingest(self, clicks, took, cpu, filled, queries, stored, grown, memory):
        rate = clicks / took
        self.add(
            "ingest", f"clicks/s from a backlog of {clicks:,}", f"{rate:,.0f} ({cpu:.1f} µs each)", "", "≥ 250,000/s",
            rate >= 250_000,
        )
        self.costs |= {
            "ingest_rate": rate, "stream_bytes": stored / clicks, "database_bytes": grown / clicks,
        }
        p99 = median(queries, "p99")
        self.add(
            "ingest", "queries meanwhile: p99, ms", spread(queries, "p99", "{:.1f}"), "", "≤ 50 ms", p99 <= 50
        )
        self.add(
            "ingest", "bytes for each click: stream; database", f"{stored / clicks:.0f}; {grown / clicks:.0f}",
            f"published {filled['payload_bytes'] / clicks:.0f}",
        )
        self.add("ingest", "memory of analytics", megabytes(memory))

    def writes(self, rows, fsyncs):
        rate, p99 = median(rows, "rate"), median(rows, "p99")
        self.add(
            "writes", "links made over the API, 64 connections", spread(rows, "rate") + "/s",
            f"the disk: {fsyncs:,.0f} fsyncs/s", "≥ 10,000/s", rate >= 10_000,
        )
        self.add("writes", "p99, ms; CPU of each, µs", f"{spread(rows, 'p99', '{:.1f}')}; {median(rows, 'cpu'):.0f}",
                 "", "≤ 20 ms", p99 <= 20)

    def log_ins(self, rows, outcomes, seconds, memory):
        p99 = lambda index: (rows[subject][index]["p99"] for subject in ("before", "during"))
        of_nginx, with_log_ins = p99(2)
        peers = (f"; nginx, asked at the same time: {of_nginx:.2f} and {with_log_ins:.2f}", "")
        for index, what in enumerate(("redirects (2,000/s)", "token checks (200/s)")):
            before, during = p99(index)
            self.add(
                "log-ins", f"p99 of {what} while 100 log in, ms", f"{during:.2f}", f"before {before:.2f}{peers[index]}",
                f"unchanged within noise (here {during / before:.1f} ×)", during <= NOISE * before,
            )
        told = ", ".join(f"{times:,} × {status}" for status, times in outcomes.items())
        self.add("log-ins", f"answers in {seconds} s; memory of auth at most", f"{told}; {megabytes(memory)}")

    def guests(self, rate, rows):
        alone = rows["alone"]["p99"]
        for subject, row in rows.items():
            if subject == "alone":
                continue
            self.add(
                "others", f"p99 at {rate:,.0f}/s with {subject}, ms", f"{row['p99']:.2f}", f"alone {alone:.2f}",
                f"unchanged within noise (here {row['p99'] / alone:.1f} ×)", row["p99"] <= NOISE * alone,
            )

    def growth(self, rate, row, samples):
        # What fills once at the start is no growth.
        settled = samples[len(samples) // 5 :]
        minutes = samples[-1]["at"] / 60
        for name in ("redirector", "analytics", "nats"):
            slope = trend(settled, name)
            bound = max(0.02 * settled[0][name], 1e6)
            self.add(
                "growth", f"{name}: memory, and its trend in {minutes:.1f} minutes at {rate:,.0f}/s",
                f"{megabytes(samples[-1][name])}, {slope * 60 / 1e6:+.2f} MB/min", "", "flat",
                slope * samples[-1]["at"] <= bound,
            )
        files = {name: (settled[0][f"{name} files"], settled[-1][f"{name} files"]) for name in ("redirector", "analytics", "nats")}
        self.add(
            "growth", "open files, from → to", "; ".join(f"{name} {a} → {b}" for name, (a, b) in files.items()), "", "flat",
            all(b <= a + 5 for a, b in files.values()),
        )
        lag = [sample["lag"] for sample in settled]
        self.add(
            "growth", "clicks not yet counted: median, most", f"{statistics.median(lag):,.0f}, {max(lag):,}", "", "flat",
            trend(settled, "lag") * samples[-1]["at"] <= max(statistics.median(lag), 1000),
        )
        self.add("growth", "p99 and longest meanwhile, ms", f"{row['p99']:.2f}, {row['max']:.1f}")
        self.plots["growth"] = plot.lines(
            f"Memory at {rate:,.0f} redirects a second (without files)", "MB",
            {
                name: [(sample["at"] / 60, sample[name] / 1e6) for sample in samples]
                for name in ("redirector", "analytics", "nats")
            },
            "minutes",
        )

    def text(self):
        """The table, and what it was measured on."""
        machine, options = self.options.machine, self.options
        lines = [
            f"Measured on {machine['cores']} cores ({machine['cpu']}, Linux {machine['kernel']}) that the load generator "
            f"shares, at commit {machine['commit']}, load average before {machine['load']:.1f}; {options.links:,} links, "
            f"{options.rounds} rounds, medians (and ranges); {self.minutes:.0f} minutes in all. Every redirect that was "
            "answered was counted.",
            "",
            "| part | what | kurz | in the same run | target | |",
            "|---|---|---|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join(lines)

    def write(self):
        """The page and its plots."""
        folder = PAGE.with_suffix("")
        folder.mkdir(exist_ok=True)
        for name, text in self.plots.items():
            (folder / f"{name}.svg").write_text(text)
        COSTS.write_text(json.dumps({name: round(cost, 2) for name, cost in self.costs.items()}, indent=2) + "\n")
        titles = {"throughput": "Redirects a second", "cpu": "CPU for each redirect", "growth": "Memory over time"}
        images = [f"![{title}](performance/{name}.svg)" for name, title in titles.items() if name in self.plots]
        page = PAGE.read_text()
        before, after = page[: page.index(BEGIN)], page[page.index(END) :]
        PAGE.write_text("\n\n".join([before + BEGIN, self.text(), *images, after]))


def trend(samples, key):
    """By how much it grows a second: the line of least squares."""
    times = [sample["at"] for sample in samples]
    values = [sample[key] for sample in samples]
    if len(set(times)) < 2:
        return 0
    return statistics.linear_regression(times, values).slope
