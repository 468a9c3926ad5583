"""The rows of JSONL files, line by line: for the commands that people script with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netgpt.errors import RequestError

__all__ = ["lines_of", "object_in", "texts_of"]


def lines_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """(file:number, line) of every line that is not empty; "-" is standard input. Raises RequestError: unreadable."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        source = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise RequestError(f"{name}: cannot be read: {error.strerror}") from None
    with source:
        yield from ((f"{name}:{number}", line) for number, line in enumerate(source, 1) if line.strip())


def object_in(line: bytes, where: str) -> dict[str, Any]:
    """The JSON object of a line. Raises RequestError that begins with `where`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError(f"{where}: not JSON; each line must be one JSON object") from None
    if not isinstance(row, dict):
        raise RequestError(f"{where}: not an object; each line must be one JSON object")
    return row


def texts_of(path: Path, field: str) -> Iterator[str]:
    """The field of every row. Raises RequestError with file and line: see `lines_of`, or no text in that field."""
    for where, line in lines_of(path):
        row = object_in(line, where)
        if field not in row:
            raise RequestError(f'{where}: no field "{field}"; name the field that holds the text with --field')
        if not isinstance(row[field], str):
            raise RequestError(f'{where}: the field "{field}" is not a string')
        yield row[field]
