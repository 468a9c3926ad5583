"""How much work at once a box can do, found out by how much longer answers take than when little was at work.

A limit grows while there is demand for more and answers take no longer for it, and shrinks when they do (as TCP Vegas
finds the room of a path; Brakmo and Peterson, 1995). Answers of one arm, of one kind and of about one size are compared
with one another alone, so that a run of long answers is not taken for a slow box.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Final

__all__ = ["Limit", "Paces"]

_SAMPLES: Final = 6
"""Answers whose median is one measurement."""
_QUIET: Final = 15
"""The median of so many measurements, with little at work, is how long an answer takes when nothing is in its way."""
_CROWDED: Final = 40
"""Where it was never quiet, the least of so many stands for it."""
_SORTS: Final = 512
"""Sorts of answers that are told apart; then all is learnt anew."""
TOLERATED: Final = 1.35
"""So many times longer than at best is still well."""
_AIM: Final = 1.15
_FEWEST, _MOST = 6, 32
"""Answers by which a limit is judged, at least and at most."""
_STUBBORN: Final = 3
"""Judgements at the lowest limit after which slow answers are not the fault of work at once."""
_LOOK_AGAIN: Final = 24
"""After so many judgements under full load, half of it is tried for one, to see how fast answers can be."""


class _Pace:
    """How long one sort of answers takes, in seconds a unit."""

    def __init__(self) -> None:
        self._now: dict[bool, list[float]] = {True: [], False: []}
        self._quiet: deque[float] = deque(maxlen=_QUIET)
        self._crowded: deque[float] = deque(maxlen=_CROWDED)
        self.best: float | None = None
        """How long one takes when nothing is in its way. None: not known yet."""

    def told(self, value: float, *, crowded: bool) -> float:
        best = self.best
        pending = self._now[crowded]
        pending.append(value)
        if len(pending) >= _SAMPLES:
            (self._crowded if crowded else self._quiet).append(statistics.median(pending))
            pending.clear()
            self._settle()
        return value / best if best else 1.0

    def _settle(self) -> None:
        self.best = statistics.median(self._quiet) if self._quiet else min(self._crowded, default=None)

    def rebase(self) -> None:
        """The world has become slower: take the last measurement for the best."""
        last = [*self._quiet, *self._crowded][-1:]
        self._quiet.clear()
        self._crowded.clear()
        self._crowded.extend(last)
        self._settle()


class Paces:
    """The paces of all sorts of answers."""

    def __init__(self) -> None:
        self._paces: dict[tuple[str, bool, int], _Pace] = {}

    def told(self, arm: str, seconds: float, *, size: int, stream: bool, crowded: bool) -> float:
        """How many times longer than at best this answer took. `size`: what its time grows with, in tokens: of the
        prompt where `seconds` end with the first word of a stream, else of the answer. `crowded`: much was at work."""
        units = size + 8
        pace = self._paces.get(sort := (arm, stream, round(math.log2(units))))
        if pace is None:
            if len(self._paces) >= _SORTS:
                self._paces.clear()
            pace = self._paces[sort] = _Pace()
        return pace.told(seconds / units, crowded=crowded)

    def rebase(self) -> None:
        """The world has become slower: all that is known of it begins with the last measurements."""
        for pace in self._paces.values():
            pace.rebase()


class Limit:
    """Work at once, between `floor` and `ceiling`, beginning with `first`."""

    def __init__(self, first: int, floor: int, ceiling: int) -> None:
        self.floor, self.ceiling = min(floor, ceiling), ceiling
        self._value = float(min(max(first, self.floor), ceiling))
        self.proven = False
        """Whether more than this was tried, and was too much."""
        self.ratio = 1.0
        """How many times longer than at best answers took, when last judged."""
        self._ratios: list[float] = []
        self._steady: list[float] = []
        self._peak = 0
        self._full = False
        self._since = self._settled = -math.inf
        self._took_s = 0.0
        self._stubborn = self._judged = 0
        self._before_look: float | None = None

    @property
    def value(self) -> int:
        return int(self._value)

    def is_crowded(self, count: int) -> bool:
        """Whether `count` at work is so much that answers may take longer for it."""
        return count > max(1.0, self._value / 2) and self._before_look is None

    def at_work(self, count: int, *, waits: bool) -> None:
        """Note how much is at work, and whether somebody `waits` for the limit's sake."""
        self._peak = max(self._peak, count)
        self._full = self._full or waits

    def told(self, ratio: float, began: float, now: float) -> bool:
        """Take in how an answer to what began at `began` went. True: the world has become slower (see `rebase`)."""
        self._took_s += 0.2 * (now - began - self._took_s)
        if began < self._since:
            return False  # it was at work before the last change, and tells of that time
        self._ratios.append(ratio)
        if began >= self._settled:
            self._steady.append(ratio)
        # What is too slow is seen early. To grow takes a full look: the quick ones among the first answers after a
        # step would flatter it.
        if len(self._ratios) >= _FEWEST and (median := statistics.median(self._ratios[-_MOST:])) > TOLERATED:
            self.ratio = median
        elif len(self._steady) >= min(_MOST, max(_FEWEST, self.value)):
            self.ratio = max(1.0, statistics.median(self._steady))
        else:
            return False
        slower = self._judge(now)
        self._ratios, self._steady, self._peak, self._full = [], [], 0, False
        return slower

    def _judge(self, now: float) -> bool:
        if self._before_look is not None:
            self._value, self._before_look = self._before_look, None
            self._since = now
        elif self.ratio > TOLERATED:
            return self._shrink(now)
        elif self._full:
            self._grow(now)
        self._stubborn = 0
        return False

    def _shrink(self, now: float) -> bool:
        base = min(self._value, max(self._peak, self.floor))
        self._stubborn = self._stubborn + 1 if base <= self.floor else 0
        self._value = max(float(self.floor), base * min(0.95, max(0.5, _AIM / self.ratio)))
        self.ratio = max(1.0, self.ratio * self._value / base)
        self.proven, self._since = True, now
        if self._stubborn < _STUBBORN:
            return False
        self.proven, self._stubborn = False, 0
        return True

    def _grow(self, now: float) -> None:
        self._judged += 1
        if self.proven and self._judged >= _LOOK_AGAIN:
            self._judged, self._before_look, self._since = 0, self._value, now
            self._value = max(float(self.floor), self._value / 2)
            return
        room = (TOLERATED - self.ratio) / (TOLERATED - 1)
        step = max(0.34, 0.05 * self._value) if self.proven else max(1.0, min(0.5, room) * self._value)
        self._value = min(float(self.ceiling), self._value + step)
        if not self.proven:
            self._since, self._settled = now, now + self._took_s
