"""The link lab as one SVG picture: late answers and quality by family, and the time line of a trace of each family.

In a time line each dot is a request, at the time it came: its colour is the arm that was chosen, a cross says that it
was not whole by its deadline. Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from netgpt_bench.link_lab import ADAPTIVE, CLOUD_ONLY, EDGE_ONLY, THRESHOLD

WIDTH, LEFT, RIGHT = 960, 96, 16
BARS_HEIGHT, LINE_HEIGHT = 190, 214
"""Pixels: of the panel of bars, of each time line."""
RATE_TOP, RATE_FLOOR, ROW = 30, 106, 20
COLOURS = {ADAPTIVE: "#009E73", THRESHOLD: "#CC79A7", CLOUD_ONLY: "#0072B2", EDGE_ONLY: "#E69F00"}
ARMS = {"edge": "#E69F00", "cloud": "#0072B2", "": "#999999"}
NAME_CHARS = 22
"""Of a trace's name: the legend stands beside it."""
LOW_MBIT, HIGH_MBIT = 0.03, 1000.0
Row = Mapping[str, Any]


def svg(result: Row) -> str:
    """The picture, to be written to a file. `result`: what `link_run.run` returns."""
    rows = [*result["tables"]["families"], *result["tables"]["total"]]
    panels = [
        (BARS_HEIGHT, _bars(rows, "late", "Share of answers not whole by their deadline, by family of traces")),
        (BARS_HEIGHT, _bars(rows, "in time", "Mean quality of what came in time (late: 0), by family of traces")),
        *((LINE_HEIGHT, _time_line(one)) for one in _shown(result["results"])),
    ]
    height = sum(high for high, _ in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>netgpt bench link</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    at = 0
    for high, drawn in panels:
        parts.append(f'<g transform="translate(0 {at})">{drawn}</g>')
        at += high
    return "\n".join([*parts, "</svg>"]) + "\n"


def _shown(results: Sequence[Row]) -> list[Row]:
    """Of each family the trace over which cloud-only was late most often."""
    best: dict[str, Row] = {}
    for one in results:
        family = str(one["job"]["family"])
        if family not in best or _late(one) > _late(best[family]):
            best[family] = one
    return list(best.values())


def _late(result: Row) -> int:
    return sum(one["late"] for one in result["ways"].get(CLOUD_ONLY, ()))


def _bars(rows: Sequence[Row], column: str, title: str) -> str:
    top, floor = 48, BARS_HEIGHT - 24
    families = list(dict.fromkeys(row["family"] for row in rows))
    found = {(row["family"], row["way"]): row[column] for row in rows}
    highest = max(0.05, *(found.values()))
    parts = [_text(LEFT, 16, title, bold=True), _legend(COLOURS)]
    parts += [f'<line x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}" stroke="#999999"/>']
    group = (WIDTH - LEFT - RIGHT) / len(families)
    wide = min(26.0, group * 0.84 / len(COLOURS))
    for place, family in enumerate(families):
        middle = LEFT + group * (place + 0.5)
        parts.append(_text(middle, floor + 15, family, anchor="middle"))
        for number, (way, colour) in enumerate(COLOURS.items()):
            value = found.get((family, way), 0.0)
            high = (floor - top) * value / highest
            x = middle + (number - len(COLOURS) / 2) * wide
            parts.append(
                f'<rect x="{x:.1f}" y="{floor - high:.1f}" width="{wide - 1.5:.1f}" height="{high:.1f}" '
                f'fill="{colour}"><title>{escape(f"{way}, {family}: {value:.3f}")}</title></rect>'
            )
            parts.append(_text(x + wide / 2, floor - high - 3, _short(value), anchor="middle", size=9))
    return "".join(parts)


def _time_line(result: Row) -> str:
    job, seconds = result["job"], float(result["job"]["seconds"])

    def x(at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at_s / seconds

    parts = [_text(LEFT, 16, f"{job['family']}: {job['name'][:NAME_CHARS]}, from second {job['start_s']:g}", bold=True)]
    parts.append(_legend({"to the edge": ARMS["edge"], "to the cloud": ARMS["cloud"], "x not in time": "#000000"}, 420))
    parts.append(_rates(result["rates"], x))
    for number, (way, told) in enumerate(result["ways"].items()):
        y = RATE_FLOOR + ROW * (number + 1)
        parts.append(_text(LEFT - 8, y + 4, way, anchor="end"))
        parts += [_dot(x(one["at_s"]), y, one) for one in told]
    for at_s in range(0, int(seconds) + 1, 10):
        parts.append(
            _text(x(at_s), RATE_FLOOR + ROW * (len(result["ways"]) + 1), f"{at_s} s", anchor="middle", size=10)
        )
    return "".join(parts)


def _rates(rates: Sequence[float], x: Any) -> str:
    """The rate down on a logarithmic scale; where the link is cut, a grey field."""

    def y(mbit: float) -> float:
        share = math.log(max(mbit, LOW_MBIT) / LOW_MBIT) / math.log(HIGH_MBIT / LOW_MBIT)
        return RATE_FLOOR - (RATE_FLOOR - RATE_TOP) * min(1.0, share)

    parts = []
    for mbit in (0.1, 1, 10, 100):
        parts.append(f'<line x1="{LEFT}" y1="{y(mbit):.1f}" x2="{WIDTH - RIGHT}" y2="{y(mbit):.1f}" stroke="#eeeeee"/>')
        parts.append(_text(LEFT - 8, y(mbit) + 4, f"{mbit:g} Mbit/s", anchor="end", size=9))
    for second, mbit in enumerate(rates):
        left, wide = x(second), x(second + 1) - x(second)
        if mbit:
            parts.append(f'<rect x="{left:.1f}" y="{y(mbit):.1f}" width="{wide:.1f}" height="1.6" fill="#444444"/>')
        else:
            high = RATE_FLOOR - RATE_TOP
            parts.append(f'<rect x="{left:.1f}" y="{RATE_TOP}" width="{wide:.1f}" height="{high}" fill="#cccccc"/>')
    return "".join(parts)


def _dot(x: float, y: float, one: Row) -> str:
    """What was late says more of itself as its tooltip; to say it of all would make the file large."""
    colour = ARMS.get(one["chosen"], ARMS["cloud"])
    if not one["late"]:
        return f'<circle cx="{x:.0f}" cy="{y}" r="4" fill="{colour}"/>'
    told = f"{one['kind']}: {one['chosen'] or 'nobody'}, {one['outcome']} after {one['took_s']:.1f} s"
    return (
        f'<circle cx="{x:.0f}" cy="{y}" r="4" fill="{colour}"><title>{escape(told)}</title></circle>'
        f'<path d="M{x - 4:.0f} {y - 4}l8 8m0 -8l-8 8" stroke="#000000" stroke-width="1.6" fill="none"/>'
    )


def _short(value: float) -> str:
    return (
        "0" if value == 0 else f"{value:.2f}".removeprefix("0") if value >= 0.01 else f"{value:.3f}".removeprefix("0")
    )


def _legend(entries: Mapping[str, str], x: float = LEFT) -> str:
    parts, y = [], 24 if x == LEFT else 7
    for name, colour in entries.items():
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, y + 9, name))
        x += 34 + 6.4 * len(name)
    return "".join(parts)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222"{weight}>'
        f"{escape(text)}</text>"
    )
