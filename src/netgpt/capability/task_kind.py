"""Which kind of task a request is, with calibrated chances, and `UNKNOWN` where none is likely enough.

The sorts of `netgpt.sorts` summed by kind. A chance is made smaller where the text shows nothing that the sorts know:
hardly a word, or no word of any list. The kind is named from `LEAST` on; below, nobody should act as if it were known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from netgpt.judgement import UNKNOWN, TaskKind
from netgpt.sorts import Read, Sorts

LEAST: Final = 0.35
"""A kind less likely than this is not named: a guess that is wrong more often than right."""
_SHOWN: Final = 0.02
"""A kind less likely than this is not listed."""


class TaskKinds:
    """`of(texts)` -> a `TaskKind` each. Thread-safe: nothing changes after it was made."""

    def __init__(self, sorts: Sorts) -> None:
        self.sorts = sorts
        self._kinds = tuple(dict.fromkeys(sorts.kinds))
        self._places = tuple(self._kinds.index(kind) for kind in sorts.kinds)

    def of(self, texts: Sequence[str]) -> list[TaskKind]:
        """What kind of task each text is."""
        return self.named(self.sorts.read(texts))

    def named(self, read: Read) -> list[TaskKind]:
        """The kinds of texts that were read already."""
        return [self._named(row.tolist()) for row in read.chances]

    def _named(self, row: Sequence[float]) -> TaskKind:
        chances = [0.0] * len(self._kinds)
        for place, chance in zip(self._places, row, strict=True):
            chances[place] += chance
        ordered = sorted(zip(self._kinds, chances, strict=True), key=lambda one: -one[1])
        shown = tuple((kind, round(chance, 4)) for kind, chance in ordered if chance >= _SHOWN and kind != UNKNOWN)
        kind, chance = ordered[0]
        if kind == UNKNOWN or chance < LEAST:
            rest = 1 - sum(each for _, each in shown)
            return TaskKind(UNKNOWN, round(max(0.0, rest), 4), shown)
        return TaskKind(kind, round(chance, 4), shown)
