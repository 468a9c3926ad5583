"""`netgpt redact`: text in, masked text and spans out. Nothing is sent anywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from netgpt.cli.common import json_option, opened, read_settings, read_stdin, read_text, reports_errors, run, texts_of
from netgpt.errors import RequestError
from netgpt.types import Person


@reports_errors
def redact(
    text: list[str] = typer.Argument(None, help="The text; without it, --file, --jsonl or standard input is read."),
    file: Path = typer.Option(None, "--file", help="Read the text from this file."),
    jsonl: Path = typer.Option(None, "--jsonl", help="Read one JSON object a line; - for standard input."),
    field: str = typer.Option("text", "--field", help="The field of each row that holds the text."),
    as_json: bool = json_option,
    no_names: bool = typer.Option(False, "--no-names", help="Patterns and profile values only; no language model."),
    user: str = typer.Option(None, "--user", help="Hide the profile values of this person too."),
    tenant: str = typer.Option("local", "--tenant", help="The tenant of --user."),
) -> None:
    """Hide what is private in a text. Each row or text gets its own numbering of placeholders."""
    if sum(map(bool, (text, file, jsonl))) > 1:
        raise RequestError("give the text, --file or --jsonl, not several of them")
    rows = texts_of(jsonl, field) if jsonl else iter([_single(text, file)])
    read_settings()  # they may turn plug-ins off
    _redact(rows, as_json or jsonl is not None, not no_names, user, tenant)


def _single(text: Sequence[str] | None, file: Path | None) -> str:
    if text:
        return " ".join(text)
    if file is None:
        return read_stdin()
    try:
        return read_text(file.read_bytes(), str(file))
    except OSError as error:
        raise RequestError(f"{file}: cannot be read: {error.strerror}") from None


def _redact(rows: Iterator[str], as_json: bool, names: bool, user: str | None, tenant: str) -> None:
    """Rows before a faulty line are still answered."""
    from netgpt.privacy.redact import Redactor

    redactor = Redactor(names=names, values=run(_profile_values(Person(tenant, user))) if user else ())
    for text in rows:
        redacted = redactor(text)
        if as_json:
            line = json.dumps(
                {"text": redacted.text, "spans": [vars(span) for span in redacted.spans]}, ensure_ascii=False
            )
        else:
            line = redacted.text.removesuffix("\n")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def _profile_values(person: Person) -> tuple[tuple[str, str], ...]:
    from netgpt.context import private_values

    async with opened(read_settings()) as store:
        return tuple(private_values([fact for _, fact in await store.facts(person)]))
