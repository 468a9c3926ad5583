"""`netgpt route`: how hard requests are: score them, train the model that does, show where it comes from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import errors_told, json_option, print_json, print_table, progress_bar, read_stdin, say
from netgpt.cli.route_replay import replay
from netgpt.cli.rows import texts_of
from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.routing.difficulty import Difficulty

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Routing: how hard requests are, and what decides where they go.")
app.command()(replay)
_BATCH = 1024
_model_option = typer.Option(None, "--model", help="A model from `netgpt route train`; default: the one that ships.")


@app.command()
@errors_told
def score(
    text: list[str] = typer.Argument(None, help="The request; without it, --jsonl or standard input is read."),
    jsonl: Path = typer.Option(None, "--jsonl", help="Read one JSON object a line; - for standard input."),
    field: str = typer.Option("prompt", "--field", help="The field of each row that holds the request."),
    model: Path = _model_option,
    as_json: bool = json_option,
) -> None:
    """The chance that a small model's answer will do, a line each, in the order of the rows. Nothing is sent."""
    if text and jsonl:
        raise RequestError("give the text or --jsonl, not both")
    difficulty = _opened(model)
    if jsonl is None:
        _write(0, difficulty.p_edge_ok(" ".join(text) if text else read_stdin()), as_json)
        return
    first = 0
    for texts in _batches(texts_of(jsonl, field)):
        for number, chance in enumerate(difficulty.p_edge_oks(texts), first):
            _write(number, float(chance), as_json)
        first += len(texts)
    sys.stdout.flush()


@app.command()
@errors_told
def train(
    data: Path = typer.Option(..., "--data", help="Folder of public sets, or a JSONL file of your own rows."),
    out: Path = typer.Option(Path("difficulty.safetensors"), "--out", help="The file; its card is written beside it."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    as_json: bool = json_option,
) -> None:
    """Train the model of difficulty and write it with its card.

    Own rows: {"prompt", "label"} (1: the small model's answer did, 0: not) or {"prompt", "weak", "strong"} (scores, 0
    to 1).
    """
    from netgpt.embedding import StaticEmbedder
    from netgpt.grading.making import make
    from netgpt.grading.sets import own_rows, public_sets
    from netgpt.grading.shipping import ship

    sets = public_sets(data, seed) if data.is_dir() else {"own": own_rows(data)}
    with progress_bar("elapsed", quiet=as_json) as progress:
        task = progress.add_task("reading", total=None)

        def told(part: str, done: int, whole: int) -> None:
            progress.update(task, description=part, completed=done, total=whole)

        made = make(sets, StaticEmbedder(), seed, told)
    _show({"path": str(out), **ship(made, out)}, as_json)


@app.command()
@errors_told
def show(model: Path = _model_option, as_json: bool = json_option) -> None:
    """Where the model of difficulty comes from: rows, licences, which labels it saw, figures on rows left out."""
    from netgpt.routing.difficulty import SHIPPED

    _show({"path": str(model or SHIPPED), **_opened(model).card}, as_json)


def _opened(model: Path | None) -> Difficulty:
    from netgpt.routing.difficulty import SHIPPED, Difficulty

    return Difficulty.load(model or SHIPPED)


def _batches(texts: Iterator[str]) -> Iterator[Sequence[str]]:
    """Up to so many at once. Rows before a faulty line are still answered."""
    held: list[str] = []
    try:
        for text in texts:
            held.append(text)
            if len(held) == _BATCH:
                yield held
                held = []
    except RequestError:
        yield held
        raise
    yield held


def _write(index: int, chance: float, as_json: bool) -> None:
    told = json.dumps({"index": index, "p_edge_ok": round(chance, 6)}) if as_json else f"{chance:.4f}"
    sys.stdout.write(told + "\n")


def _show(card: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(card)
        return
    rows = [
        [kind, told["rows"], told["rows assumed easy"], told["left out"]["APGR"], told["mean gain"], told["licence"]]
        for kind, told in card["kinds"].items()
    ]
    columns = ["kind", "labelled rows", "assumed easy", "APGR, rows left out", "mean gain", "licence"]
    print_table(columns, rows, title=card["what"])
    for name in ("labels", "not covered", "word vectors", "bytes", "path"):
        say(f"{name}: {card[name]}")
