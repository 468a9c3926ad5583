"""`netgpt detector`, `relevance`, `constraints`: the shipped networks, what each learnt from, how to make it again."""

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
relevance_app = typer.Typer(help="The model that knows which facts help with a request.", no_args_is_help=True)
constraints_app = typer.Typer(help="The model that reads what private facts rule out.", no_args_is_help=True)
RELEVANCE = Path(__file__).parent.parent / "completion" / "relevance.safetensors"
READING = Path(__file__).parent.parent / "constraints" / "reading.safetensors"


def _trainer(group: str) -> Callable[..., Any]:
    """What trains a network comes with the benchmarks; without them the command says how to get it."""
    for point in entry_points(group="netgpt.commands", name=f"{group} train"):
        return cast(Callable[..., Any], point.load())
    return _no_trainer


@reports_errors
def _no_trainer() -> None:
    """Train the network; needs the package of the benchmarks."""
    from netgpt.cli import GET_BENCH

    raise NotFound(f"what trains it comes with the benchmarks, {GET_BENCH}")


for _group, _name in ((app, "detector"), (relevance_app, "relevance"), (constraints_app, "constraints")):
    _freely = {"allow_extra_args": True, "ignore_unknown_options": True}
    _group.command("train", context_settings=_freely)(_trainer(_name))


@app.command("show")
@reports_errors
def show_detector(
    weights: Path | None = typer.Argument(None, help="A weights file with its card beside it; default: the shipped."),
    as_json: bool = json_option,
) -> None:
    """The card of the network: the data that it saw, and its figures on rows that it did not see."""
    from netgpt.privacy.tagger import SHIPPED

    _show(weights or SHIPPED, as_json)


@relevance_app.command("show")
@reports_errors
def show_relevance(
    weights: Path | None = typer.Argument(None, help="A weights file with its card beside it; default: the shipped."),
    as_json: bool = json_option,
) -> None:
    """The card of the network: the cards and public data that it saw."""
    _show(weights or RELEVANCE, as_json)


@constraints_app.command("show")
@reports_errors
def show_reading(
    weights: Path | None = typer.Argument(None, help="A weights file with its card beside it; default: the shipped."),
    as_json: bool = json_option,
) -> None:
    """The card of the network: what it was learnt from."""
    _show(weights or READING, as_json)


def _show(weights: Path, as_json: bool) -> None:
    card = _read(weights)
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
