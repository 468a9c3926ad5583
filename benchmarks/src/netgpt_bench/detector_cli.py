"""`netgpt train detector`: the finder of names and other private words, made from data in one command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import json_option, print_json, print_table, progress_bar, reports_errors, say


@reports_errors
def train_detector(
    data: Path | None = typer.Option(None, help="The folder of public data sets; without it: invented sentences."),
    out: Path = typer.Option(Path("detector"), help="Folder for the weights and their card."),
    epochs: int = typer.Option(9, min=1, help="Passes over the examples."),
    folds: int = typer.Option(0, min=0, help="Judge by so many folds first (5 takes five times as long); 0: do not."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    threads: int = typer.Option(2, min=1, help="CPU threads; another number may round otherwise."),
    as_json: bool = json_option,
) -> None:
    """Train the detector of names, judge it on rows it has not seen, and write weights and card."""
    from netgpt_bench.detector_train import make_detector

    with progress_bar("status", "elapsed", quiet=as_json) as bar:
        task = bar.add_task("reading", total=epochs * (folds + 1), status="")

        def told(part: str, epoch: int, loss: float) -> None:
            bar.update(task, description=f"{part}, pass {epoch}/{epochs}", advance=1, status=f"loss {loss:.3f}")

        result = make_detector(data, out, epochs=epochs, folds=folds, seed=seed, threads=threads, progress=told)
    print_json(result) if as_json else _show(result)


def _show(result: Mapping[str, Any]) -> None:
    rows = [
        [part, name, value if isinstance(value, int) else f"{value:.3f}"]
        for part, figures in result["cross-validated"].items()
        for name, value in figures.items()
    ]
    if rows:
        print_table(["rows of", "figure", "value"], rows, title=f"{result['folds']} folds, each row judged once")
    if not result["labelled"]:
        say("No public data sets there: trained on invented sentences alone, without figures.")
    say(f"Written: {result['path']}")
