"""How much one key's ratings count for everybody: nobody can talk the learner out of a model alone.

Two bounds. Trust: a key whose ratings lie far from the median key's, recently, over all targets or of one, does not
count; a true change moves the median as well. A new key does not count before it is known, as soon as there is a crowd
to compare it with; before that, everybody counts half. Count: within a day a key counts at most `LEAST` observations a
target, or half of what all others count, if that is more. What does not count for all still counts for the key's own
routing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

LEAST: Final = 8.0
OF_OTHERS: Final = 0.5
KNOWN: Final = 8.0  # faded observations (ten in truth) after which a key is known
CROWD: Final = 3  # other recent keys that make a crowd
WINDOW_S: Final = 86_400.0
KEPT: Final = 0.95  # share of a key's past that remains after another observation of it: nobody weighs more than twenty
KEPT_LONG: Final = 0.99  # the same of its habits: who lies a little, or seldom, shows it in the long run
LATE: Final = 0.98
"""The same after an observation of anybody that counted: who was silent for long says little of today."""
ODD: Final = 0.4
"""Who says something so far from the middle is left out when the middle is found, as long as a crowd remains."""
RECENT: Final = 0.5  # a key with fewer recent observations is no part of the crowd
MOST_KEYS: Final = 500  # the one silent for longest is left out


@dataclass(slots=True)
class _Key:
    """One key on one target."""

    mean: float = 0.0  # faded mean of how far what it says is from the belief
    count: float = 0.0  # of how many observations, faded
    habit: float = 0.0  # as `mean`, over five times as many
    habit_count: float = 0.0
    counted: float = 0.0  # what it has counted within the window
    last: float = 0.0  # when, in seconds
    at: float = 0.0  # when, by the clock of `TrustWeights`
    odd: float = 0.0  # 1: by its habits it is no part of the crowd

    @property
    def in_crowd(self) -> bool:
        """Whether others are compared with it."""
        return self.count >= KNOWN and not self.odd

    def observe(self, difference: float, clock: float) -> None:
        self.at = clock
        self.count = KEPT * self.count + 1.0
        self.mean += (difference - self.mean) / self.count
        self.habit_count = KEPT_LONG * self.habit_count + 1.0
        self.habit += (difference - self.habit) / self.habit_count


class TrustWeights:
    """All keys that rated one target."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._clock = 0.0
        self._last = ""
        self._last_odd = ""

    def observe(self, key: str, difference: float, now: float, *, odd: bool = False) -> float | None:
        """Take in a key's observation (its difference from the belief); return its trust, 0 to 1; None: no crowd yet.

        `odd`: it was found to be outside the crowd elsewhere, so others are not compared with it here either.
        """
        entry = self._keys.pop(key, None) or _Key(last=now)
        while len(self._keys) >= MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        others = [one for one in self._keys.values() if one.in_crowd and self._recent(one) >= RECENT]
        self._keys[key] = entry  # the last in the row: observed last
        entry.observe(difference, self._clock)
        entry.odd = max(entry.odd, float(odd))
        if len(others) < CROWD:
            return None
        if entry.count < KNOWN:
            return 0.0
        weights = [self._recent(one) for one in others]
        now_middle = _middle(_without_odd(list(zip((one.mean for one in others), weights, strict=True))))
        habit_middle = _middle(_without_odd(list(zip((one.habit for one in others), weights, strict=True))))
        habit = _trust(entry.habit - habit_middle, entry.habit_count)
        entry.odd = float(odd or habit == 0.0)
        return min(_trust(entry.mean - now_middle, entry.count), habit)

    def count(self, key: str, weight: float, now: float) -> float:
        """Let a key that was observed count with `weight`, or what is left of its share; return how much."""
        entry = self._keys[key]
        entry.counted, entry.last = _faded(entry, now), now
        others = sum(_faded(other, now) for other in self._keys.values() if other is not entry)
        counts = max(0.0, min(weight, max(LEAST, OF_OTHERS * others) - entry.counted))
        entry.counted += counts
        self.passed(key, counts)
        return counts

    def is_odd(self, key: str) -> bool:
        """Whether the key is no part of the crowd."""
        return bool(self._keys[key].odd)

    def knows(self, key: str) -> bool:
        """Whether enough was observed of the key."""
        return self._keys[key].count >= KNOWN

    def passed(self, key: str, counts: float) -> None:
        """Age what others said: by what counted, and by half where it counted nothing and came from another key than
        the last, so that a crowd that changes its mind together is not held to what it said before.

        A single key outside the crowd ages nothing, however often it rates (several do): a liar would otherwise change
        who is trusted.
        """
        if counts > 0.0:
            self._clock += counts
        elif self.is_odd(key):
            self._clock += 0.5 * (self._last_odd not in ("", key))
            self._last_odd = key
            return
        else:
            self._clock += 0.5 * (key != self._last)
        self._last = key

    def _recent(self, entry: _Key) -> float:
        return float(entry.count * LATE ** (self._clock - entry.at))

    def forget(self, key: str) -> None:
        self._keys.pop(key, None)
        self._last_odd = "" if self._last_odd == key else self._last_odd

    def numbers(self) -> dict[str, Any]:
        keys = {key: [getattr(entry, each.name) for each in fields(entry)] for key, entry in self._keys.items()}
        return {"clock": self._clock, "last": self._last, "last_odd": self._last_odd, "keys": keys}

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        """Raises ValueError, TypeError or KeyError for what `numbers` did not write."""
        one = cls()
        one._clock, one._last = float(numbers["clock"]), str(numbers["last"])
        one._last_odd = str(numbers.get("last_odd", ""))  # what an earlier version wrote has none
        one._keys = {str(key): _Key(*map(float, entry)) for key, entry in numbers["keys"].items()}
        return one


def _faded(entry: _Key, now: float) -> float:
    """What it has counted within the window that ends now."""
    return entry.counted * math.exp(-max(0.0, now - entry.last) / WINDOW_S)


def _middle(weighted: list[tuple[float, float]]) -> float:
    """The weighted median of (value, weight)."""
    half, below = sum(weight for _, weight in weighted) / 2, 0.0
    for value, weight in sorted(weighted):
        below += weight
        if below >= half:
            return value
    return 0.0


def _without_odd(weighted: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(weighted) <= CROWD:
        return weighted
    middle = _middle(weighted)
    rest = [one for one in weighted if abs(one[0] - middle) <= ODD]
    return rest if len(rest) >= CROWD else weighted


def _trust(odd: float, count: float) -> float:
    """1 where `odd` is what chance and taste explain, 0 from two thirds more on."""
    allowed = 0.1 + 0.6 / math.sqrt(count)
    return max(0.0, min(1.0, 5.0 - 3.0 * abs(odd) / allowed))
