"""What the commands share: settings, tables, JSON, and errors told in one line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from netgpt.errors import NetGPTError, RequestError
from netgpt.settings import Settings, load_settings

__all__ = [
    "console",
    "errors_told",
    "json_option",
    "print_json",
    "print_table",
    "read_settings",
    "read_stdin",
    "run",
]

P = ParamSpec("P")
R = TypeVar("R")

console = Console(stderr=True)
"""For progress and remarks; results go to stdout."""

json_option = typer.Option(False, "--json", help="Print JSON for machines.")


def read_settings(**overrides: Any) -> Settings:
    """The settings, as every command reads them."""
    return load_settings(**overrides)


def read_stdin() -> str:
    """All of standard input as text. Raises RequestError: it is not UTF-8."""
    if sys.stdin.isatty():
        console.print("reading standard input; end with Ctrl-D")
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"standard input: not UTF-8 at byte {error.start}") from None


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run async work from a command."""
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
    table = Table(title=title, title_justify="left", show_lines=False)
    for name in columns:  # an id that is cut with an ellipsis cannot be used
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*(_escape("" if cell is None else str(cell)) for cell in row))
    out.print(table)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
