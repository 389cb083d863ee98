"""Plots as SVG, with a background of their own in light and in dark, so that they can be read on any page."""

from html import escape

COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44"]
STYLE = """<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 15px }
  .ground { fill: #ffffff } .grid { stroke: #d0d7de } .range { stroke: #24292f; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground { fill: #0d1117 } .grid { stroke: #30363d } .range { stroke: #e6edf3 }
  }
</style>"""
WIDTH, LEFT, RIGHT, TOP = 760, 140, 30, 44


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{round(value, 1):g}"


def steps(most):
    """Round numbers from nothing to at least `most`."""
    unit = 10 ** (len(str(int(max(most, 1)))) - 1)
    step = next(unit * factor for factor in (0.2, 0.25, 0.5, 1, 2, 5) if unit * factor * 6 >= most)
    return [step * index for index in range(int(-(-most // step)) + 1)]


def text(x, y, words, anchor="start", kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def document(height, title, parts):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    ground = f'<rect class="ground" width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, STYLE, ground, text(16, 26, title, kind="title"), *parts, "</svg>"]) + "\n"


def legend(names, y):
    parts, x = [], LEFT
    for index, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{COLOURS[index % 4]}"/>')
        parts.append(text(x + 18, y, name))
        x += 40 + 8 * len(name)
    return parts


def bars(title, unit, rows):
    """One bar for each row: its name, its parts, and single measurements, whose range is drawn."""
    row_height, bar = 42, 24
    bottom = TOP + row_height * len(rows)
    most = max(max([sum(value for _, value in parts), *single]) for _, parts, single in rows)
    ticks = steps(most)
    x_of = lambda value: LEFT + value / ticks[-1] * (WIDTH - LEFT - RIGHT - 60)
    stacked = any(len(parts) > 1 for _, parts, _ in rows)
    names = list(dict.fromkeys(name for _, parts, _ in rows for name, _ in parts))
    out = [line(x_of(tick), TOP, x_of(tick), bottom, "grid") for tick in ticks]
    out += [text(x_of(tick), bottom + 18, number(tick), "middle") for tick in ticks]
    for index, (name, parts, single) in enumerate(rows):
        y, at = TOP + row_height * index + (row_height - bar) / 2, 0
        out.append(text(LEFT - 10, y + 17, name, "end"))
        for part, value in parts:
            colour = COLOURS[names.index(part) % 4]
            width = x_of(at + value) - x_of(at)
            out.append(f'<rect x="{x_of(at):.1f}" y="{y}" width="{width:.1f}" height="{bar}" fill="{colour}"/>')
            at += value
        end = x_of(at)
        if len(single) > 1:
            low, high = x_of(min(single)), x_of(max(single))
            middle = y + bar / 2
            out += [line(low, middle, high, middle, "range")]
            out += [line(x, middle - 5, x, middle + 5, "range") for x in (low, high)]
            end = max(end, high)
        out.append(text(end + 8, y + 17, f"{number(at)} {unit}"))
    height = bottom + 34
    if stacked:
        out += legend(names, bottom + 44)
        height += 24
    return document(height, title, out)


def lines(title, unit, series, x_unit):
    """One line for each series: its points."""
    bottom, height = 300, 360
    points = [point for values in series.values() for point in values]
    last = max(x for x, _ in points) or 1
    ticks = steps(max(y for _, y in points))
    left = 80
    x_of = lambda x: left + x / last * (WIDTH - left - RIGHT)
    y_of = lambda y: bottom - y / ticks[-1] * (bottom - TOP)
    out = [line(left, y_of(tick), WIDTH - RIGHT, y_of(tick), "grid") for tick in ticks]
    out += [text(left - 8, y_of(tick) + 4, f"{number(tick)} {unit}", "end") for tick in ticks]
    out += [text(x_of(last * part / 4), bottom + 18, f"{last * part / 4:.1f}", "middle") for part in range(5)]
    out.append(text(WIDTH - RIGHT, bottom + 36, x_unit, "end"))
    for index, values in enumerate(series.values()):
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in values)
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[index % 4]}" stroke-width="2"/>')
    return document(height, title, out + legend(list(series), bottom + 44))
