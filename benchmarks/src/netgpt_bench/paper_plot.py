"""The result of `netgpt bench paper` as one SVG picture: own few lines, so that a plot costs no dependency.

Three panels of bars on a logarithmic scale: memory and storage beside the paper's figures, milliseconds over the links,
bytes per request. Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from netgpt_bench.paper_lab import CLOUD_ONLY, DECIDES, EDGE_ONLY, SPLIT, SYNERGY, WHOLE_PROFILE

WIDTH, PANEL, LEFT, TOP = 960, 270, 64, 66
"""Pixels: of the picture, of each panel's height, of the axis's labels, of a panel's title and legend."""
BOTTOM = 34
PAPER_COLOUR = "#999999"
COLOURS = {
    CLOUD_ONLY: "#56B4E9",
    WHOLE_PROFILE: "#0072B2",
    SPLIT: "#D55E00",
    EDGE_ONLY: "#E69F00",
    SYNERGY: "#009E73",
    DECIDES: "#CC79A7",
}
PAPER_MB = {"storage": 486.8, "fine-tuning (LoRA)": 7800.0, "inference": 1650.0}
"""arXiv 2307.06148; the last two of a GPU's memory."""


@dataclass
class Panel:
    """Groups of bars side by side: `bars[series][group]` is a value, or None where there is none."""

    title: str
    groups: Sequence[str]
    bars: Mapping[str, Sequence[float | None]]
    colours: Mapping[str, str] = field(default_factory=lambda: COLOURS)

    def limits(self) -> tuple[int, int]:
        """Powers of ten around all values."""
        values = [value for bars in self.bars.values() for value in bars if value and value > 0] or [1.0]
        low, high = math.floor(math.log10(min(values)) - 0.05), math.ceil(math.log10(max(values)) + 0.05)
        return low, max(high, low + 1)


def svg(result: Mapping[str, Any]) -> str:
    """The picture, to be written to a file."""
    panels = [_memory(result), _latency(result), _bytes(result)]
    height = PANEL * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>netgpt bench paper</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {number * PANEL})">{_drawn(panel)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _memory(result: Mapping[str, Any]) -> Panel:
    row = next(row for row in result["ways"] if row["way"] == SYNERGY)
    here = [row["storage_mb"], row["tuning_lora_mb"], row["inference_mb"]]
    return Panel(
        "MB at the edge: the paper and NetGPT's synergy on this machine",
        list(PAPER_MB),
        {"paper": list(PAPER_MB.values()), "here": here},
        {"paper": PAPER_COLOUR, "here": COLOURS[SYNERGY]},
    )


def _latency(result: Mapping[str, Any]) -> Panel:
    rows = result["latency"]
    links = list(dict.fromkeys(row["link"] for row in rows))
    ways = list(dict.fromkeys(row["way"] for row in rows))
    found = {(row["way"], row["link"]): row["whole_ms"] for row in rows}
    return Panel(
        "ms to the end of the answer, by link (rate, one-way delay)",
        links,
        {way: [found.get((way, link)) for link in links] for way in ways},
    )


def _bytes(result: Mapping[str, Any]) -> Panel:
    rows = result["ways"]
    directions = (("up_bytes", "up"), ("down_bytes", "down"))
    return Panel(
        f"bytes per request over the link ({result['main_link']}); no bar: none",
        [name for _, name in directions],
        {row["way"]: [row[key] or None for key, _ in directions] for row in rows},
    )


def _drawn(panel: Panel) -> str:
    low, high = panel.limits()
    floor = PANEL - BOTTOM

    def y(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return floor - max(0.0, min(1.0, share)) * (floor - TOP)

    parts = [_text(LEFT, 16, panel.title, "start", bold=True), _legend(panel)]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - 8}" y2="{at:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, at + 4, f"{10.0**power:,g}", "end"))
    group_width = (WIDTH - LEFT - 8) / len(panel.groups)
    bar_width = min(28.0, group_width * 0.84 / len(panel.bars))
    for place, group in enumerate(panel.groups):
        middle = LEFT + group_width * (place + 0.5)
        for line, words in enumerate(group.split(", ")):
            parts.append(_text(middle, floor + 14 + 13 * line, words, "middle", size=11))
        for number, (series, values) in enumerate(panel.bars.items()):
            value = values[place]
            if value:
                x = middle + (number - len(panel.bars) / 2) * bar_width
                parts.append(_bar(x, y(value), bar_width - 1.5, floor, panel.colours[series], series, group, value))
    return "".join(parts)


def _bar(x: float, top: float, width: float, floor: float, colour: str, series: str, group: str, value: float) -> str:
    """A bar with its figure above it, and what it is as its tooltip."""
    told = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    upright = width < 20  # a narrow bar's figure stands on end, else it would run into its neighbour's
    label = _text(x + width / 2 + 3 * upright, top - 3, told, "start" if upright else "middle", size=9, on_end=upright)
    return (
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(0.5, floor - top):.1f}" fill="{colour}">'
        f"<title>{escape(f'{series}, {group}: {told}')}</title></rect>{label}"
    )


def _legend(panel: Panel) -> str:
    parts, x = [], float(LEFT)
    for series in panel.bars:
        parts.append(f'<rect x="{x:.1f}" y="24" width="10" height="10" fill="{panel.colours[series]}"/>')
        parts.append(_text(x + 14, 33, series, "start"))
        x += 30 + 6.4 * len(series)
    return "".join(parts)


def _text(
    x: float, y: float, text: str, anchor: str, *, size: int = 12, bold: bool = False, on_end: bool = False
) -> str:  # fmt: skip
    weight = ' font-weight="600"' if bold else ""
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if on_end else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222"{weight}{turned}>'
        f"{escape(text)}</text>"
    )
