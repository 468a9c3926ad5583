"""`netgpt models`: show, add, remove and tune the weights of the model on the box; see also `model_catalogue`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    confirm_changed,
    console,
    json_option,
    opened_files,
    print_details,
    print_json,
    print_table,
    read_settings,
    reports_errors,
    run,
    say,
    tell,
    yes_option,
)
from netgpt.cli.measuring import known_kinds, measured, print_kinds, show_measured

if TYPE_CHECKING:
    from netgpt.models.catalog import Catalog, WeightsEntry
    from netgpt.settings import Settings


app = typer.Typer(help="Weights of the model on the box.", no_args_is_help=True)

DEFAULT = "smollm2-135m"


@app.command()
@reports_errors
def show(name: str = typer.Argument(DEFAULT), json: bool = json_option) -> None:
    """Show one entry, what its file says of itself, and what the model can do by kind of task, as far as is known."""
    from netgpt.app.capability import ProfileFile
    from netgpt.capability.profile import of_weights
    from netgpt.models.catalog import Catalog
    from netgpt.models.gguf import check_weights

    settings = read_settings()
    with opened_files(settings) as proof:
        entry = Catalog(settings.models_dir, proof).show(name)
        profile = ProfileFile(settings.home, proof).of(of_weights(entry.sha256))
    facts = as_json(entry)
    if entry.present and entry.path.suffix == ".gguf":
        info = check_weights(entry.path)
        facts |= {
            "architecture": info.architecture, "model": info.name, "quantization": info.quantization,
            "context_tokens": info.context_tokens, "parameters": info.parameters,
        }  # fmt: skip
    if entry.path.suffix != ".gguf":
        return print_details(facts, json)
    kinds = known_kinds(profile, name)
    print_details(facts | ({"capability": kinds} if json else {}), json)
    if not json:
        asked = f"{profile.asked} questions" if profile else f"not measured here: netgpt models measure {name}"
        print_kinds(kinds, f"what it can do ({asked})")


@app.command()
@reports_errors
def measure(
    name: str = typer.Argument("edge", help="Weights by name or file, or a target: edge, cloud, an upstream's name."),
    kind: list[str] = typer.Option([], help="Only this kind of task; may be given several times. Default: all."),
    rounds: int = typer.Option(24, min=1, max=1000, help="Questions of each kind."),
    minutes: float = typer.Option(10.0, min=0.01, help="Stop after so long; the same command goes on from there."),
    budget: float | None = typer.Option(
        None, min=0, help="Money for a model elsewhere, by its price_prompt and price_completion; and 200,000 tokens."
    ),
    again: bool = typer.Option(False, "--again", help="Ask other questions than before, and add the figures."),
    fresh: bool = typer.Option(False, "--fresh", help="Forget what was measured of it before."),
    json: bool = json_option,
) -> None:
    """Ask a model questions whose answers a rule can check, and keep how often it was right by kind of task.

    Two to five minutes for a small model on two cores; what was asked is kept when it is stopped. Of a model on the box
    nothing leaves; one elsewhere is asked within a budget, with a receipt for each question.
    """
    from netgpt.capability.measure import MeasureLimits
    from netgpt.capability.profile import in_order
    from netgpt.judgement import TASK_KINDS

    kinds, limits = in_order(kind or TASK_KINDS), MeasureLimits(rounds=rounds, seconds=60 * minutes, money=budget)
    try:
        profile, spent = run(measured(read_settings(), name, kinds, limits, again=again, fresh=fresh, quiet=json))
    except KeyboardInterrupt:
        say("Stopped. The same command goes on where it was; --fresh begins anew.")
        raise
    if json:
        return print_json({"name": profile.name, "kinds": known_kinds(profile, profile.name), "run": asdict(spent)})
    show_measured(profile, spent)


@app.command()
@reports_errors
def add(
    file: Path = typer.Argument(help="A GGUF file of a chat model."),
    name: str | None = typer.Option(None, help="What to call it; default: from the file's name."),
    copy: bool = typer.Option(False, "--copy", help="Copy the file; otherwise it stays where it is."),
    json: bool = json_option,
) -> None:
    """Check a GGUF file and list it."""
    with opened_catalog() as catalog:
        entry = catalog.add(file, name, copy=copy)
    print_json(as_json(entry)) if json else print_weights(entry)


@app.command()
@reports_errors
def remove(name: str = typer.Argument(), json: bool = json_option) -> None:
    """Forget weights; files that NetGPT fetched or copied are deleted, a file added in place stays."""
    with opened_catalog() as catalog:
        entry = catalog.remove(name)
    kept = f"; {entry.path} was left alone" if entry.origin == "added" else ""
    tell(f"removed {entry.name}{kept}", json, name=entry.name, removed=True, path=str(entry.path))


@app.command()
@reports_errors
def optimize(
    name: str = typer.Argument(DEFAULT),
    threads: int = typer.Option(0, min=0, help="CPU threads to measure with; 0: one per physical core."),
    json: bool = json_option,
) -> None:
    """Rewrite the weights in each block format, measure them here, and keep the fastest that answers alike."""
    from netgpt.models.quantize import optimize as find_best

    with opened_catalog() as catalog, console.status("working") as status:
        outcome = run(find_best(catalog, name, threads=threads, say=status.update))
    if json:
        return print_json(asdict(outcome))
    rows = [
        (
            form, f"{figures.bytes / 1e6:.0f}", f"{figures.prompt_per_s:.0f}", f"{figures.written_per_s:.0f}",
            f"{figures.typical_s:.2f}", f"{figures.agreement:.0%}", "serves" if form == outcome.chosen else "",
        )
        for form, figures in outcome.figures.items()
    ]  # fmt: skip
    columns = ("format", "MB", "prompt tokens/s", "written tokens/s", "s per exchange", "same next token", "")
    print_table(columns, rows, title=outcome.why)


@app.command()
@reports_errors
def accept(yes: bool = yes_option, json: bool = json_option) -> None:
    """Take the list of weights and what was measured of them as they stand, after somebody or a backup changed the
    files. Look at them first."""
    from netgpt.app.capability import ProfileFile
    from netgpt.models.catalog import Catalog

    settings = read_settings()
    with opened_files(settings) as proof:
        catalog, profiles = Catalog(settings.models_dir, proof), ProfileFile(settings.home, proof)
        confirm_changed(catalog.tampered() | profiles.tampered(), yes)
        catalog.accept()
        profiles.accept()
    tell("the list of weights and what was measured count as they stand", json, accepted=True)


def print_weights(entry: WeightsEntry) -> None:
    """One line for people: the name and where the file is."""
    say(f"{entry.name}: {entry.path}")


def as_json(entry: WeightsEntry) -> dict[str, Any]:
    """An entry for machines; paths as text."""
    return {
        "name": entry.name, "present": entry.present, "origin": entry.origin, "path": str(entry.path),
        "bytes": entry.bytes, "sha256": entry.sha256, "license": entry.license, "optimized": entry.optimized,
        "serves": str(entry.optimized_path or entry.path), **entry.facts,
    }  # fmt: skip


@contextmanager
def opened_catalog(settings: Settings | None = None) -> Iterator[Catalog]:
    """The list of weights, with what vouches for it."""
    from netgpt.models.catalog import Catalog

    settings = settings or read_settings()
    with opened_files(settings) as proof:
        yield Catalog(settings.models_dir, proof)
