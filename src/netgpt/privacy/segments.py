"""A text in the pieces that the tagger reads at once: paragraphs, and parts of long ones.

Where a piece ends depends on what stands before it alone, so a text that grows keeps the pieces that it had.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["HEAD", "LONGEST", "segments"]

LONGEST = 1_000
"""Characters of a piece, at most."""
HEAD = 160
"""Characters at the start of a text that every piece of it is read with: they tell what kind of text it is."""

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_BREAKS = ("\n", ". ", "; ", ", ", " ")


def segments(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each piece; together they cover the text."""
    start = 0
    for paragraph in _PARAGRAPH.finditer(text):
        yield from _parts(text, start, paragraph.end())
        start = paragraph.end()
    yield from _parts(text, start, len(text))


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST:
        cut = next((at + len(sign) for sign in _BREAKS if (at := _last(text, sign, start)) > 0), start + LONGEST)
        yield start, cut
        start = cut
    if end > start:
        yield start, end


def _last(text: str, sign: str, start: int) -> int:
    return text.rfind(sign, start + LONGEST // 2, start + LONGEST)
