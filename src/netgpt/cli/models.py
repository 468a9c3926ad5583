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
)

if TYPE_CHECKING:
    from netgpt.models.catalog import Catalog, WeightsEntry
    from netgpt.settings import Settings


app = typer.Typer(help="Weights of the model on the box.", no_args_is_help=True)

DEFAULT = "smollm2-135m"


@app.command()
@reports_errors
def show(name: str = typer.Argument(DEFAULT), json: bool = json_option) -> None:
    """Show one entry, and what its file says of itself."""
    from netgpt.models.gguf import check_weights

    with opened_catalog() as catalog:
        entry = catalog.show(name)
    facts = as_json(entry)
    if entry.present and entry.path.suffix == ".gguf":
        info = check_weights(entry.path)
        facts |= {
            "architecture": info.architecture, "model": info.name, "quantization": info.quantization,
            "context_tokens": info.context_tokens, "parameters": info.parameters,
        }  # fmt: skip
    print_details(facts, json)


@app.command()
@reports_errors
def add(
    file: Path = typer.Argument(help="A GGUF file of a chat model."),
    name: str | None = typer.Option(None, help="What to call it; default: from the file's name."),
    copy: bool = typer.Option(False, "--copy", help="Copy the file; otherwise it stays where it is."),
) -> None:
    """Check a GGUF file and list it."""
    with opened_catalog() as catalog:
        entry = catalog.add(file, name, copy=copy)
    print_weights(entry)


@app.command()
@reports_errors
def remove(name: str = typer.Argument()) -> None:
    """Forget weights; files that NetGPT fetched or copied are deleted, a file added in place stays."""
    with opened_catalog() as catalog:
        entry = catalog.remove(name)
    kept = f"; {entry.path} was left alone" if entry.origin == "added" else ""
    say(f"removed {entry.name}{kept}")


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
def accept(yes: bool = typer.Option(False, "--yes", help="Do not ask.")) -> None:
    """Take the list of weights as it stands, after somebody or a backup changed the file. Look at it first."""
    with opened_catalog() as catalog:
        confirm_changed(catalog.tampered(), yes)
        catalog.accept()
    say("the list of weights counts as it stands")


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
