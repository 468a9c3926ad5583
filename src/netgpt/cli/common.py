"""What the commands share: settings, tables, JSON, bars, and errors told in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from netgpt.errors import NetGPTError, RequestError

if TYPE_CHECKING:
    from rich.progress import Progress

    from netgpt.settings import Settings

__all__ = [
    "console",
    "errors_told",
    "json_option",
    "print_details",
    "print_json",
    "print_table",
    "progress_bar",
    "read_settings",
    "read_stdin",
    "read_text",
    "run",
    "say",
]

P = ParamSpec("P")
R = TypeVar("R")

console = Console(stderr=True)
"""For progress and remarks; results go to stdout."""

json_option = typer.Option(False, "--json", help="Print JSON for machines.")


def say(line: str) -> None:
    """One remark on stderr, as it is: no markup, no colours, no line breaks of ours."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def read_settings(**overrides: Any) -> Settings:
    """The settings, as every command reads them."""
    from netgpt.settings import load_settings

    return load_settings(**overrides)


def read_stdin() -> str:
    """All of standard input as text. Raises RequestError: it is not UTF-8."""
    if sys.stdin.isatty():
        console.print("reading standard input; end with Ctrl-D")
    return read_text(sys.stdin.buffer.read(), "standard input")


def read_text(data: bytes, name: str) -> str:
    """Bytes as text. Raises RequestError: they are not UTF-8; `name` tells which."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: not UTF-8 at byte {error.start}") from None


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run async work from a command."""
    import asyncio

    return asyncio.run(work)


def errors_told(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a NetGPTError into one message on stderr and exit code 2 (the caller's fault) or 1 (ours)."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except NetGPTError as error:
            console.print(f"[red]error:[/red] {_escape(error.message)}", highlight=False, soft_wrap=True)
            raise typer.Exit(2 if isinstance(error, RequestError) else 1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return told


def print_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Write a table to stdout; says so when there is nothing to show."""
    out = Console()
    if not rows:
        out.print("(none)")
        return
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_lines=False)
    for name in columns:  # an id that is cut with an ellipsis cannot be used
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*(_escape("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def print_details(values: Mapping[str, object], as_json: bool = False) -> None:
    """One thing, a row for each field that is there; objects and lists as JSON. `as_json`: for machines, all of it."""
    if as_json:
        return print_json(values)
    rows = [
        (name, json.dumps(value, ensure_ascii=False, indent=1) if isinstance(value, dict | list) else value)
        for name, value in values.items()
        if value is not None
    ]
    print_table(("what", "value"), rows)


def progress_bar(*columns: str, quiet: bool = False, transient: bool = False) -> Progress:
    """A bar on stderr behind the task's description; `columns`: what stands behind it.

    "told" (the task's field), "count", "bytes", "elapsed" or "left".
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    made: dict[str, Callable[[], Sequence[ProgressColumn]]] = {
        "told": lambda: [TextColumn("{task.fields[told]}")],
        "count": lambda: [MofNCompleteColumn()],
        "bytes": lambda: [DownloadColumn(), TransferSpeedColumn()],
        "elapsed": lambda: [TimeElapsedColumn()],
        "left": lambda: [TimeRemainingColumn()],
    }
    shown = [column for name in columns for column in made[name]()]
    return Progress(
        TextColumn("{task.description}"), BarColumn(), *shown, console=console, disable=quiet, transient=transient
    )


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
