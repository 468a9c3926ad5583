"""The texts of JSONL files, line by line: for the commands that people script with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from netgpt.errors import RequestError

__all__ = ["texts_of"]


def texts_of(path: Path, field: str) -> Iterator[str]:
    """The field of every row; "-" is standard input, empty lines are passed over.

    Raises RequestError with file and line: it cannot be read, or a line is no object with a text in that field.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        source = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise RequestError(f"{name}: cannot be read: {error.strerror}") from None
    with source:
        for number, line in enumerate(source, 1):
            if line.strip():
                yield _text_of(line, field, f"{name}:{number}")


def _text_of(line: bytes, field: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError(f"{where}: not JSON; each line must be one JSON object") from None
    if not isinstance(row, dict) or field not in row:
        raise RequestError(f'{where}: no field "{field}"; name the field that holds the text with --field')
    if not isinstance(row[field], str):
        raise RequestError(f'{where}: the field "{field}" is not a string')
    return str(row[field])
