"""`netgpt route`: how hard requests are (score, train, show), and what other weights would have decided (replay)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    json_option,
    lines_of,
    object_in,
    print_json,
    print_table,
    progress_bar,
    read_settings,
    read_stdin,
    reports_errors,
    say,
    texts_of,
    with_store,
)
from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.routing.difficulty import Difficulty
    from netgpt.routing.replay import OffPolicyEstimate, RecordedDecision, Replayed


app = typer.Typer(no_args_is_help=True, help="Routing: how hard requests are, and what decides where they go.")

_PRESETS = ("quality", "balanced", "cheap", "fast", "private")


@app.command()
@reports_errors
def replay(
    jsonl: Path | None = typer.Option(
        None, help="Recorded decisions, one JSON object a line, instead of this box's own records."
    ),
    prefer: str | None = typer.Option(None, help=f"{', '.join(_PRESETS)}; else as the settings say."),
    max_cloud_share: float | None = typer.Option(None, min=0, max=1, help="At most this share goes to a cloud."),
    newest: int = typer.Option(20_000, min=1, help="Records of this box to read, the newest."),
    as_json: bool = json_option,
) -> None:
    """Replay recorded decisions under other weights; judge them by the ratings, with error bars, beside fixed targets.

    Only requests whose answers were rated, and for which the box might have drawn another model, say what another
    policy would have been worth. Where there are too few of them the table says so.
    """
    from netgpt.routing.replay import replay as replayed
    from netgpt.routing.scoring import weights_of

    if prefer is not None and prefer not in _PRESETS:
        raise RequestError(f"--prefer: {prefer} is none of {', '.join(_PRESETS)}", param="prefer")
    rules = read_settings().routing
    name, weights = weights_of(prefer, rules)
    share = rules.max_cloud_share if max_cloud_share is None else max_cloud_share
    records = _from_file(jsonl) if jsonl is not None else _from_store(newest)
    label = name if share is None else f"{name}, cloud <= {share:.0%}"
    rows = replayed(records, weights, max_cloud_share=share, name=label)
    summary = {
        "records": len(records), "rated": sum(record.parts.rating in (-1, 1) for record in records),
        "explored": sum(record.is_explored for record in records), "weights": name, "max_cloud_share": share,
    }  # fmt: skip
    if as_json:
        print_json({**summary, "policies": [_as_json(row) for row in rows]})
    else:
        _show_replay(rows, summary)


def _from_store(newest: int) -> list[RecordedDecision]:
    from netgpt.routing.replay import read_record

    rows = with_store(lambda store: store.decisions.newest(newest))
    found = (read_record(row.target, row.propensity, row.private) for row in rows)
    return [record for record in found if record is not None]


def _from_file(path: Path) -> list[RecordedDecision]:
    from netgpt.routing.replay import read_record

    records = []
    for where, line in lines_of(path):
        try:
            row = object_in(line, where)
            record = read_record(row["arm"], row["propensity"], row)
        except (ValueError, KeyError, TypeError, RequestError):
            wanted = "an object with arm, propensity and expected"
            raise RequestError(f"{where}: not a recorded decision: {wanted}", param="jsonl") from None
        if record is not None:
            records.append(record)
    return records


def _as_json(row: Replayed) -> dict[str, Any]:
    shown = asdict(row)
    return {"policy": row.policy, "arms": shown.pop("targets"), **shown, "can_tell": row.worth.can_tell}


def _show_replay(rows: list[Replayed], summary: dict[str, Any]) -> None:
    columns = ["policy", "cloud", "cost/1000", "good answers", "worth: DR", "SNIPS", "IPS", "records"]
    table = [
        [
            row.policy, f"{row.cloud_share:.0%}", f"{row.cost:.4g}", _bar(row.quality, "dr"), _bar(row.worth, "dr"),
            _bar(row.worth, "snips"), _bar(row.worth, "ips"), f"{row.worth.effective:.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    print_table(columns, table if summary["records"] else [], title="recorded decisions, replayed")
    say(
        f"{summary['records']} decisions with a choice, {summary['rated']} rated, {summary['explored']} in which "
        f"another model might have been drawn. Worth as {summary['weights']} weighs it, with half the width of the 95 "
        "% interval; records: how many equally weighted ones would say as much."
    )


def _bar(estimate: OffPolicyEstimate, kind: str) -> str:
    interval = getattr(estimate, kind)
    return "cannot tell" if interval is None else f"{interval.value:.2f} ±{(interval.high - interval.low) / 2:.2f}"


_BATCH = 1024
_model_option = typer.Option(None, "--model", help="A model from `netgpt route train`; default: the one that ships.")


@app.command()
@reports_errors
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
@reports_errors
def train(
    data: Path = typer.Option(..., "--data", help="A JSONL file of your own rows."),
    out: Path = typer.Option(Path("difficulty.safetensors"), "--out", help="The file; its card is written beside it."),
    seed: int = typer.Option(7, help="The same seed, data and versions give the same file."),
    as_json: bool = json_option,
) -> None:
    """Train an expert of difficulty from your own rows and write it with its card.

    Rows: {"prompt", "label"} (1: the small model's answer did, 0: not) or {"prompt", "weak", "strong"} (scores, 0
    to 1).
    """
    from netgpt.training.difficulty import export
    from netgpt.training.difficulty import train as train_difficulty
    from netgpt.training.difficulty_data import own_rows
    from netgpt.word_pieces import StaticEmbedder

    rows = own_rows(data)
    with progress_bar("elapsed", quiet=as_json) as progress:
        task = progress.add_task("reading", total=None)

        def report(part: str, done: int, whole: int) -> None:
            progress.update(task, description=part, completed=done, total=whole)

        trained = train_difficulty(rows, StaticEmbedder(), seed, report)
    _show({"path": str(out), **export(trained, out)}, as_json)


@app.command()
@reports_errors
def show(model: Path = _model_option, as_json: bool = json_option) -> None:
    """Where the model of difficulty comes from: usual scores by sort of request, or your own rows and their figures."""
    opened = _opened(model)
    if model is not None:
        return _show({"path": str(model), **opened.card}, as_json)
    table, kinds = opened.table, opened.sorts.kinds
    rows = [
        {"sort": sort, "kind": kind, "small": round(float(small), 3), "large": round(float(large), 3)}
        for sort, kind, small, large in zip(table.sorts, kinds, table.small, table.large, strict=True)
    ]
    if as_json:
        return print_json({**opened.card, "sorts": rows})
    print_table(list(rows[0]), [list(row.values()) for row in rows], title=opened.card["what"])
    say(f"labels: {opened.card['labels']}")


def _opened(model: Path | None) -> Difficulty:
    from netgpt.routing.difficulty import Difficulty

    return Difficulty.load(model) if model is not None else Difficulty.shipped()


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
    line = json.dumps({"index": index, "p_edge_ok": round(chance, 6)}) if as_json else f"{chance:.4f}"
    sys.stdout.write(line + "\n")


def _show(card: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        return print_json(card)
    rows = [
        [kind, its["rows"], its["left out"]["APGR"], its["mean gain"], its["licence"]]
        for kind, its in card["kinds"].items()
    ]
    columns = ["kind", "labelled rows", "APGR, rows left out", "mean gain", "licence"]
    print_table(columns, rows, title=card["what"])
    for name in ("labels", "not covered", "word vectors", "bytes", "path"):
        say(f"{name}: {card[name]}")
