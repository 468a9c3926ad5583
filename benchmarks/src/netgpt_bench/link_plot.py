"""The plot of `netgpt bench link`: late answers and quality by family, and one trace of each family over time.

In a time line each dot is a request: its colour is the target that was chosen, a cross says that it was late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from netgpt_bench import chart
from netgpt_bench.link_lab import ADAPTIVE, CLOUD_ONLY, EDGE_ONLY, THRESHOLD

WIDTH, LEFT, RIGHT = 960, 96, 944
BARS_HEIGHT, LINE_HEIGHT = 190, 214
RATE_TOP, RATE_FLOOR, ROW = 30, 106, 20
COLOURS = {ADAPTIVE: chart.GREEN, THRESHOLD: chart.PINK, CLOUD_ONLY: chart.BLUE, EDGE_ONLY: chart.ORANGE}
TARGETS = {"edge": chart.ORANGE, "cloud": chart.BLUE, "": chart.GREY}
NAME_CHARS = 22
"""Of a trace's name: the legend stands beside it."""
LOW_MBIT, HIGH_MBIT = 0.03, 1000.0
Row = Mapping[str, Any]


def svg(result: Row) -> str:
    """The plot as the text of an SVG file. `result`: what `link_report.run` returns."""
    rows = [*result["tables"]["families"], *result["tables"]["total"]]
    return chart.stacked(
        "netgpt bench link",
        WIDTH,
        [
            (BARS_HEIGHT, _bars(rows, "late", "Share of answers not whole by their deadline, by family of traces")),
            (BARS_HEIGHT, _bars(rows, "in time", "Mean quality of what came in time (late: 0), by family of traces")),
            *((LINE_HEIGHT, _time_line(one)) for one in _shown(result["results"])),
        ],
    )


def _shown(results: Sequence[Row]) -> list[Row]:
    """Of each family the trace over which cloud-only was late most often."""

    def late(one: Row) -> int:
        return sum(reply["late"] for reply in one["ways"].get(CLOUD_ONLY, ()))

    families = dict.fromkeys(one["job"]["family"] for one in results)
    return [max((one for one in results if one["job"]["family"] == family), key=late) for family in families]


def _bars(rows: Sequence[Row], column: str, title: str) -> str:
    top, floor = 48, BARS_HEIGHT - 24
    families = list(dict.fromkeys(row["family"] for row in rows))
    found = {(row["family"], row["way"]): row[column] for row in rows}
    highest = max(0.05, *found.values())
    bars = {way: [found.get((family, way), 0.0) for family in families] for way in COLOURS}
    return "".join(
        (
            chart.text(LEFT, 16, title, bold=True),
            chart.legend(COLOURS, LEFT),
            chart.line(LEFT, floor, RIGHT, floor, chart.GREY),
            chart.grouped_bars(
                families, bars, COLOURS, (LEFT, RIGHT), floor, lambda v: floor - (floor - top) * v / highest, _short
            ),
        )
    )


def _time_line(result: Row) -> str:
    job, ways = result["job"], result["ways"]
    seconds = float(job["seconds"])

    def x(at_s: float) -> float:
        return LEFT + (RIGHT - LEFT) * at_s / seconds

    title = f"{job['family']}: {job['name'][:NAME_CHARS]}, from second {job['start_s']:g}"
    entries = {"to the edge": TARGETS["edge"], "to the cloud": TARGETS["cloud"], "x not in time": chart.BLACK}
    parts = [chart.text(LEFT, 16, title, bold=True), chart.legend(entries, 420, 7), _rates(result["rates"], x)]
    for number, (way, replies) in enumerate(ways.items(), 1):
        y = RATE_FLOOR + ROW * number
        parts.append(chart.text(LEFT - 8, y + 4, way, anchor="end"))
        parts += [_dot(x(one["at_s"]), y, one) for one in replies]
    below = RATE_FLOOR + ROW * (len(ways) + 1)
    for at_s in range(0, int(seconds) + 1, 10):
        parts.append(chart.text(x(at_s), below, f"{at_s} s", anchor="middle", size=10))
    return "".join(parts)


def _rates(rates: Sequence[float], x: Callable[[float], float]) -> str:
    """The rate down on a logarithmic scale; where the link is cut, a grey field."""

    def y(mbit: float) -> float:
        share = math.log(max(mbit, LOW_MBIT) / LOW_MBIT) / math.log(HIGH_MBIT / LOW_MBIT)
        return RATE_FLOOR - (RATE_FLOOR - RATE_TOP) * min(1.0, share)

    parts = []
    for mbit in (0.1, 1, 10, 100):
        parts.append(chart.line(LEFT, y(mbit), RIGHT, y(mbit), "#eeeeee"))
        parts.append(chart.text(LEFT - 8, y(mbit) + 4, f"{mbit:g} Mbit/s", anchor="end", size=9))
    width = x(1) - x(0)
    for second, mbit in enumerate(rates):
        top, high, colour = (y(mbit), 1.6, "#444444") if mbit else (RATE_TOP, RATE_FLOOR - RATE_TOP, "#cccccc")
        parts.append(chart.rect(x(second), top, width, high, colour))
    return "".join(parts)


def _dot(x: float, y: float, one: Row) -> str:
    """A request; only late ones have a tooltip, which keeps the file small."""
    dot = f'<circle cx="{x:.0f}" cy="{y}" r="4" fill="{TARGETS.get(one["chosen"], TARGETS["cloud"])}"'
    if not one["late"]:
        return dot + "/>"
    tip = f"{one['kind']}: {one['chosen'] or 'nobody'}, {one['outcome']} after {one['took_s']:.1f} s"
    cross = f'<path d="M{x - 4:.0f} {y - 4}l8 8m0 -8l-8 8" stroke="#000000" stroke-width="1.6" fill="none"/>'
    return f"{dot}><title>{escape(tip)}</title></circle>{cross}"


def _short(value: float) -> str:
    return f"{value:.{2 if value >= 0.01 else 3}f}".removeprefix("0") if value else "0"
