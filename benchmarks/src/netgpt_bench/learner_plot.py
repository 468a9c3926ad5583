"""The result of `netgpt bench learner` as one SVG picture: reward above the best fixed arm, request by request."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

WIDTH, PANEL, LEFT, TOP, BOTTOM = 960, 260, 64, 52, 30
COLOURS: Final = {"learner": "#0072B2", "random": "#E69F00"}
"""Of Okabe and Ito, which people with any colour vision tell apart."""


def svg(result: Mapping[str, Any]) -> str:
    """The picture, to be written to a file: a panel for each world, its first seed."""
    height = PANEL * len(result["curves"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>netgpt bench learner</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for place, curve in enumerate(result["curves"]):
        parts.append(f'<g transform="translate(0 {place * PANEL})">{_panel(curve, result["requests"])}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curve: Mapping[str, Any], requests: int) -> str:
    values = [value for name in COLOURS for value in curve[name]]
    low, high = min(0.0, *values), max(0.0, *values)
    spread = (high - low) or 1.0

    def x(number: float) -> float:
        return LEFT + number / requests * (WIDTH - LEFT - 16)

    def y(value: float) -> float:
        return float(PANEL - BOTTOM - (value - low) / spread * (PANEL - BOTTOM - TOP))

    parts = [
        _text(LEFT, 16, f"{curve['world']}: reward above always {curve['best fixed']} (best fixed arm in hindsight)"),
        f'<line x1="{LEFT}" y1="{y(0):.1f}" x2="{WIDTH - 16}" y2="{y(0):.1f}" stroke="#999999"/>',
        _text(LEFT - 6, y(0) + 4, "0", "end"),
        _text(LEFT - 6, y(high) + 4, f"{high:.0f}", "end"),
        _text(LEFT - 6, y(low) + 4, f"{low:.0f}", "end"),
        _text(WIDTH - 16, PANEL - 8, f"{requests:,} requests", "end"),
    ]
    for at, words in zip(curve["shifts"], ("price", "quality"), strict=False):
        parts.append(f'<line x1="{x(at):.1f}" y1="{TOP}" x2="{x(at):.1f}" y2="{PANEL - BOTTOM}" stroke="#bbbbbb"/>')
        parts.append(_text(x(at) + 4, TOP + 10, f"{words} changes"))
    for place, (name, colour) in enumerate(COLOURS.items()):
        step = requests / max(len(curve[name]), 1)
        points = " ".join(f"{x(number * step):.1f},{y(value):.1f}" for number, value in enumerate(curve[name]))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<rect x="{LEFT + 110 * place}" y="26" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(LEFT + 14 + 110 * place, 35, name))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{escape(text)}</text>'
