"""SVG charts for the reports of benchmarks: a few shapes as strings, so that a plot costs no dependency.

Coordinates are pixels from the top left. Colours are those of Okabe and Ito, distinct with any colour vision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

BLUE, RED, GREEN, ORANGE, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
GREY, BLACK, YELLOW = "#999999", "#000000", "#F0E442"
GRID, INK = "#dddddd", "#222222"


def document(title: str, width: int, height: int, panels: Iterable[tuple[float, float, str]]) -> str:
    """A whole SVG file. `panels`: (left, top, shapes), each drawn with its own origin."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="system-ui, sans-serif" font-size="12" role="img">',
            f"<title>{escape(title)}</title>",
            rect(0, 0, width, height, "#ffffff"),
            *(f'<g transform="translate({x} {y})">{shapes}</g>' for x, y, shapes in panels),
            "</svg>\n",
        ]
    )


def stacked(title: str, width: int, panels: Sequence[tuple[int, str]]) -> str:
    """A whole SVG file with (height, shapes) one below the other."""
    tops = [sum(height for height, _ in panels[:number]) for number in range(len(panels) + 1)]
    return document(title, width, tops[-1], [(0, top, shapes) for top, (_, shapes) in zip(tops, panels, strict=False)])


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, bold: bool = False, upright: bool = False
) -> str:
    """`anchor`: which end of the words stands at `x` (start, middle, end). `upright`: written from bottom to top."""
    weight = ' font-weight="600"' if bold else ""
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {at} fill="{INK}"{weight}{turned}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = GRID) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def rect(x: float, y: float, width: float, height: float, colour: str, tip: str = "") -> str:
    """`tip`: shown when the pointer is on it."""
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"'
    return shape + (f"><title>{escape(tip)}</title></rect>" if tip else "/>")


def curve(points: Iterable[tuple[float, float]], colour: str) -> str:
    """A line through the points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def legend(colours: Mapping[str, str], x: float, y: float = 24) -> str:
    """Coloured squares with their names, side by side."""
    parts = []
    for name, colour in colours.items():
        parts.append(rect(x, y, 10, 10, colour) + text(x + 14, y + 9, name))
        x += 34 + 6.4 * len(name)
    return "".join(parts)


def grouped_bars(
    groups: Sequence[str],
    bars: Mapping[str, Sequence[float | None]],
    colours: Mapping[str, str],
    span: tuple[float, float],
    floor: float,
    top_of: Callable[[float], float],
    shown: Callable[[float], str],
) -> str:
    """Groups of bars from `span[0]` to `span[1]`. `bars[series][group]` is a value; None: no bar.

    `top_of(value)`: where its bar ends; `shown(value)`: the figure above it.
    """
    group_width = (span[1] - span[0]) / len(groups)
    width = min(28.0, group_width * 0.84 / len(bars))
    parts = []
    for place, group in enumerate(groups):
        middle = span[0] + group_width * (place + 0.5)
        for row, words in enumerate(group.split(", ")):
            parts.append(text(middle, floor + 14 + 13 * row, words, anchor="middle", size=11))
        for number, (series, values) in enumerate(bars.items()):
            if (value := values[place]) is None:
                continue
            x, top, figure = middle + (number - len(bars) / 2) * width, top_of(value), shown(value)
            tip = f"{series}, {group}: {figure}"
            parts.append(rect(x, top, width - 1.5, max(0.5, floor - top), colours[series], tip))
            upright = width < 20  # a wide figure above a narrow bar would run into the next one
            at, anchor = x + width / 2 + 3 * upright, "start" if upright else "middle"
            parts.append(text(at, top - 3, figure, anchor=anchor, size=9, upright=upright))
    return "".join(parts)
