"""Trying another arm now and then, so that the box hears of arms that it does not use: how often, for whom, which.

Bounded three ways: a share of each key's decisions, so many an hour and key, and only among the arms that were
candidates anyway. The chance of what was drawn is told, so that another policy can be judged by the same records.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Curiosity", "uniform"]

HOUR_S: Final = 3600.0
SCALE: Final = 0.1
"""An arm whose value is this much below the best is tried a third as often as one that is level with it."""
FLOOR: Final = 0.1
"""Even one far below is tried this often, against one that is level: what is never tried stays unknown."""
MOST_KEYS: Final = 10_000


def uniform(seed: int, number: int) -> float:
    """The `number`-th draw of a seed, in [0, 1): the same on every machine, with nothing to save but the number."""
    digest = hashlib.blake2b(b"%d:%d" % (seed, number), digest_size=7).digest()
    return (int.from_bytes(digest, "big") >> 3) / (1 << 53)


class Curiosity:
    """Who has explored how often, and with which chance each arm is drawn."""

    def __init__(self, share: float, per_hour: int) -> None:
        """`share` of decisions, 0 to 0.5; `per_hour`: explorations of one key within an hour of the clock."""
        self.share, self.per_hour = share, per_hour
        self._hour = 0
        self._used: dict[str, int] = {}

    def chances(self, values: Mapping[str, float], key: str, now: float) -> dict[str, float]:
        """The chance of each arm; they add up to 1. The best is first; of equals, the one that is named first."""
        best = max(values, key=values.__getitem__)
        share = self.share if len(values) > 1 and self._left(key, now) > 0 else 0.0
        if share == 0.0:
            return {best: 1.0} | {arm: 0.0 for arm in values if arm != best}
        odds = {
            arm: FLOOR + math.exp(-min((values[best] - value) / SCALE, 50.0))
            for arm, value in values.items()
            if arm != best
        }
        whole = sum(odds.values())
        return {best: 1.0 - share} | {arm: share * odd / whole for arm, odd in odds.items()}

    def explored(self, key: str, now: float) -> None:
        """Another arm than the best was drawn for this key."""
        self._left(key, now)
        if len(self._used) < MOST_KEYS or key in self._used:
            self._used[key] = self._used.get(key, 0) + 1

    def _left(self, key: str, now: float) -> int:
        hour = int(now // HOUR_S)
        if hour != self._hour:
            self._hour = hour
            self._used.clear()
        return self.per_hour - self._used.get(key, 0)

    def numbers(self) -> dict[str, Any]:
        return {"hour": self._hour, "used": dict(self._used)}

    def restore(self, numbers: Mapping[str, Any]) -> None:
        self._hour = int(numbers["hour"])
        self._used = {str(key): int(count) for key, count in numbers["used"].items()}
