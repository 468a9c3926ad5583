"""`netgpt train detector`: the finder of names and other private words, made from data in one command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from netgpt.cli.common import console, errors_told, json_option, print_json, print_table
from netgpt.errors import NotFound, SettingsError

__all__ = ["train_detector"]


@errors_told
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
    if folds == 1:
        raise SettingsError("--folds 1 leaves nothing to train on: use 2 or more, or 0")
    result = make_detector(data, out, epochs=epochs, folds=folds, seed=seed, threads=threads, quiet=as_json)
    print_json(result) if as_json else _show(result)


def make_detector(
    data: Path | None, out: Path, *, epochs: int, folds: int, seed: int, threads: int, quiet: bool, **more: Any
) -> Mapping[str, Any]:
    """Train, judge, write; returns the card with the path of the weights. Raises SettingsError without torch.

    `more`: further fields of the `Course`, for a smaller one.
    """
    try:
        import torch
    except ImportError:
        raise SettingsError("training needs torch: install netgpt[train]") from None
    from netgpt.tagging.learn import Course
    from netgpt.tagging.making import Bench, cross_validated, final
    from netgpt.tagging.shipping import card, ship

    torch.set_num_threads(threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task("reading", total=epochs * (folds + 1), told="")

        def told(part: str, epoch: int, loss: float) -> None:
            progress.update(task, description=f"{part}, pass {epoch}/{epochs}", advance=1, told=f"loss {loss:.3f}")

        bench = Bench(data, seed, _plain(data))
        if bench.labelled is None:
            console.print("No public data sets there: training on invented sentences alone, without figures.")
        course = Course(epochs=epochs, seed=seed, **more)
        judged = cross_validated(bench, course, folds, told) if folds and bench.labelled else {}
        arrays = final(bench, course, told)
    path = ship(arrays, out, made := card(bench, course.told(), judged, folds if judged else 0))
    return {"path": str(path), **made}


def _plain(data: Path | None) -> frozenset[str]:
    """Everyday requests that hold nothing private, by the rule that `netgpt bench privacy` judges by."""
    from netgpt.bench.privacy_sets import everyday

    try:
        return frozenset(text for _, text in everyday(data, 0, 0)) if data is not None else frozenset()
    except NotFound:
        return frozenset()


def _show(result: Mapping[str, Any]) -> None:
    rows = [
        [part, name, value if isinstance(value, int) else f"{value:.3f}"]
        for part, figures in result["cross-validated"].items()
        for name, value in figures.items()
    ]
    if rows:
        print_table(["rows of", "figure", "value"], rows, title=f"{result['folds']} folds, each row judged once")
    console.print(f"Written: {result['path']}", soft_wrap=True)
