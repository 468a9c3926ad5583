"""`netgpt bench privacy`: how well and how fast private data is found, beside Presidio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json, run
from netgpt.errors import NotFound

__all__ = ["privacy"]

_TITLES = {
    "pupa": "PUPA: private units left in the masked query",
    "presidio": "Presidio's synthetic set: private or not, word by word",
    "types": "Presidio's synthetic set: recall for each type",
    "wnut": "WNUT17: entities in noisy text (any overlap; exact)",
    "everyday": "everyday requests without private data: how many are touched",
    "speed": "milliseconds for a text never seen",
    "turns": "sealing a conversation that grows, milliseconds a turn",
    "memory": "resident memory over many texts",
}


@errors_told
def privacy(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with the public sets (privacy/, prompts/)."),
    sample: int = typer.Option(300, min=0, help="Rows of each set, drawn by seed; 0: all."),
    texts: int = typer.Option(100_000, min=100, help="Texts of the memory part."),
    only: str = typer.Option("", help="Parts, with commas: pupa,presidio,wnut,everyday,speed,turns,memory."),
    presidio: bool = typer.Option(True, help="Measure Presidio with the small spaCy model too."),
    seed: int = typer.Option(7, help="Seed of the draw and of the invented texts."),
    as_json: bool = json_option,
) -> None:
    """Private data found, missed and falsely seen; milliseconds and memory. This detector beside Presidio, one run."""
    from netgpt.bench import privacy as bench

    parts = [part.strip() for part in only.split(",") if part.strip()]
    result = run(
        bench.run(data, sample=sample, texts=texts, only=parts, seed=seed, presidio=presidio, progress=_told)
    )  # fmt: skip
    _show(result, as_json)


def _show(result: dict[str, Any], as_json: bool) -> None:
    from netgpt.bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key != "tables" and value}
    if as_json:
        print_json({"title": "privacy", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for part, rows in tables[:-1]:
        print_report(_TITLES[part], rows, {})
    for part, rows in tables[-1:]:
        print_report(_TITLES[part], rows, {**rest, **machine()})
    if not tables:
        raise NotFound("nothing was measured: " + "; ".join(result["skipped"].values()))


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
