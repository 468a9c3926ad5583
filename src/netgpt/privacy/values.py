"""Exact search for the values that a person's profile forbids to leave.

A value is found whatever its case, accents, spacing or hyphens ("gluten-free", "Gluten Free", "glutenfree"), with
zero-width characters inside, and escaped. Where it begins or ends with a letter or digit, it must be a whole word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from netgpt.privacy.normal import View, plain, views
from netgpt.types import Span

__all__ = ["clean_kind", "find_values"]

_SEPARATOR = re.compile(r"[\s\-_]+")
_EDGES = " \t\r\n.,;:!?\"'`"


def find_values(text: str, values: Sequence[tuple[str, str]], *, whole_words: bool = True) -> list[Span]:
    """Spans of every (KIND, value) pair in `text`, in original offsets; they may overlap, longest values first."""
    needles = _needles(tuple(values))
    if not needles or not text:
        return []
    spans: set[Span] = set()
    for view in views(text):
        compact, where = _compact(view.text)
        for kind, needle in needles:
            spans.update(_occurrences(view, compact, where, kind, needle, whole_words))
    return sorted(spans, key=lambda span: (span.start, -span.end))


def clean_kind(kind: str) -> str:
    """A kind that can name a placeholder: upper-case letters and single underscores; PRIVATE when nothing is left."""
    letters = re.sub(r"[^A-Z]+", "_", kind.upper()).strip("_")[:24].strip("_")
    return letters or "PRIVATE"


@lru_cache(maxsize=256)
def _needles(values: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for kind, value in values:
        needle = _compact(plain(value).strip(_EDGES))[0] or _compact(plain(value))[0]
        if needle:
            found.setdefault(needle, clean_kind(kind))
    return tuple(sorted(((kind, needle) for needle, kind in found.items()), key=lambda pair: -len(pair[1])))


def _compact(text: str) -> tuple[str, list[int] | None]:
    """The text without separators, case and accents, and for each character its place in `text`.

    None for the places means that nothing moved.
    """
    if text.isascii():
        lowered = text.lower()
        if not _SEPARATOR.search(lowered):
            return lowered, None
        kept = [i for i, c in enumerate(lowered) if not (c in "-_" or c.isspace())]
        return _SEPARATOR.sub("", lowered), kept
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character in "-_" or character.isspace():
            continue
        for folded in unicodedata.normalize("NFKD", character.casefold()):
            if not unicodedata.combining(folded):
                characters.append(folded)
                places.append(place)
    return "".join(characters), places


def _occurrences(
    view: View, compact: str, where: list[int] | None, kind: str, needle: str, whole_words: bool
) -> Iterator[Span]:
    at = compact.find(needle)
    while at >= 0:
        last = at + len(needle) - 1
        start, end = (where[at], where[last] + 1) if where is not None else (at, last + 1)
        if not whole_words or _is_whole(view.text, start, end):
            first, after = view.back(start, end)
            yield Span(first, after, kind, "profile")
        at = compact.find(needle, at + 1)


def _is_whole(text: str, start: int, end: int) -> bool:
    glued_before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    glued_after = end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    return not (glued_before or glued_after)
