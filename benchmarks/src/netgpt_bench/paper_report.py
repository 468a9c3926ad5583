"""The result of `netgpt bench paper` as Markdown and as a plot: the paper beside this machine, ways, links, models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netgpt_bench import chart
from netgpt_bench.paper_lab import CLOUD_ONLY, DECIDES, EDGE_ONLY, SPLIT, SYNERGY, WHOLE_PROFILE

Row = Mapping[str, Any]

PAPER = {
    "storage": "486.8 MB",
    "tuning": "about 7.8 GB (GPU)",
    "inference": "1.65 GB (GPU)",
    "splitting": "0.95 + 1.40 D ms (D as the paper defines it)",
}
"""Figures of arXiv 2307.06148, for GPT-2-base at the edge and LLaMA-7B in the cloud."""
BARS = {"storage_mb": 105.0, "tuning_lora_mb": 1000.0, "inference_mb": 300.0}
"""What the synergy row must not pass, in MB of 10^6 bytes."""

_WAY_LINES: Sequence[tuple[str, Callable[[Row], str]]] = (
    ("storage at the edge, MB", lambda row: _number(row["storage_mb"])),
    ("fine-tuning at the edge, peak MB: LoRA", lambda row: _number(row["tuning_lora_mb"])),
    ("fine-tuning at the edge, peak MB: all weights", lambda row: _number(row["tuning_full_mb"])),
    ("inference at the edge, peak MB: the model's process", lambda row: _number(row["inference_mb"])),
    ("inference at the edge, peak MB: every process", lambda row: _number(row["whole_box_mb"])),
    ("bytes up / down per request", lambda row: f"{row['up_bytes']:,} / {row['down_bytes']:,}"),
    ("cloud tokens per request", lambda row: _number(row["cloud_tokens"])),
    ("answered by the cloud", lambda row: _percent(row["answered_by_cloud"])),
    ("first token / whole answer, ms", lambda row: f"{_number(row['first_ms'])} / {_number(row['whole_ms'])}"),
    ("completed prompt: needed facts present", lambda row: _percent(row["needed_facts_present"])),
    ("completed prompt: requests given a needless fact", lambda row: _percent(row["requests_given_needless"])),
    ("completed prompt: the person's words untouched", lambda row: _percent(row["words_untouched"])),
    ("answer: uses the needed fact", lambda row: _percent(row["answers_using_the_fact"])),
    ("answer: sound (ended, not empty, English, no placeholder)", lambda row: _percent(row["answers_sound"])),
    ("private values that left, of those at risk", lambda row: _left(row)),
)


def against_the_paper(result: Row) -> list[dict[str, Any]]:
    """The synergy row beside the paper: {"what", "paper", "here", "bar", "held"}; `held` None: no bar, or no figure."""
    row = next(row for row in result["ways"] if row["way"] == SYNERGY)
    split = result["splitting"][0]
    compared = [
        _compared("storage at the edge", PAPER["storage"], row["storage_mb"], "storage_mb"),
        _compared("fine-tuning, peak (LoRA)", PAPER["tuning"], row["tuning_lora_mb"], "tuning_lora_mb"),
        _compared("inference, peak (the model's process)", PAPER["inference"], row["inference_mb"], "inference_mb"),
    ]
    here = f"{split['link_ms_per_token']} ms a token ({split['model']})"
    compared.append(
        {"what": "splitting: transmission", "paper": PAPER["splitting"], "here": here, "bar": "-", "held": None}
    )
    return compared


def markdown(result: Row) -> str:
    """The whole report."""
    head = f"Main link: {result['main_link']} one way; cloud: {result['cloud']}; {result['samples']['main link']} "
    head += f"requests, at most {result['answer_tokens']} tokens an answer. Times are medians."
    parts = [
        "### The paper beside this machine (NetGPT synergy)",
        _table(("", "paper", "here", "bar"), [_compared_cells(row) for row in against_the_paper(result)]),
        f"### Ways\n{head}",
        _table(
            ("", *(row["way"] for row in result["ways"])),
            [(what, *(cell(row) for row in result["ways"])) for what, cell in _WAY_LINES],
        ),
        "### First token / whole answer over other links, ms",
        _links(result["latency"]),
        "### Models at the edge",
        _models(result["models"]),
        "### What splitting sends",
        _splitting(result["splitting"]),
        _notes(result),
    ]
    return "\n\n".join(parts) + "\n"


def _compared(what: str, paper: str, here: float | None, bar: str) -> dict[str, Any]:
    shown = "-" if here is None else f"{_number(here)} MB"
    limit = BARS[bar]
    held = None if here is None else here <= limit
    return {"what": what, "paper": paper, "here": shown, "bar": f"<= {limit:g} MB", "held": held}


def _compared_cells(row: Row) -> tuple[str, ...]:
    held = {True: ", held", False: ", **missed**", None: ""}[row["held"]]
    return row["what"], row["paper"], row["here"], row["bar"] + held


def _links(rows: Sequence[Row]) -> str:
    """One line a link, slowest last; the main link stands among them."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    links = list(dict.fromkeys(row["link"] for row in rows))
    cells = {(row["link"], row["way"]): f"{_number(row['first_ms'])} / {_number(row['whole_ms'])}" for row in rows}
    return _table(("link", *ways), [(link, *(cells.get((link, way), "-") for way in ways)) for link in links])


