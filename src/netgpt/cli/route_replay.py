"""`netgpt route replay`: what a policy would have done with recorded traffic, and what that would have been worth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import errors_told, json_option, print_json, print_table, read_settings, say
from netgpt.cli.rows import lines_of, object_in
from netgpt.cli.storing import with_store
from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.routing.offpolicy import OffPolicyEstimate
    from netgpt.routing.replay import RecordedDecision, Replayed

__all__ = ["replay"]

_PRESETS = ("quality", "balanced", "cheap", "fast", "private")


@errors_told
def replay(
    jsonl: Path | None = typer.Option(
        None, help="Recorded decisions, one JSON object a line, instead of this box's own records."
    ),
    prefer: str | None = typer.Option(None, help=f"{', '.join(_PRESETS)}; else as the settings say."),
    max_cloud_share: float | None = typer.Option(None, min=0, max=1, help="At most this share goes to a cloud."),
    newest: int = typer.Option(20_000, min=1, help="Records of this box to read, the newest."),
    as_json: bool = json_option,
) -> None:
    """Replay recorded decisions under other weights; judge them by the ratings, with error bars, beside fixed arms.

    Only requests whose answers were rated, and for which the box might have drawn another model, say what another
    policy would have been worth. Where there are too few of them the table says that nobody can tell.
    """
    from netgpt.routing.replay import replay as replayed
    from netgpt.routing.weighing import weights_of

    if prefer is not None and prefer not in _PRESETS:
        raise RequestError(f"--prefer: {prefer} is none of {', '.join(_PRESETS)}", param="prefer")
    rules = read_settings().routing
    name, weights = weights_of(prefer, rules)
    share = rules.max_cloud_share if max_cloud_share is None else max_cloud_share
    records = _from_file(jsonl) if jsonl is not None else _from_store(newest)
    label = name if share is None else f"{name}, cloud <= {share:.0%}"
    rows = replayed(records, weights, max_cloud_share=share, name=label)
    rated = sum(record.parts.rating in (-1, 1) for record in records)
    told = {
        "records": len(records),
        "rated": rated,
        "explored": sum(record.is_explored for record in records),
        "weights": name,
        "max_cloud_share": share,
    }
    if as_json:
        print_json({**told, "policies": [_as_json(row) for row in rows]})
    else:
        _show(rows, told)


def _from_store(newest: int) -> list[RecordedDecision]:
    from netgpt.routing.replay import read_record

    rows = with_store(lambda store: store.decisions.newest(newest))
    found = (read_record(row.arm, row.propensity, row.private) for row in rows)
    return [record for record in found if record is not None]


def _from_file(path: Path) -> list[RecordedDecision]:
    from netgpt.routing.replay import read_record

    records = []
    for where, line in lines_of(path):
        try:
            row = object_in(line, where)
            record = read_record(row["arm"], row["propensity"], row)
        except (ValueError, KeyError, TypeError, RequestError):
            raise RequestError(
                f"{where}: not a recorded decision: an object with arm, propensity and expected", param="jsonl"
            ) from None
        if record is not None:
            records.append(record)
    return records


def _as_json(row: Replayed) -> dict[str, Any]:
    return asdict(row) | {"can_tell": row.worth.can_tell}


def _show(rows: list[Replayed], told: dict[str, Any]) -> None:
    columns = ["policy", "cloud", "cost/1000", "good answers", "worth: DR", "SNIPS", "IPS", "records"]
    table = [
        [
            row.policy, f"{row.cloud_share:.0%}", f"{row.cost:.4g}", _bar(row.quality, "dr"), _bar(row.worth, "dr"),
            _bar(row.worth, "snips"), _bar(row.worth, "ips"), f"{row.worth.effective:.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    print_table(columns, table if told["records"] else [], title="recorded decisions, replayed")
    say(
        f"{told['records']} decisions with a choice, {told['rated']} rated, {told['explored']} in which another model "
        f"might have been drawn. Worth as {told['weights']} weighs it, with half the width of the 95 % interval; "
        "records: how many even ones would tell as much."
    )


def _bar(estimate: OffPolicyEstimate, kind: str) -> str:
    interval = getattr(estimate, kind)
    return "cannot tell" if interval is None else f"{interval.value:.2f} ±{(interval.high - interval.low) / 2:.2f}"
