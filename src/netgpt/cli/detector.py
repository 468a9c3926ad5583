"""`netgpt detector`: what finds names and other private words, what it learnt from, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import typer

from netgpt.cli.common import json_option, print_json, print_table, reports_errors
from netgpt.errors import DetectorError, NotFound

app = typer.Typer(help="The finder of names and other private words.", no_args_is_help=True)


def _trainer() -> Callable[..., Any]:
    """What trains the detector comes with the benchmarks; without them the command says how to get it."""
    for point in entry_points(group="netgpt.commands", name="detector train"):
        return cast(Callable[..., Any], point.load())
    return _no_trainer


@reports_errors
def _no_trainer() -> None:
    """Train the detector of names; needs the package of the benchmarks."""
    from netgpt.cli import GET_BENCH

    raise NotFound(f"what trains the detector comes with the benchmarks, {GET_BENCH}")


app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(_trainer())


@app.command()
@reports_errors
def show(
    weights: Path | None = typer.Argument(None, help="A weights file with its card beside it; default: the shipped."),
    as_json: bool = json_option,
) -> None:
    """The card of the network: the data that it saw, and its figures on rows that it did not see."""
    from netgpt.privacy.tagger import SHIPPED

    card = _read(weights or SHIPPED)
    print_json(card) if as_json else print_table(("", ""), _rows(card))


def _read(weights: Path) -> dict[str, Any]:
    path = weights.with_suffix(".json")
    try:
        return {"weights": str(weights), "bytes": weights.stat().st_size, **json.loads(path.read_bytes())}
    except OSError as error:
        raise DetectorError(f"{error.filename}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise DetectorError(f"{path}: not a card (JSON)") from None


def _rows(card: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in card.items():
        title = f"{above}{name}"
        if isinstance(value, Mapping):
            rows += _rows(value, f"{title} ")
        else:
            rows.append((title, f"{value:.3f}" if isinstance(value, float) else _plain(value)))
    return rows


def _plain(value: Any) -> str:
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
