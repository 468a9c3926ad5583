"""Publicly known people: who is asked about as a subject of knowledge is not a private person.

The role in the sentence decides, which the tagger has learnt: "who was Ada Lovelace" against "Ada Lovelace called in
sick". What it leaves is known here by name, for policies under which not even these names may leave (`strict`,
`health`, or `privacy.public_figures = false`). The list `shipped/figures.txt` was written for NetGPT: a line each,
whole name and, behind a bar, how they are known alone. It can be read through in a minute and changed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from netgpt.privacy.detectors.normalize import views
from netgpt.privacy.tagger import WORD
from netgpt.types import Span

FIGURE = "FIGURE"
"""The kind that a policy is asked about: whether names of publicly known people may leave as they are."""
LIST = Path(__file__).parent / "shipped" / "figures.txt"


@cache
def figures() -> tuple[str, ...]:
    """Names of publicly known people, whole and as they are known alone."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return tuple(dict.fromkeys(name.strip() for line in lines for name in line.split("|") if name.strip()))


@cache
def _index() -> dict[str, list[tuple[str, ...]]]:
    """First word of a name -> the words of the names that begin with it, the longest first."""
    index: dict[str, list[tuple[str, ...]]] = {}
    for name in figures():
        words = _words(name)
        if words:
            index.setdefault(words[0], []).append(words)
    for names in index.values():
        names.sort(key=lambda words: -len(words))
    return index


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD.findall(text))


def is_figure(name: str) -> bool:
    """Whether a name, as a text writes it, is one of the list."""
    words = _words(name)
    return bool(words) and words in _index().get(words[0], ())


def find_figures(text: str) -> Iterator[Span]:
    """Where publicly known people are named, with a capital letter.

    >>> [(span.start, span.end) for span in find_figures("Compare Kant and Hegel.")]
    [(8, 12), (17, 22)]
    """
    for view in views(text):
        words = list(WORD.finditer(view.text))
        lowered = [word[0].lower() for word in words]
        at = 0
        while at < len(words):
            names = _index().get(lowered[at], ()) if words[at][0][0].isupper() else ()
            size = next((len(name) for name in names if tuple(lowered[at : at + len(name)]) == name), 0)
            if size:
                yield Span(*view.back(words[at].start(), words[at + size - 1].end()), "PERSON", "figure", 0.5)
            at += max(size, 1)
