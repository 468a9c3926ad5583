"""`netgpt detector|relevance|constraints|kinds train`: what makes the shipped weights, from the same data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import json_option, print_json, print_table, progress_bar, reports_errors, say
from netgpt.errors import SettingsError
from netgpt_bench.cli import encoder_weights, show_step


@reports_errors
def train_detector(
    data: Path | None = typer.Option(None, help="The folder of public data sets; without it: invented sentences."),
    material: Path | None = typer.Option(
        None, help="A folder of unpacked packages with harmless texts (docs/benchmarks/privacy.md); without it: fewer."
    ),
    out: Path = typer.Option(Path("detector"), help="Folder for the weights and their card."),
    epochs: int = typer.Option(9, min=1, help="Passes over the examples."),
    folds: int = typer.Option(0, min=0, help="Judge by so many folds first (5 takes five times as long); 0: do not."),
    once: bool = typer.Option(False, help="Train once, without the first fold, judge by that and ship this network."),
    hold_out: list[str] = typer.Option(
        [], help="Judge also by a set that a network never saw: pupa, synth, wnut or prompts. May be repeated."
    ),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    threads: int = typer.Option(2, min=1, help="CPU threads; another number may round otherwise."),
    as_json: bool = json_option,
) -> None:
    """Train the detector of names, judge it on rows it has not seen, and write weights and card."""
    try:
        from netgpt_bench.detector_train import make_detector
    except ImportError:
        raise SettingsError("training needs torch: install netgpt[train]") from None

    with progress_bar("told", "elapsed", quiet=as_json) as bar:
        task = bar.add_task("reading", total=epochs * ((1 if once else folds + 1) + len(hold_out)), told="")

        def progress(part: str, epoch: int, loss: float) -> None:
            bar.update(task, description=f"{part}, pass {epoch}/{epochs}", advance=1, told=f"loss {loss:.3f}")

        result = make_detector(
            data, out, material=material, epochs=epochs, folds=folds, once=once, held_out=tuple(hold_out), seed=seed,
            threads=threads, progress=progress,
        )  # fmt: skip
    print_json(result) if as_json else _show_detector(result)


def _show_detector(result: Mapping[str, Any]) -> None:
    rows = [
        [part, name, value if isinstance(value, int) else f"{value:.3f}"]
        for part, figures in result["cross-validated"].items()
        for name, value in figures.items()
    ]
    if rows:
        print_table(["rows of", "figure", "value"], rows, title="rows that the network has not seen")
    if not result["labelled"]:
        say("No public data sets there: trained on invented sentences alone, without figures.")
    say(f"Written: {result['path']}")


@reports_errors
def train_relevance(
    data: Path | None = typer.Option(None, help="The folder of public data sets; without it: our own cards alone."),
    out: Path = typer.Option(Path("relevance.safetensors"), help="The file to write; its card (.json) goes beside it."),
    passes: int = typer.Option(
        6, min=0, help="Passes over the cards; 0 with --begin: only calibration and kinds anew."
    ),
    leave_out: list[str] = typer.Option([], help="Learn nothing from this origin (snips, prefs ...). Repeatable."),
    begin: Path | None = typer.Option(None, help="The state (.pt) of an earlier training to go on from."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    threads: int = typer.Option(2, min=1, help="CPU threads; another number may round otherwise."),
    as_json: bool = json_option,
) -> None:
    """Train the model that knows which facts help with a request, on cards of invented people."""
    try:
        import torch

        from netgpt_bench.relevance_train import make_relevance
    except ImportError:
        raise SettingsError("training needs torch: install netgpt[train]") from None

    torch.set_num_threads(threads)
    with progress_bar("told", "elapsed", quiet=as_json) as bar:
        task = bar.add_task("reading", total=None, told="")

        def told(done: int, steps: int, loss: float) -> None:
            bar.update(task, description="learning", total=steps, completed=done, told=f"loss {loss:.3f}")

        card = make_relevance(
            encoder_weights(), out, data=data, passes=passes, leave_out=leave_out, begin=begin, seed=seed,
            progress=show_step, told=told,
        )  # fmt: skip
    print_json(card) if as_json else say(
        f"Written: {out}, learnt from {sum(card['learnt from']['cards'].values())} cards"
    )


@reports_errors
def train_reading(
    out: Path = typer.Option(Path("reading.safetensors"), help="The file to write; its card (.json) goes beside it."),
    steps: int = typer.Option(1_200, min=1, help="Steps of 32 texts."),
    leave_out: list[str] = typer.Option([], help="Learn no wording of this state or need (diabetes ...). Repeatable."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    threads: int = typer.Option(2, min=1, help="CPU threads; another number may round otherwise."),
    as_json: bool = json_option,
) -> None:
    """Train the model that reads what a private fact rules out, on invented facts."""
    try:
        import torch

        from netgpt_bench.reading_train import make_reading
    except ImportError:
        raise SettingsError("training needs torch: install netgpt[train]") from None

    torch.set_num_threads(threads)
    with progress_bar("told", "elapsed", quiet=as_json) as bar:
        task = bar.add_task("reading", total=steps, told="")

        def told(done: int, steps: int, loss: float) -> None:
            bar.update(task, description="learning", total=steps, completed=done, told=f"loss {loss:.3f}")

        card = make_reading(encoder_weights(), out, steps=steps, leave_out=leave_out, seed=seed, told=told)
    print_json(card) if as_json else say(f"Written: {out}, learnt from {card['learnt from']['wordings']} wordings")


@reports_errors
def train_kinds(
    data: Path | None = typer.Option(None, help="The folder `prompts` of the public sets; without it: lessons alone."),
    out: Path = typer.Option(Path("sorts.safetensors"), help="The file to write; its card (.json) goes beside it."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    as_json: bool = json_option,
) -> None:
    """Train the model that knows which sort of request a text is, on generated requests and public sets."""
    from netgpt_bench import kinds_train

    card = kinds_train.export(kinds_train.material(data, seed, show_step), out, seed)
    print_json(card) if as_json else say(f"Written: {out}, learnt from {sum(card['learnt from'].values())} requests")
