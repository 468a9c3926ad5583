"""`netgpt complete`: terse requests completed with the facts that they need; one by one, or a file of rows."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    edge_askers,
    json_option,
    lines_of,
    object_in,
    print_json,
    read_settings,
    reports_errors,
    run,
    say,
)
from netgpt.errors import ModelError, RequestError
from netgpt.types import Fact

if TYPE_CHECKING:
    from netgpt.completion.classify import Ask
    from netgpt.completion.select import Selector
    from netgpt.settings import Settings


_AT_ONCE = 4
"""Rows in work at once: the engine's default number of slots."""
_PATIENCE_S = 20.0
"""Seconds given to the edge model a row: results should not depend on how busy the machine is."""
_UNKNOWN = "other"
"""Kind of a fact when nobody said."""


class Mode(StrEnum):
    """How requests are completed."""

    SELECT = "select"
    REWRITE = "rewrite"
    OFF = "off"


@dataclass(frozen=True)
class Row:
    """One line of the input: what to complete, or what is wrong with the line."""

    request: str = ""
    facts: tuple[Fact, ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class CompletionModels:
    """What completes: `ask` is the plain edge model, `trained` the same with the adapter for choosing facts, which is
    asked where there is no model of relevance."""

    selector: Selector
    ask: Ask | None = None
    trained: Ask | None = None


@reports_errors
def complete(
    request: str | None = typer.Argument(None, help='A request, such as "dinner ideas".'),
    fact: list[str] | None = typer.Option(
        None, help='Something known, such as "diet: is vegetarian". May be repeated.'
    ),
    jsonl: Path | None = typer.Option(None, help='Rows {"request", "facts": [...]} to complete; "-" reads stdin.'),
    mode: Mode = typer.Option(Mode.SELECT, help="select: choose facts; rewrite: let the edge model write; off."),
    max_facts: int = typer.Option(0, min=0, max=16, help="At most this many facts; 0: as the settings say."),
    no_model: bool = typer.Option(False, "--no-model", help="Choose without the edge model; no engine is started."),
    as_json: bool = json_option,
) -> None:
    """Complete REQUEST, or every row of --jsonl: rows {"chosen", "text"} in the same order.

    "chances", that each fact helps, too, where the model of relevance chooses.
    A bad row is named with file and line, gives a row {"error"} and exit code 2; the others are done.
    """
    if (request is None) == (jsonl is None):
        raise RequestError("give either a REQUEST or --jsonl FILE")
    settings = read_settings()
    rows: Iterator[Row] = _rows(jsonl) if jsonl else iter([_row(request, fact or [])])
    limit = max_facts or settings.completion.max_facts
    bad = run(_complete_all(rows, mode, limit, settings, no_model, single=jsonl is None, as_json=as_json))
    if bad:
        raise typer.Exit(2)


async def _complete_all(
    rows: Iterator[Row], mode: Mode, limit: int, settings: Settings, no_model: bool, *, single: bool, as_json: bool
) -> int:
    """Complete and print every row; returns how many were bad."""
    from netgpt.app.embeddings import Embeddings
    from netgpt.app.relevance import open_relevance
    from netgpt.completion.select import Selector
    from netgpt.word_pieces import StaticEmbedder

    embed = StaticEmbedder()
    if mode is Mode.OFF:
        return await _print_all(rows, mode, CompletionModels(Selector(None, embed, limit)), single, as_json)
    embeddings = Embeddings(settings, embed)
    await embeddings.start()
    opened = await open_relevance(embeddings, settings.completion.relevance)
    if no_model or (opened.model is not None and mode is Mode.SELECT):
        edge = CompletionModels(Selector(None, embed, limit))
        edge.selector.use(opened.model, opened.without)
        return await _print_all(rows, mode, edge, single, as_json)
    async with edge_askers(settings) as (ask, trained):
        edge = CompletionModels(Selector(ask, embed, limit, judge_s=_PATIENCE_S), ask, trained)
        edge.selector.use(opened.model, opened.without)
        if not single:
            with suppress(ModelError):  # then each row says by itself what it fell back to
                await edge.selector.warm(trained)
        return await _print_all(rows, mode, edge, single, as_json)


async def _print_all(rows: Iterator[Row], mode: Mode, edge: CompletionModels, single: bool, as_json: bool) -> int:
    bad = 0
    for batch in _batches(rows, _AT_ONCE):
        results = await asyncio.gather(*(_one(row, mode, edge) for row in batch))
        for row, result in zip(batch, results, strict=True):
            if row.fault:
                bad += 1
                say(row.fault)
            if single:
                print_json(result) if as_json else typer.echo(result["text"])
            else:
                sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    return bad


async def _one(row: Row, mode: Mode, edge: CompletionModels) -> dict[str, Any]:
    from netgpt.completion.compose import completed
    from netgpt.completion.rewrite import rewrite

    if row.fault:
        return {"error": row.fault}
    if mode is Mode.OFF:
        return {"chosen": [], "text": row.request}
    selection = await edge.selector.select(row.request, row.facts, edge.trained, within_s=_PATIENCE_S)
    chosen = [row.facts[index] for index in selection.chosen]
    text = completed(row.request, chosen)
    if mode is Mode.REWRITE and edge.ask is not None and chosen:
        text = (await rewrite(edge.ask, row.request, chosen)).text or text
    result: dict[str, Any] = {"chosen": list(selection.chosen), "text": text}
    if selection.chances:
        result["chances"] = [round(chance, 3) for chance in selection.chances]
    return result


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(path: Path) -> Iterator[Row]:
    """The rows of a file, faults included."""
    for where, line in lines_of(path):
        try:
            value = object_in(line, where)
        except RequestError as error:
            yield Row(fault=error.message)
            continue
        try:
            yield _row(value.get("request"), value.get("facts", []))
        except RequestError as error:
            yield Row(fault=f"{where}: {error.message}")


def _row(request: Any, facts: Any) -> Row:
    if not isinstance(request, str) or not request.strip():
        raise RequestError('"request" must be a text that is not empty', param="request")
    if not isinstance(facts, Sequence) or isinstance(facts, str):
        raise RequestError('"facts" must be a list', param="facts")
    return Row(request, tuple(_fact(fact, index) for index, fact in enumerate(facts)))


def _fact(fact: Any, index: int) -> Fact:
    """A text ("diet: is vegetarian", or without the kind), or {"text", "kind"}; without a kind it is guessed later."""
    from netgpt.context import profile_fact
    from netgpt.wording import sentence

    text: Any = fact.get("text") if isinstance(fact, dict) else fact
    kind: Any = (isinstance(fact, dict) and fact.get("kind")) or _UNKNOWN
    named = re.match(r"([A-Za-z][a-z]+(?: [a-z]+)?):\s+(?=\S)", text) if isinstance(text, str) else None
    if named and kind == _UNKNOWN:
        kind = named[1].split()[-1].lower()
        text = text if sentence(text) else text[named.end() :]
    try:
        return profile_fact(text, kind)
    except RequestError as error:
        raise RequestError(f'"facts", number {index}: {error.message}', param="facts") from None
