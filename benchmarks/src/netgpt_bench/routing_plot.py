"""The cost-quality curves of `netgpt bench routing` as one SVG picture, a panel a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

PANEL, GAP, LEFT, TOP, LEGEND = 400, 60, 56, 34, 150
"""Pixels: side of a panel, room between panels, axis labels, titles, and the legend below."""
HIGHEST = 1.3
"""Top of the scale, in gaps; the oracle goes beyond."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#999999", "#000000", "#F0E442")
"""Okabe and Ito's: told apart with any colour vision."""
Curves = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]


def svg(curves: Curves) -> str:
    """The picture, to be written to a file. `curves[benchmark][way]`: (share of strong calls, gap recovered)."""
    width = len(curves) * (PANEL + GAP) + LEFT
    height = TOP + PANEL + 40 + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>netgpt bench routing</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    kinds = dict.fromkeys(_kind(way) for ways in curves.values() for way in ways)
    colours = {kind: COLOURS[number % len(COLOURS)] for number, kind in enumerate(kinds)}
    for number, (benchmark, ways) in enumerate(curves.items()):
        at = LEFT + number * (PANEL + GAP)
        parts.append(f'<g transform="translate({at} {TOP})">{_panel(benchmark, ways, colours)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _kind(way: str) -> str:
    """The same way has one colour in all panels, whichever other benchmark it learnt from."""
    return "learnt from the other" if way.endswith(("learnt from gsm8k", "learnt from mmlu")) else way


def _panel(benchmark: str, ways: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str]) -> str:
    parts = [
        f'<text x="0" y="-12" font-weight="600">{escape(benchmark)}: gap recovered by share of strong calls</text>'
    ]
    for tick in range(0, 6):
        share = tick / 5
        parts.append(_line(0, _y(share), PANEL, _y(share)) + _text(-6, _y(share) + 4, f"{share:.0%}", "end"))
        parts.append(_text(share * PANEL, PANEL + 16, f"{share:.0%}", "middle"))
    for number, (way, points) in enumerate(ways.items()):
        colour = colours[_kind(way)]
        path = " ".join(f"{x * PANEL:.1f},{max(0.0, _y(y)):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        row = PANEL + 38 + 15 * number
        parts.append(
            f'<rect x="0" y="{row - 9}" width="10" height="10" fill="{colour}"/>' + _text(16, row, way, "start")
        )
    return "".join(parts)


def _y(recovered: float) -> float:
    return PANEL * (1 - recovered / HIGHEST)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{escape(text)}</text>'
