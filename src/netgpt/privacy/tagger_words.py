"""Words of a text, and the numbers that describe each to the tagger: character pieces as hashes, shape, gazetteers.

No word is kept: a word becomes hashes of its pieces, and digits are folded to one sign before that. A vector of
public word pieces (`wordllama`, 256 numbers) tells what a common word means.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BUCKETS", "FLAGS", "OCCURRENCE", "Bloom", "Token", "fold", "occurrence", "piece_ids", "shape", "tokens"]

BUCKETS = 8192
"""Rows of the table of character pieces."""
FLAGS = 50
"""Numbers that describe a word's shape (`shape`, and the gazetteers behind it)."""
OCCURRENCE = 16
"""Numbers that describe where a word stands (`occurrence`)."""

_LONGEST = 48
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(
    rf"[{_IDEOGRAPH}]|(?:(?![{_IDEOGRAPH}])[^\W_])+(?:['’](?!s\b)(?:(?![{_IDEOGRAPH}])[^\W_])+)*|[^\w\s]|_"
)
_DIGIT = re.compile(r"\d")
_SCRIPTS = (("\u0250", 0), ("\u0370", 1), ("\u0400", 2), ("\u0530", 3), ("\u0590", 9), ("\u0600", 4), ("\u0780", 5))
_SEEDS = (11, 23, 37, 53)
_LENGTHS = (1, 2, 3, 5, 8, 12, 20)

Token = tuple[int, int]
"""Start and end of a word or sign."""


def tokens(text: str) -> list[Token]:
    """Words, numbers and single signs; one ideograph is one word."""
    return [match.span() for match in _TOKEN.finditer(text)]


def fold(word: str) -> str:
    """What the hashes see of a word: small letters, every digit a 0, a bounded length."""
    word = word[:_LONGEST].lower()
    return word if word.isalpha() else _DIGIT.sub("0", word).replace("’", "'")


def piece_ids(folded: str) -> list[int]:
    """Buckets of the word's first and last two letters and of its runs of three and four."""
    marked = f"^{folded}$"
    pieces = {marked[i : i + 3] for i in range(len(marked) - 2)}
    pieces.update(marked[i : i + 4] for i in range(len(marked) - 3))
    if len(marked) > 4:
        pieces.update(("<" + marked[:3], ">" + marked[-3:], "<" + marked[:5], ">" + marked[-5:]))
    return [zlib.crc32(piece.encode("utf-8", "surrogatepass")) % BUCKETS for piece in sorted(pieces)]


def shape(word: str, wordpieces: Sequence[int], cased: Sequence[int], listed: Sequence[bool]) -> list[float]:
    """FLAGS numbers for a word; `wordpieces`, `cased`: ids of its small and its own spelling; `listed`: gazetteers."""
    flags = [0.0] * FLAGS
    letters = word.isalpha()
    digits = sum(c.isdigit() for c in word)
    flags[0] = float(word[0].isupper() and (len(word) == 1 or word[1:].islower()))
    flags[1] = float(len(word) > 1 and word.isupper())
    flags[2] = float(not word.islower() and not word.isupper() and not word.istitle() and word[0].isalnum())
    flags[3] = float(word.islower())
    flags[4] = float(digits > 0)
    flags[5] = float(digits == len(word))
    flags[6] = float(0 < digits < len(word))
    flags[7] = float(not word.isascii())
    flags[8] = float(not word[0].isalnum())
    flags[9] = float(letters)
    flags[10 + sum(len(word) > bound for bound in _LENGTHS)] = 1.0
    if digits:
        flags[18 + min(digits, 12) // 2] = 1.0
        flags[25] = float(digits == 4 == len(word) and word[:2] in ("19", "20"))
    if letters:
        flags[26 + script(word[0])] = 1.0
        flags[36 + min(len(wordpieces), 5) - 1 if wordpieces else 36] = 1.0
        flags[41] = min(wordpieces, default=0) / 32_000 if len(wordpieces) == 1 else 1.0
        flags[42] = float(len(cased) < len(wordpieces))
        flags[43] = float(len(cased) == 1)
    for number, on in enumerate(listed):
        flags[44 + number] = float(on)
    return flags


@lru_cache(maxsize=4096)
def script(letter: str) -> int:
    """Number of the writing system: Latin 0, Greek 1, Cyrillic 2, Hebrew 9, Arabic 4, Han and kana 7, Hangul 8..."""
    if "\u3040" <= letter <= "\u30ff" or "\u3400" <= letter <= "\u9fff":
        return 7
    if "\uac00" <= letter <= "\ud7af":
        return 8
    return next((number for limit, number in _SCRIPTS if letter < limit), 6)


def occurrence(text: str, found: Sequence[Token], first: bool, size: int) -> NDArray[np.float32]:
    """Where each word stands: (len(found), OCCURRENCE). `first`: the text begins here; `size`: characters of it all."""
    import numpy as np

    letters = sum(c.isalpha() for c in text)
    capitals = sum(c.isupper() for c in text)
    words = [text[start] for start, end in found if text[start].isalpha()]
    titled = sum(c.isupper() for c in words) / len(words) if words else 0.0
    shared = (
        capitals / letters if letters else 0.0,
        titled,
        float(capitals == 0),
        float(letters > 0 and capitals > 0.6 * letters),
        float(size < 60),
        float(size < 250),
        float(size < 1200),
        float(first),
        min(1.0, len(text) / 1000),
    )
    table = np.zeros((len(found), OCCURRENCE), dtype=np.float32)
    if not found:
        return table
    table[:, 7:] = shared
    ends = [0, *(end for _, end in found[:-1])]
    gaps = [text[end:start] for end, (start, _) in zip(ends, found, strict=True)]
    after = [*gaps[1:], text[found[-1][1] :] or "\n"]
    table[:, 0] = [bool(gap) for gap in gaps]
    table[:, 1] = ["\n" in gap for gap in gaps]
    table[:, 2] = [bool(gap) for gap in after]
    table[:, 3] = ["\n" in gap for gap in after]
    before = [".", *(text[start] for start, _ in found[:-1])]
    table[:, 4] = [c in ".!?" for c in before]
    table[:, 5] = [c in ":-\"'“(*>" for c in before]
    table[0, 6] = 1.0
    return table


@dataclass(frozen=True, slots=True)
class Bloom:
    """A set of words as bits: nothing can be listed from it, and one asked word in about a hundred is a false yes."""

    bits: bytes

    def __contains__(self, word: str) -> bool:
        bits, coded = self.bits, word.encode("utf-8", "surrogatepass")
        size = len(bits) * 8
        for seed in _SEEDS:
            place = zlib.crc32(coded, seed) % size
            if not bits[place >> 3] >> (place & 7) & 1:
                return False
        return True

    @classmethod
    def of(cls, words: Sequence[str]) -> Bloom:
        """A set that holds `words`, of about ten bits a word."""
        bits = bytearray(max(64, len(words) * 10 // 8))
        for word in words:
            coded = word.encode("utf-8", "surrogatepass")
            for seed in _SEEDS:
                place = zlib.crc32(coded, seed) % (len(bits) * 8)
                bits[place >> 3] |= 1 << (place & 7)
        return cls(bytes(bits))
