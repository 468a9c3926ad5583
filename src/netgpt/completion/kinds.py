"""What a fact is about, when nobody said: words that settle it, else the nearest of a few examples."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from netgpt.completion.topics import ALIASES, known_kinds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embed", "KindGuesser", "known_kind"]

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts to unit vectors, one row each."""


@cache
def _table() -> list[dict[str, Any]]:
    text = resources.files("netgpt.completion").joinpath("kinds.toml").read_text(encoding="utf-8")
    table: list[dict[str, Any]] = tomllib.loads(text)["kind"]
    return table


@cache
def _patterns(column: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Kind and pattern, in the order of weight; column: "telling" or "words"."""
    return tuple((row["name"], _pattern(row[column])) for row in _table() if row[column].strip())


def _pattern(words: str) -> re.Pattern[str]:
    # Letters outside classes stay case-blind; a name's capital ("[A-Z]") must be one.
    joined = "|".join(re.sub(r"(?<=\w)\*", r"\\w*", word) for word in words.split()).replace("||", "|")
    return re.compile(rf"(?<!\w)(?i:{joined})(?!\w)".replace("[A-Z]", "(?-i:[A-Z])"))


_SUBJECT = re.compile(r"^(?:the )?(?:user|person|customer|i|he|she|they)(?:'s)?\b\s*", re.IGNORECASE)
"""Who the fact is about says nothing about its kind."""
_NAME = re.compile(r"([A-Za-z' ]{2,40}?)\s*(?::|=| - )\s*\S")
_SURE = 0.55
"""Cosine above which the nearest example settles the kind."""


def known_kind(kind: str) -> str | None:
    """The kind as the topics call it; None when they do not know it."""
    kind = kind.strip().casefold()
    return kind if kind in known_kinds() else ALIASES.get(kind)


class KindGuesser:
    """`guess(text)` -> the kind of a fact given as plain text, or "other"."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._examples: Any = None
        self._kinds = [row["name"] for row in _table() for _ in row["examples"]]
        self.guess = lru_cache(maxsize=2048)(self._guess)

    def _guess(self, text: str) -> str:
        return _named(text) or _settled(text, "telling") or _settled(text, "words") or self._nearest(text)

    def _nearest(self, text: str) -> str:
        if self._examples is None:
            self._examples = self._embed([example for row in _table() for example in row["examples"]])
        nearness = self._examples @ self._embed([_SUBJECT.sub("", text)])[0]
        best = int(nearness.argmax())
        return self._kinds[best] if nearness[best] >= _SURE else "other"


def _named(text: str) -> str | None:
    """The kind that a fact names itself: "User's home town: Leeds", "favourite cuisine - thai"."""
    name = _NAME.match(text)
    words = re.findall(r"[a-z]+", name[1].casefold()) if name else []
    return next((kind for word in reversed(words) if (kind := known_kind(word) or known_kind(word.rstrip("s")))), None)


def _settled(text: str, column: str) -> str | None:
    stated = _SUBJECT.sub("", text)
    return next((kind for kind, pattern in _patterns(column) if pattern.search(stated)), None)
