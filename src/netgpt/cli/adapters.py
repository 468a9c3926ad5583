"""`netgpt adapters`: list, add, judge, promote, roll back and remove the adapters of the model on the box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    OnOff,
    confirm_changed,
    json_option,
    opened_files,
    plain,
    print_json,
    print_table,
    read_settings,
    reports_errors,
    run,
    say,
    tell,
    with_store,
    yes_option,
)
from netgpt.errors import RequestError

if TYPE_CHECKING:
    from netgpt.adapters.registry import Entry, Registry
    from netgpt.training.verdict import Verdict


app = typer.Typer(help="Adapters of the model on the box: what it learnt, by version.", no_args_is_help=True)

id_argument = typer.Argument(help="name@version, as `netgpt adapters list` shows it.")


class Scope(StrEnum):
    """Whose adapter it is; a person's own is made by `netgpt train user`."""

    TASK = "task"
    SITE = "site"


@app.command("list")
@reports_errors
def list_(
    name: str | None = typer.Argument(None, help="Show the versions of this name only."), json: bool = json_option
) -> None:
    """List the adapters: each version, where it stands, how it did."""
    with _adapters() as registry:
        entries = [entry for entry in registry.list() if name in (None, entry.card.name)]
        damaged = registry.damaged()
    if json:
        return print_json([as_json(entry) for entry in entries])
    rows = [
        (
            entry.id, standing(entry), entry.card.scope, f"{entry.card.bytes / 1e3:.0f}", entry.card.examples or "-",
            figures(entry), f"{entry.card.created:%Y-%m-%d %H:%M}",
        )
        for entry in entries
    ]  # fmt: skip
    print_table(("id", "state", "scope", "KB", "examples", "figures", "created"), rows)
    for id, why in damaged.items():
        _say(f"{id} is damaged and never used: {why}")


@app.command()
@reports_errors
def show(
    id: str = typer.Argument(help="name@version; a name alone: its active version, else its newest."),
    json: bool = json_option,
) -> None:
    """Show one adapter: its card, where it stands, and whether its files are as they were."""
    with _adapters() as registry:
        entry = registry.show(id)
    if json:
        return print_json(as_json(entry))
    card = entry.card.model_dump(mode="json", exclude={"name", "version", "metrics"})
    rows: list[tuple[str, object]] = [("id", entry.id), ("state", standing(entry)), ("why", entry.why or None)]
    rows += [(key, plain(value)) for key, value in card.items()]
    rows += [(f"metrics: {key}", plain(value)) for key, value in entry.card.metrics.items()]
    rows += [("file", entry.path)]
    print_table(("what", "value"), [row for row in rows if row[1] not in (None, "", "{}", "[]")])


@app.command()
@reports_errors
def add(
    source: Path = typer.Argument(help="A folder (adapter.gguf and card.json, or PEFT's two files) or a .gguf file."),
    name: str | None = typer.Option(None, help="What to call it; needed where it comes without a card."),
    scope: Scope | None = typer.Option(None, help="Whose it is; default: what the card says, else by its name."),
    licence: str | None = typer.Option(None, help="Under which licence it may be used."),
    notes: str | None = typer.Option(None, help="A remark for the card."),
    json: bool = json_option,
) -> None:
    """Check an adapter that was made elsewhere, and list it as a candidate under its name's next number."""
    from netgpt.adapters.peft import AdapterNotes, ready

    said = AdapterNotes(name, scope.value if scope else None, licence, notes)
    with (
        _adapters() as registry,
        ready(source.expanduser(), said, registry.base, max_bytes=registry.max_bytes) as (weights, card),
    ):
        entry = registry.add(weights, card, next_free=True)
    if json:
        return print_json(as_json(entry))
    _say(f"{entry.id}: a candidate now. Judge it with `netgpt adapters evaluate {entry.id}`.")


@app.command()
@reports_errors
def evaluate(
    id: str = id_argument,
    examples: Path | None = typer.Option(None, help="A JSONL file to judge it by; default: what was kept for it."),
    json: bool = json_option,
) -> None:
    """Judge an adapter on an engine of its own, as `netgpt train` does; a candidate that fails is rejected.

    It must beat the active version (else the base) on held-out examples, lose nothing on general requests, never
    repeat the canaries in its examples, and leave no trace where it is not asked for.
    """
    from netgpt.cli.training_progress import TrainingView
    from netgpt.training.evaluation import evaluate_adapter, kept_examples
    from netgpt.training.example import read_examples
    from netgpt.training.service import TrainingProgress

    with _adapters() as registry:
        entry = registry.resolve(id)
        learnt, held = (
            ([], list(read_examples(examples))) if examples else with_store(lambda store: kept_examples(store, entry))
        )
        with TrainingView() as view:
            report = (TrainingProgress() if json else view).judging
            judged = evaluate_adapter(read_settings(), registry, entry, held, training=learnt, progress=report)
            entry, verdict = run(judged)
    if json:
        print_json({**as_json(entry), "gate": verdict.as_json()})
    else:
        _show_verdict(entry, verdict)
    if not verdict.passed:
        raise typer.Exit(1)


