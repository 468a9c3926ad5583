"""The passages of a text where numbers stand. Forms of ids are many and numbers are few: only these are searched."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Passages", "number_passages"]

_FROM_DIGIT = re.compile(r"\d\S{0,200}")
_BLANK_BEFORE = re.compile(r"\S{0,64}\Z")
_NEIGHBOUR_BEFORE = re.compile(r"(?<!\S)\S{1,16}\s{1,2}\Z")
_NEIGHBOUR_AFTER = re.compile(r"\s{1,2}\S{1,16}(?!\S)")
_WIDEST_GAP = 3
_BETWEEN = "\n|\n"
"""What no form of a number reaches over."""


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages of one text, joined; `back` leads from `text` to the places in the whole text."""

    text: str
    starts: tuple[tuple[int, int], ...]
    """(place in `text`, place in the whole text) of each passage, in order."""

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the whole text for one that lies within a passage."""
        here, there = next(pair for pair in reversed(self.starts) if pair[0] <= start)
        return start - here + there, end - here + there


def number_passages(text: str, least_digits: int = 4) -> Passages | None:
    """Runs of words that hold digits, each with one short word before and behind; None when there are none."""
    pieces: list[str] = []
    starts: list[tuple[int, int]] = []
    length = 0
    for start, end in _runs(text):
        if sum(c.isdigit() for c in text[start:end]) < least_digits:
            continue
        if before := _NEIGHBOUR_BEFORE.search(text, max(0, start - 20), start):
            start = before.start()
        if after := _NEIGHBOUR_AFTER.match(text, end):
            end = after.end()
        starts.append((length, start))
        pieces.append(text[start:end])
        length += end - start + len(_BETWEEN)
    return Passages(_BETWEEN.join(pieces), tuple(starts)) if pieces else None


def _runs(text: str) -> list[tuple[int, int]]:
    """Words with digits that stand beside each other, as one run."""
    runs: list[tuple[int, int]] = []
    for match in _FROM_DIGIT.finditer(text):
        start, end = match.span()
        if head := _BLANK_BEFORE.search(text, max(0, start - 64), start):
            start = head.start()
        if runs and start - runs[-1][1] <= _WIDEST_GAP:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs
