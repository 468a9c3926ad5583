"""Pairs of a terse and a full request: read strictly from what a cloud wrote, and kept in a file between runs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netgpt.errors import RequestError
from netgpt.types import Fact

__all__ = ["Pair", "PairFile", "pairs_in"]

LONGEST_REQUEST: Final = 120
LONGEST_COMPLETION: Final = 600
MOST_FACTS: Final = 4
MOST_PAIRS: Final = 64
"""Of one answer; what comes after is not read."""
FIELDS: Final = {"request", "facts", "completion"}


@dataclass(frozen=True)
class Pair:
    """One terse request, the facts that help with it, and the full request made of both."""

    request: str = field(repr=False)
    facts: tuple[Fact, ...]
    completion: str = field(repr=False)

    @property
    def key(self) -> str:
        """The request without case and spacing: the same question counts once."""
        return " ".join(self.request.casefold().split())


def pairs_in(answer: Mapping[str, Any], facts: Sequence[Fact]) -> tuple[list[Pair], Counter[str]]:
    """The well-formed pairs in a whole answer to a list of numbered `facts`, and how many were not and why."""
    faults: Counter[str] = Counter()
    rows = _rows(answer)
    if rows is None:
        faults["the answer is not the JSON that was asked for"] += 1
        return [], faults
    found = []
    for row in rows[:MOST_PAIRS]:
        pair = _pair(row, facts)
        if pair is None:
            faults["a pair has the wrong shape"] += 1
        else:
            found.append(pair)
    return found, faults


def _rows(answer: Mapping[str, Any]) -> list[Any] | None:
    try:
        (choice,) = answer["choices"]
        content = json.loads(choice["message"]["content"])
        rows = content["pairs"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return rows if isinstance(rows, list) and set(content) == {"pairs"} else None


def _pair(row: Any, facts: Sequence[Fact]) -> Pair | None:
    if not isinstance(row, dict) or set(row) != FIELDS:
        return None
    request, numbers, completion = row["request"], row["facts"], row["completion"]
    if not _is_line(request, LONGEST_REQUEST) or not _is_line(completion, LONGEST_COMPLETION):
        return None
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= MOST_FACTS:
        return None
    if any(type(number) is not int or not 1 <= number <= len(facts) for number in numbers):
        return None
    if len(set(numbers)) != len(numbers):
        return None
    chosen = tuple(facts[number - 1] for number in numbers)
    return Pair(" ".join(request.split()), chosen, " ".join(completion.split()))


def _is_line(text: Any, longest: int) -> bool:
    return isinstance(text, str) and bool(text.strip()) and len(text) <= longest and text.isprintable()


class PairFile:
    """Good pairs on the disk, one JSON object a line, appended as they come. With no path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, facts: Sequence[Fact]) -> Iterator[Pair]:
        """The kept pairs whose facts all stand in `facts` still; a line that a kill cut short is passed over."""
        if self._path is None or not self._path.exists():
            return
        known = {fact.text: fact for fact in facts}
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                chosen = tuple(known[text] for text in row["facts"])
                pair = Pair(row["request"], chosen, row["completion"])
            except (KeyError, TypeError, ValueError, RecursionError):
                continue
            if _is_line(pair.request, LONGEST_REQUEST) and _is_line(pair.completion, LONGEST_COMPLETION) and chosen:
                yield pair

    def add(self, pairs: Sequence[Pair]) -> None:
        """Append, at once on the disk. Raises RequestError: it cannot be written."""
        if self._path is None or not pairs:
            return
        rows = [
            {"request": pair.request, "facts": [fact.text for fact in pair.facts], "completion": pair.completion}
            for pair in pairs
        ]
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write("".join("\n" * (not place) + json.dumps(row) + "\n" for place, row in enumerate(rows)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RequestError(f"{self._path}: cannot be written: {error.strerror}") from None
