"""A planted value, and how to see whether it left."""

from __future__ import annotations

import contextlib
import json
import random
import string
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

__all__ = ["Value", "digits", "leaked", "letters", "readable"]


@dataclass(frozen=True, slots=True)
class Value:
    """One private value."""

    kind: str
    text: str
    secrets: tuple[str, ...]
    announced: bool = False
    """Whether it is private only beside a word that says what it is (a bare number, say)."""


def compact(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def readable(content: bytes) -> str:
    """All that a body says: raw, its strings unescaped, JSON in strings opened, percent signs resolved."""
    pieces = [content.decode("utf-8", "replace")]

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(key)
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, str):
            pieces.append(value)
            if "%" in value:
                pieces.append(unquote(value))
            if value.lstrip()[:1] in ("{", "["):
                with contextlib.suppress(ValueError):
                    collect(json.loads(value))
        elif value is not None:
            pieces.append(str(value))

    with contextlib.suppress(ValueError):
        collect(json.loads(content))
    return compact("\x00".join(pieces))


def leaked(value: Value, seen: str) -> list[str]:
    """The secrets of `value` that stand in `seen` (which is `readable` of all that left)."""
    return [secret for secret in value.secrets if compact(secret) in seen]


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(string.digits) for _ in range(count))


def letters(chance: random.Random, count: int, of: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choice(of) for _ in range(count))