def _models(rows: Sequence[Row]) -> str:
    columns = (
        "model", "parameters, M", "storage, MB", "inference, MB", "tokens/s read / written", "LoRA: peak MB, tokens/s",
        "all weights: peak MB, tokens/s",
    )  # fmt: skip
    return _table(
        columns,
        [
            (
                f"{row['model']} ({row['family']})",
                _number(row["parameters_m"]),
                _number(row["storage_mb"]),
                _number(row["inference_mb"]),
                f"{row['prompt_per_s']} / {_number(row['written_per_s'])}",
                _tuned(row, "tuning_lora"),
                _tuned(row, "tuning_full"),
            )
            for row in rows
        ],
    )


def _tuned(row: Row, key: str) -> str:
    if row.get(f"{key}_mb") is None:
        return "failed" if row.get(f"{key}_failed") else "-"
    return f"{_number(row[f'{key}_mb'])}, {_number(row[f'{key}_tokens_per_s'])}"


def _splitting(rows: Sequence[Row]) -> str:
    return _table(
        ("model", "layers at the edge", "edge's half, MB", "bytes up / down a token", "ms of the link a token"),
        [
            (
                row["model"],
                f"{row['edge_layers']} of {row['layers']}",
                _number(row["edge_mb"]),
                f"{row['up_bytes_per_token']:,} / {row['down_bytes_per_token']}",
                row["link_ms_per_token"],
            )
            for row in rows
        ],
    )


def _notes(result: Row) -> str:
    parts = ", ".join(f"{part} {_number(peak)}" for part, peak in result["edge_processes_mb"].items())
    where = result["machine"]
    lines = [f"Processes at the edge, peak MB: {parts} (split edge: its side of {SPLIT}, with torch)."]
    lines += ["Does not show:", *(f"- {line}." for line in result["not_shown"])]
    lines.append(f"\n{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, load {where['load_1m']}; ")
    lines[-1] += f"Python {where['python']}, {', '.join(f'{k} {v}' for k, v in where['versions'].items())}; "
    lines[-1] += f"commit {where['commit']}, seed {result['seed']}."
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: float | None) -> str:
    """Three figures or so; "-" for nothing measured."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.0f} %"


def _left(row: Row) -> str:
    if row["private_values_left"] is None:
        return "not text"
    return f"{row['private_values_left']} of {row['private_values_at_risk']}"


# --- The plot: memory and storage beside the paper, milliseconds over the links, bytes a request.

WIDTH, PANEL, LEFT, TOP, FLOOR = 960, 270, 64, 66, 236
"""Pixels: of the plot, of a panel's height, left of the bars, above the tallest bar, down to the foot of the bars."""
COLOURS = {
    CLOUD_ONLY: chart.SKY,
    WHOLE_PROFILE: chart.BLUE,
    SPLIT: chart.RED,
    EDGE_ONLY: chart.ORANGE,
    SYNERGY: chart.GREEN,
    DECIDES: chart.PINK,
    "paper": chart.GREY,
    "here": chart.GREEN,
}
PAPER_MB = {"storage": 486.8, "fine-tuning (LoRA)": 7800.0, "inference": 1650.0}
"""arXiv 2307.06148; the last two of a GPU's memory."""
Bars = Mapping[str, Sequence[float | None]]


def svg(result: Row) -> str:
    """The plot as the text of an SVG file."""
    ways, latency = result["ways"], result["latency"]
    ours = next(row for row in ways if row["way"] == SYNERGY)
    here = [ours["storage_mb"], ours["tuning_lora_mb"], ours["inference_mb"]]
    links = list(dict.fromkeys(row["link"] for row in latency))
    took = {(row["way"], row["link"]): row["whole_ms"] for row in latency}
    named = list(dict.fromkeys(row["way"] for row in latency))
    panels: list[tuple[str, Sequence[str], Bars]] = [
        (
            "MB at the edge: the paper and NetGPT's synergy on this machine",
            list(PAPER_MB),
            {"paper": list(PAPER_MB.values()), "here": here},
        ),
        (
            "ms to the end of the answer, by link (rate, one-way delay)",
            links,
            {way: [took.get((way, link)) for link in links] for way in named},
        ),
        (
            f"bytes per request over the link ({result['main_link']}); no bar: none",
            ["up", "down"],
            {row["way"]: [row["up_bytes"], row["down_bytes"]] for row in ways},
        ),
    ]
    return chart.stacked("netgpt bench paper", WIDTH, [(PANEL, _panel(*panel)) for panel in panels])


def _panel(title: str, groups: Sequence[str], bars: Bars) -> str:
    """Bars on a logarithmic scale between powers of ten; none for 0."""
    bars = {name: [value or None for value in values] for name, values in bars.items()}
    values = [value for of_series in bars.values() for value in of_series if value] or [1.0]
    low = math.floor(math.log10(min(values)) - 0.05)
    high = max(math.ceil(math.log10(max(values)) + 0.05), low + 1)

    def y(value: float) -> float:
        return FLOOR - (math.log10(value) - low) / (high - low) * (FLOOR - TOP)

    parts = [chart.text(LEFT, 16, title, bold=True), chart.legend({name: COLOURS[name] for name in bars}, LEFT)]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(chart.line(LEFT, at, WIDTH - 8, at))
        parts.append(chart.text(LEFT - 6, at + 4, f"{10.0**power:,g}", anchor="end"))
    parts.append(chart.grouped_bars(groups, bars, COLOURS, (LEFT, WIDTH - 8), FLOOR, y, _figure))
    return "".join(parts)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