@app.command()
@reports_errors
def promote(
    id: str = id_argument,
    canary: bool = typer.Option(False, "--canary", help="Let it answer a share of the people first."),
    share: float | None = typer.Option(None, help="That share, above 0 to 1; default: adapters.canary."),
    unjudged: bool = typer.Option(False, "--unjudged", help="Even though it passed no evaluation: on your own word."),
    json: bool = json_option,
) -> None:
    """Make a version active for everybody, or a canary for a share; a running box follows within a second."""
    part = None
    if canary or share is not None:
        part = share if share is not None else read_settings().adapters.canary
    with _adapters() as registry:
        entry = registry.resolve(id)
        if not (entry.judged or unjudged):
            cure = f"`netgpt adapters evaluate {entry.id}`, or promote it with --unjudged."
            raise RequestError(f"{entry.id} passed no evaluation yet: {cure}")
        entry = registry.promote(entry.id, canary=part)
    _told(entry, json)


@app.command()
@reports_errors
def rollback(name: str = typer.Argument(help='The name alone, such as "complete".'), json: bool = json_option) -> None:
    """End the canary if one runs, else go back to the version that was active before (or to none)."""
    with _adapters() as registry:
        entry = registry.rollback(name.partition("@")[0])
    if json:
        return print_json({"name": name, "active": entry.id if entry else None})
    _say(f"{entry.id} is active" if entry else f"no version of {name} is active: the base model answers alone")


@app.command()
@reports_errors
def remove(id: str = id_argument, json: bool = json_option) -> None:
    """Delete a version that is not in use: weights and card. Its number is never given again."""
    with _adapters() as registry:
        registry.remove(id)
    tell(f"removed {id}", json, id=id, removed=True)


@app.command()
@reports_errors
def pin(
    id: str = id_argument,
    word: OnOff = typer.Argument(OnOff.ON, help="off: no longer."),
    off: bool = typer.Option(False, "--off", hidden=True),
    json: bool = json_option,
) -> None:
    """Keep a version loaded in the engine, and safe from removal."""
    with _adapters() as registry:
        entry = registry.pin(id, word is OnOff.ON and not off)
    _told(entry, json)


@app.command()
@reports_errors
def accept(yes: bool = yes_option, json: bool = json_option) -> None:
    """Take the list of adapters and their cards as they stand, after somebody or a backup changed the files.

    A box refuses a list that it did not write. Look at what `netgpt store check` names first: whoever may write into
    the home can put an adapter in force with it.
    """
    with _adapters() as registry:
        confirm_changed(registry.tampered(), yes)
        registry.accept()
        listed = registry.list()
    if json:
        return print_json([as_json(entry) for entry in listed])
    _say(", ".join(f"{entry.id}: {standing(entry)}" for entry in listed) or "no adapters")


def _show_verdict(entry: Entry, verdict: Verdict) -> None:
    """Passed or not, why not, and the scores beside those of what it was measured against."""
    scores: list[Mapping[str, Any]] = [verdict.scores.get(who) or {} for who in ("candidate", "against")]
    parts = ("overall", *sorted(scores[0].get("slices") or {}))
    rows: list[tuple[object, ...]] = [("verdict", "passed" if verdict.passed else "failed", "")]
    rows += [("failed", reason, "") for reason in verdict.reasons]
    rows += [(part, *(_score(score, part) for score in scores)) for part in parts]
    print_table(("what", entry.id, "against"), rows)
    if verdict.passed and entry.state == "candidate":
        _say(f"Make it active with `netgpt adapters promote {entry.id}`.")


def _score(score: Mapping[str, Any], part: str) -> str:
    found = score.get("overall") if part == "overall" else (score.get("slices") or {}).get(part)
    if not isinstance(found, dict):
        return "-"
    return ", ".join(f"{key} {value}" for key, value in found.items() if isinstance(value, int | float))


def as_json(entry: Entry) -> dict[str, Any]:
    """For machines: where it stands, and its card."""
    return {
        "id": entry.id, "state": entry.state.value, "share": entry.share, "pinned": entry.pinned,
        "shipped": entry.shipped, "usable": entry.usable, "fits": entry.fits, "fault": entry.fault,
        "why": entry.why or None, "path": str(entry.path), "card": entry.card.model_dump(mode="json"),
    }  # fmt: skip


def standing(entry: Entry) -> str:
    """The state and what goes with it, in a few words."""
    words = [entry.state.value if entry.share is None else f"canary for {entry.share:.0%} of the people"]
    words += ["pinned"] if entry.pinned else []
    words += ["shipped"] if entry.shipped else []
    words += [] if entry.fits else ["for other weights"]
    words += ["damaged"] if entry.fault else []
    return ", ".join(words)


def figures(entry: Entry) -> str:
    """One line: the verdict of its evaluation, and the first figures of its card."""
    metrics = entry.card.metrics
    verdict = metrics.get("gate")
    parts = []
    if isinstance(verdict, dict) and "passed" in verdict:
        parts.append("passed" if verdict["passed"] else "failed " + ", ".join(map(str, verdict.get("failing", ()))))
    numbers = [f"{key} {value:.3g}" for key, value in metrics.items() if isinstance(value, float)]
    return plain("; ".join(parts + numbers[:3])) or "-"


def _told(entry: Entry, json: bool) -> None:
    print_json(as_json(entry)) if json else _say(f"{entry.id}: {standing(entry)}")


def _say(line: str) -> None:
    say(plain(line))


@contextmanager
def _adapters() -> Iterator[Registry]:
    """The registry, with what vouches for it."""
    from netgpt.adapters.registry import open_registry

    settings = read_settings()
    with opened_files(settings) as proof:
        yield open_registry(settings, proof)
