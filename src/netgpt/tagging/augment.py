"""Changes that keep an example's labels true: other names in place of its own, other case."""

from __future__ import annotations

import random

from netgpt.tagging.invented import Inventor, TaggedText

__all__ = ["changed"]

_SWAPPED = {"PERSON": 0.75, "PLACE": 0.5, "ORG": 0.5, None: 0.4}
_LOWER, _UPPER = 0.15, 0.03


def changed(example: TaggedText, inventor: Inventor, chance: random.Random) -> TaggedText:
    """The example with some of its names replaced by others, and sometimes all in one case.

    The network then learns how private words stand and look, not which they were.
    """
    swapped = _swapped(example, inventor, chance)
    draw = chance.random()
    if draw < _LOWER:
        return _recased(swapped, swapped.text.lower())
    if draw < _LOWER + _UPPER:
        return _recased(swapped, swapped.text.upper())
    return swapped


def _recased(example: TaggedText, text: str) -> TaggedText:
    if len(text) != len(example.text):
        return example
    return TaggedText(text, example.spans, example.origin, example.unsure, example.weight)


def _swapped(example: TaggedText, inventor: Inventor, chance: random.Random) -> TaggedText:
    if example.unsure and not example.spans:
        return example
    others: dict[str, str] = {}
    edits = []
    for start, end, kind in example.spans:
        value = example.text[start:end]
        if value.lower() not in others:
            others[value.lower()] = (
                _other(value, kind, inventor, chance) if chance.random() < _SWAPPED.get(kind, 0.0) else value
            )
        other = others[value.lower()]
        edits.append((start, end, kind, other.lower() if value.islower() else other))
    return _edited(example, edits)


def _other(value: str, kind: str | None, inventor: Inventor, chance: random.Random) -> str:
    parts = value.split()
    if kind is None:
        if len(parts) > 3 or not all(part.isalpha() and part[0].isupper() for part in parts):
            return value
        kind = chance.choice(("PERSON", "PERSON", "PLACE", "ORG"))
    if kind == "PERSON":
        return chance.choice((inventor.first, inventor.last))() if len(parts) == 1 else inventor.person()
    return inventor.city() if kind == "PLACE" else inventor.employer()


def _edited(example: TaggedText, edits: list[tuple[int, int, str | None, str]]) -> TaggedText:
    text, done = "", 0
    spans = []
    moves: list[tuple[int, int]] = []
    for start, end, kind, value in edits:
        if start < done:
            return example
        text += example.text[done:start]
        spans.append((len(text), len(text) + len(value), kind))
        text += value
        done = end
        moves.append((end, len(text) - end))
    text += example.text[done:]

    def moved(at: int) -> int:
        return at + next((by for edge, by in reversed(moves) if edge <= at), 0)

    unsure = tuple((moved(start), moved(end)) for start, end in example.unsure)
    return TaggedText(text, tuple(spans), example.origin, unsure, example.weight)
