"""A gauge: one quantity, measured now and then, with an estimate that follows changes and grows old.

The estimate is an average that forgets. When two measurements in a row lie on one side of it, far off by what was
usual so far, the quantity has changed: the estimate begins anew from these two (a run test; the mean deviation is kept
as TCP keeps that of the round trip, RFC 6298). An estimate never lies outside of what was measured.
"""

from __future__ import annotations

import math

from netgpt.routing.views import Estimate

__all__ = ["Gauge"]

_MOST_WEIGHT = 30.0
"""No more of the past stands beside a new measurement, however many there were."""
_FAR = 3.0
"""Mean deviations from the estimate that count as far."""
_FAR_SHARE = 0.3
"""And at least this share of the estimate."""
_RUN = 2.0
"""Far ones in a row, on one side, of so much weight together are a change."""


class Gauge:
    """One quantity. Times are seconds of one clock that never goes back; a time before the last counts as the last.

    `memory_s`: how long a measurement counts; `keeps_s`: after so long without one the confidence has fallen to 37 %;
    `floor`: differences below it are never far; `far`: all from here on are, whatever the noise (for shares that are
    made of nothing but 0 and 1).
    """

    __slots__ = ("_at", "_deviation", "_far", "_floor", "_high", "_keeps_s", "_low", "_mean", "_memory_s", "_run",
                 "_run_sum", "_weight")  # fmt: skip

    def __init__(
        self, *, memory_s: float = 30.0, keeps_s: float = 60.0, floor: float = 0.0, far: float | None = None
    ) -> None:
        self._memory_s, self._keeps_s, self._floor, self._far = memory_s, keeps_s, floor, far
        self._mean = self._deviation = self._weight = self._run_sum = 0.0
        self._low, self._high = math.inf, -math.inf
        self._at = -math.inf
        self._run = 0.0
        """Weight of the far measurements in a row: above when positive, below when negative."""

    @property
    def at(self) -> float:
        """When it was last measured; minus infinity before the first time."""
        return self._at

    def observe(self, value: float, now: float, weight: float = 1.0) -> None:
        """One measurement. `weight`: how much it tells, 1 for a usual one. What is no number is passed over."""
        if not math.isfinite(value) or not weight > 0:
            return
        if self._weight == 0:
            self._mean = self._low = self._high = value
            self._weight, self._at = weight, now
            return
        gap = max(0.0, now - self._at)
        self._at += gap
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._weight *= math.exp(-gap / self._memory_s)
        if self._changed(value, weight):
            self._begin_anew(value)
            return
        distance = abs(value - self._mean)
        self._weight = min(self._weight, _MOST_WEIGHT) + weight
        self._mean += (value - self._mean) * weight / self._weight
        self._deviation += (distance - self._deviation) * weight / self._weight

    def _changed(self, value: float, weight: float) -> bool:
        """Weigh those in a row that were far off on this side; whether they are enough."""
        distance = value - self._mean
        far = self._far or max(_FAR * self._deviation, _FAR_SHARE * abs(self._mean), self._floor)
        if abs(distance) <= far:
            self._run = self._run_sum = 0.0
            return False
        side = 1.0 if distance > 0 else -1.0
        if self._run * side < 0:
            self._run = self._run_sum = 0.0
        self._run += side * weight
        self._run_sum += value * weight
        return abs(self._run) >= _RUN

    def _begin_anew(self, value: float) -> None:
        self._weight = abs(self._run)
        self._mean = self._run_sum / self._weight
        self._deviation = abs(value - self._mean)
        self._run = self._run_sum = 0.0

    def value(self) -> float | None:
        """The estimate alone; None: never measured."""
        return min(max(self._mean, self._low), self._high) if self._weight else None

    def estimate(self, now: float) -> Estimate | None:
        """The estimate with its age and confidence; None: never measured."""
        if not self._weight:
            return None
        age = max(0.0, now - self._at)
        sure = self._weight / (self._weight + 1.0)
        return Estimate(min(max(self._mean, self._low), self._high), age, sure * math.exp(-age / self._keeps_s))
