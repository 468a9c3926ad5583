"""Words that everybody uses, which therefore tell of nobody: about 9,000 English ones, out of a tokenizer's pieces.

A tokenizer keeps a word whole when it was common in a very large text. Only pieces that begin a word, are written small
and have letters alone count; a regular ending ("s", "ed", "ing", ...) does not make a word less common.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Final

from netgpt.embedding import StaticEmbedder

__all__ = ["WORD", "Vocabulary", "common_words"]

_BEGINS: Final = "\u2581"
_ENDINGS: Final = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "est")
_SHORT: Final = 2
WORD: Final = re.compile(r"\w+(?:['\u2019]\w+)*")


class Vocabulary:
    """Which words, and which two words together, tell of nobody."""

    def __init__(self, words: Collection[str] = (), public: Iterable[str] = ()) -> None:
        """`words`: written small. `public`: texts that everybody may know, such as the names of the site."""
        self._words = frozenset(words)
        self._public: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for text in public:
            said = [word.casefold() for word in WORD.findall(text)]
            self._public.update(said)
            self._pairs.update(pairwise(said))

    def has(self, word: str) -> bool:
        """Whether the word, in whatever letters, is common, public, or too short to tell anything."""
        small = word.casefold().replace("\u2019", "'")
        if small in self._public or small in self._words:
            return True
        if len(small) <= _SHORT:
            return True
        return any(self._without(small, ending) for ending in _ENDINGS if small.endswith(ending))

    def has_pair(self, first: str, second: str) -> bool:
        """Whether two words side by side are common: both are, and they do not look like a name ("Rose Garden")."""
        if (first.casefold(), second.casefold()) in self._pairs:
            return True
        looks_like_a_name = first[:1].isupper() and second[:1].isupper()
        return self.has(first) and self.has(second) and not looks_like_a_name

    def _without(self, small: str, ending: str) -> bool:
        stem = small[: -len(ending)]
        return len(stem) > _SHORT and (stem in self._words or stem + "e" in self._words)


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """The words, out of the pieces that the box's embedding knows (0.3 s). Raises SettingsError: it is damaged."""
    words = (piece[1:] for piece in StaticEmbedder().pieces() if piece.startswith(_BEGINS))
    return frozenset(
        word for word in words if len(word) > _SHORT and word.isascii() and word.isalpha() and word.islower()
    )
