"""What in an answer looks like a placeholder and could not be put back: counted, so that nobody overlooks it.

A model may translate, bend or invent a placeholder. Where it is not certain what was meant, nothing is put in its
place; the account of the exchange tells how often.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from netgpt.privacy.placeholders import CLOSING, KNOWN_KINDS, OPENING, TRANSLATED

__all__ = ["Watch"]

_LONGEST: Final = 64
_IN_BRACKETS = re.compile(
    rf"[{re.escape(OPENING)}{{(][ \t*_`~\\]{{0,4}}(?P<word>[^\W\d_][^\W\d]{{1,23}}?(?:[ \-][^\W\d_]{{2,12}})?)"
    rf"\\{{0,2}}(?P<mark>[_＿ \-.:#]?)(?P<n>\d{{1,6}})[\w'’]{{0,8}}[ \t*_`~\\]{{0,4}}[{re.escape(CLOSING)}}})]"
)
_WIDE = str.maketrans({chr(0xFF01 + i): chr(0x21 + i) for i in range(94)})


class Watch:
    """Reads what is given out as it came, piece by piece, and counts. Each placeholder is counted once."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: the placeholders of the conversation."""
        kinds = frozenset(name.rpartition("_")[0] for name in names)
        self._bare = _bare(kinds)
        self._known = kinds | KNOWN_KINDS | frozenset(TRANSLATED)
        self._tail = ""
        self.count = 0

    def feed(self, piece: str) -> None:
        """The next piece of the text."""
        text = self._tail + piece
        self._tail = text[self._read(text, len(text) - _LONGEST) :]

    def end(self) -> None:
        """The text is over, or something was put back here: what comes next is another text."""
        self._read(self._tail, len(self._tail))
        self._tail = ""

    def _read(self, text: str, settled: int) -> int:
        """Count what begins before `settled`; the place from which on the text has to be read again."""
        again = max(0, settled)
        for match in self._matches(text):
            if match.start() >= settled:
                break
            self.count += 1
            again = max(again, match.end())
        return again

    def _matches(self, text: str) -> list[re.Match[str]]:
        found = [match for match in _IN_BRACKETS.finditer(text) if self._means(match)]
        inside = [match.span() for match in found]
        bare = self._bare.finditer(text) if self._bare else ()
        found += [match for match in bare if not any(start <= match.start() < end for start, end in inside)]
        return sorted(found, key=lambda match: match.start())

    def _means(self, match: re.Match[str]) -> bool:
        """Whether the brackets hold a placeholder's name, and not "[Figure 2]" or "(see 3)"."""
        word, mark = match["word"].translate(_WIDE), match["mark"].translate(_WIDE)
        kind = re.sub(r"[ \-]", "_", word).upper()
        if match[0][0] in "({":  # "(PERSON 1)" is told by the bare form
            return mark == "_" and word == word.upper() and kind in self._known
        return (kind in self._known and mark in ("_", " ", "-", "")) or (mark == "_" and word == word.upper())


@lru_cache(maxsize=256)
def _bare(kinds: frozenset[str]) -> re.Pattern[str] | None:
    """A kind of this conversation in capitals with a number: "PERSON 1", "PERSON_1x", "PERSON-2"."""
    if not kinds:
        return None
    told = "|".join(re.escape(kind).replace("_", "[_ ]") for kind in sorted(kinds, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{told})[_ \-]\d{{1,6}}\w{{0,8}}")
