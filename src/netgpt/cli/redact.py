"""`netgpt redact`: text in, masked text and spans out, as the gateway would send it. Nothing is sent anywhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    console,
    json_option,
    opened,
    print_json,
    print_table,
    read_settings,
    read_stdin,
    read_text,
    reports_errors,
    run,
    say,
    texts_of,
)
from netgpt.errors import NotFound, RequestError
from netgpt.files import MOST_DATA, read_bytes
from netgpt.types import Caller, Fact, Label, Person, Role, Terms

if TYPE_CHECKING:
    from netgpt.policy import Disclosure
    from netgpt.privacy.redact import Redacted, RedactedSpan, Redactor
    from netgpt.settings import Settings

_LONG = 200_000
"""Characters from which the progress is shown."""


@reports_errors
def redact(
    text: list[str] = typer.Argument(None, help="The text; without it, --file, --jsonl or standard input is read."),
    file: Path = typer.Option(None, "--file", help="Read the text from this file."),
    jsonl: Path = typer.Option(None, "--jsonl", help="Read one JSON object a line; - for standard input."),
    field: str = typer.Option("text", "--field", help="The field of each row that holds the text."),
    as_json: bool = json_option,
    explain: bool = typer.Option(False, "--explain", help="Say of each find which detector, how sure, which rule."),
    no_names: bool = typer.Option(False, "--no-names", help="Patterns and profile values only; no language model."),
    user: str = typer.Option(None, "--user", help="Hide the profile values of this person too."),
    tenant: str = typer.Option("local", "--tenant", help="The tenant of --user, and of the exceptions."),
    keep: list[str] = typer.Option(None, "--keep", help="These words are not private: never hide them again."),
    unkeep: list[str] = typer.Option(None, "--unkeep", help="Take such an exception back."),
    kept: bool = typer.Option(False, "--kept", help="List the exceptions."),
) -> None:
    """Hide what is private in a text, as the gateway does before it sends one: the same search, policy and exceptions.

    Each row or text gets its own numbering of placeholders.
    """
    if keep or unkeep or kept:
        run(_change_exceptions(tenant, keep or (), unkeep or (), as_json))
        return
    if sum(map(bool, (text, file, jsonl))) > 1:
        raise RequestError("give the text, --file or --jsonl, not several of them")
    rows = texts_of(jsonl, field) if jsonl else iter([_single(text, file)])
    _redact(rows, as_json or jsonl is not None, explain, not no_names, Person(tenant, user or "anonymous"))


def _single(text: Sequence[str] | None, file: Path | None) -> str:
    if text:
        return " ".join(text)
    if file is None:
        return read_stdin()
    return read_text(read_bytes(file, RequestError, most=MOST_DATA), str(file))


def _redact(rows: Iterator[str], as_json: bool, explain: bool, names: bool, person: Person) -> None:
    """Rows before a faulty line are still answered."""
    settings = read_settings()  # they may turn plug-ins off, too
    terms = _HideAll(settings, person)
    redactor = _redactor(settings, names, person, terms)
    for text in rows:
        redacted = _with_progress(redactor, text)
        if as_json:
            spans = [_span_json(span, explain) for span in redacted.spans]
            line = json.dumps({"text": redacted.text, "spans": spans}, ensure_ascii=False)
        else:
            line = redacted.text.removesuffix("\n")
        sys.stdout.write(line.encode("utf-8", "replace").decode() + "\n")
        sys.stdout.flush()
        if explain and not as_json:
            _show_finds(redacted)
    for kind, rule in sorted(terms.refused.items()):
        say(f"the gateway would keep this on the box: {kind} ({rule})")


class _HideAll:
    """The terms of the policy towards the cloud; what it keeps on the box is masked here all the same, and noted."""

    def __init__(self, settings: Settings, person: Person) -> None:
        self.disclosure = _disclosure(settings, person)
        self.refused: dict[str, str] = {}

    def __call__(self, kind: str, public: bool) -> Terms:
        from netgpt.privacy.kinds import placeholders_only

        terms = self.disclosure(kind, public)
        if terms.allowed:
            return terms
        if not public:  # what may not leave as public words is hidden, and keeps nothing here
            self.refused[kind] = terms.refused_by
        return placeholders_only(kind, False)


def _disclosure(settings: Settings, person: Person) -> Disclosure:
    """What may leave to the first cloud of the settings."""
    from netgpt.context import SENSITIVE_KIND
    from netgpt.policy import Destination, Disclosure, Policy, principal_of
    from netgpt.privacy.kinds import family, hierarchy

    cloud = next(iter(settings.remotes.values()), None)
    return Disclosure(
        Policy.load(settings.policy.set),
        principal_of(Caller(person.tenant, Role.ADMIN), person.user),
        Destination.of(cloud.base_url, cloud.model, cloud.region, cloud.purpose) if cloud else Destination(),
        hierarchy=hierarchy,
        family=family,
        sensitive=frozenset({SENSITIVE_KIND, *settings.privacy.sensitive_kinds}),
    )


def _redactor(settings: Settings, names: bool, person: Person, terms: _HideAll) -> Redactor:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the gateway's detector
    from netgpt.privacy.generalize import PLACE_LEVELS, Generaliser
    from netgpt.privacy.redact import Redactor

    generaliser = Generaliser()
    if terms.disclosure.wants(PLACE_LEVELS, ("PLACE", "ADDRESS")):
        generaliser.get_ready()
    values, exceptions = run(_known(settings, person)) if settings.has_store else ((), frozenset())
    return Redactor(names=names, values=values, terms=terms, generaliser=generaliser, exceptions=exceptions)


async def _known(settings: Settings, person: Person) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """The person's private values, and the exceptions of their tenant."""
    from netgpt.context import private_values

    async with opened(settings) as store:
        facts: list[Fact] = [fact for _, fact in await store.facts(person) if fact.label is not Label.PUBLIC]
        return tuple(private_values(facts)), await store.exceptions.words(person.tenant)


