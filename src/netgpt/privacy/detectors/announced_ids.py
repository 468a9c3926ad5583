"""Numbers of persons, documents, firms and devices behind a word that says what they are, in thirty languages.

The words are in `id_words.txt`. A number needs four digits, so "passport 5" and "the VAT of 19 %" stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Final

from netgpt.privacy.detectors.normalize import lower_case, places, plain
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_AFTER = re.compile(
    r"(?:[ _\-]{0,2}(?:numbers?|num|no\.?|nr\.?|n[°ºo]\.?|№|id|code|card|numero|número|numéro|nummer"
    r"|numer|номер|号码|號碼|番号|번호|رقم|\#)(?![^\W\d_])){0,2}"
    r"[\"'*)\]]{0,3}(?:[ ]?\([^()\n]{1,20}\))?[ \t]{0,2}(?P<sign>(?:is|was|are|ist|lautet|est|es|è|é"
    r"|är|er|jest|to|это|on|是|为|は|는|은|है|हैं|هو|هي)(?![a-z])|[:=\#\-(,>|\t])?"
    r"[ \t]{0,3}[\"'*(\[]{0,3}"
    r"(?P<id>(?:[A-Z]{1,3}[ \-]?)?[A-Z0-9](?:[ .\-/]?[A-Z0-9]){3,24}(?:\([\dA]\))?(?:/[A-Z0-9]{2,6})?"
    r"|[A-Za-z0-9\-]{5,24})(?![A-Za-z0-9])"
)
_LEAST_DIGITS: Final = 4
_WORDY = re.compile(r"[A-Z]{2,}[ ]")
_TAIL = re.compile(r"(?:[ ][A-Z]{2,}|[ ][A-Z])+\Z")
_YEARS = re.compile(r"(?:19|20)\d\d(?:[\-/](?:(?:19|20)?\d\d))?")


@lru_cache(maxsize=1)
def _words() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words in small letters, and those that count only in capitals."""
    text = resources.files("netgpt.privacy.detectors").joinpath("id_words.txt").read_text(encoding="utf-8")
    lines = [plain(line).strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    small = sorted({line for line in lines if line == line.lower()}, key=lambda word: (-len(word), word))
    return tuple(small), tuple(
        sorted({line for line in lines if line != line.lower()}, key=lambda word: (-len(word), word))
    )


@lru_cache(maxsize=1)
def _stems() -> frozenset[str]:
    return frozenset(word[:4].lower() for words in _words() for word in words)


def _may_announce(seen: Prefilter) -> bool:
    return seen.has_digit and any(stem in seen.lowered for stem in _stems())


@detector(
    kind="NATIONAL_ID",
    family="secret",
    secret=True,
    triggers=_may_announce,
    examples=("passport number X4471882", "ИНН 500100732259"),
)
def find_announced(text: str) -> Iterator[Span]:
    """A number with at least four digits behind a word that says what it is."""
    small, capital = _words()
    for place, end in _ends(lower_case(text), text, small) + _ends(text, text, capital):
        if (match := _AFTER.match(text, end)) is None or not (
            match["sign"] or text[end : end + 1] in " \"'*\t_-" or place < 0
        ):
            continue
        start, stop = match.span("id")
        if tail := _TAIL.search(match["id"]):
            stop -= len(tail[0]) if any(c.isdigit() for c in match["id"][: tail.start()]) else 0
        value = text[start:stop]
        if sum(c.isdigit() for c in value) >= _LEAST_DIGITS and not _YEARS.fullmatch(value) and not _WORDY.match(value):
            yield Span(start, stop, "NATIONAL_ID", "pattern:announced", 0.6)


def _ends(searched: str, text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """(place, end) of each word that stands apart; the place is -1 in a writing without blanks."""
    found = []
    for word in words:
        for at in places(searched, (word,)) if word in searched else ():
            end = at + len(word)
            unspaced = word[-1] > "\u0590"
            if not unspaced and (text[end : end + 1].isalpha() or (at > 0 and text[at - 1].isalnum())):
                continue
            found.append((-1 if unspaced else at, end))
    return found