def _with_progress(redactor: Redactor, text: str) -> Redacted:
    """A long text with a bar on a terminal's stderr."""
    if len(text) < _LONG:
        return redactor(text)
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("hiding what is private", total=len(text))
        return redactor(text, lambda done, _all: bar.update(task, completed=done))


def _span_json(span: RedactedSpan, explain: bool) -> dict[str, Any]:
    plain = {name: getattr(span, name) for name in ("start", "end", "kind", "rule", "text")}
    more = {"detector": span.detector, "score": round(span.score, 3), "policy": span.policy}
    return plain | more if explain else plain


def _show_finds(redacted: Redacted) -> None:
    columns = ["at", "text", "kind", "detector", "rule", "how sure", "hidden by"]
    rows = [
        (f"{s.start}-{s.end}", s.text, s.kind, s.detector, s.rule, f"{s.score:.2f}", s.policy or "always")
        for s in redacted.spans
    ]
    print_table(columns, rows, f"{len(rows)} finds")


async def _change_exceptions(tenant: str, keep: Sequence[str], unkeep: Sequence[str], as_json: bool) -> None:
    """Add and remove, then list."""
    from netgpt.privacy.detectors import as_exception, folded

    async with opened(read_settings()) as store:
        for word in [as_exception(word) for word in keep]:
            await store.exceptions.add(tenant, word, "the command line")
        for word in unkeep:
            if not await store.exceptions.remove(tenant, folded(word)):
                raise NotFound("there is no such exception; --kept lists them", param="unkeep")
        entries = await store.exceptions.of_tenant(tenant)
    if as_json:
        print_json([{"word": entry.word, "added": entry.added, "by": entry.by} for entry in entries])
    else:
        print_table(["word", "added", "by"], [(e.word, e.added, e.by) for e in entries], f"{len(entries)} exceptions")
