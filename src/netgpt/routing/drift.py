"""Noticing that the world has changed: an arm's answers got better or worse, its price or its pace is another.

`Cusum` is Page's two-sided test (Biometrika 41, 1954), fed with how far off the belief was. `Pace` is a faded mean of
one measured quantity that jumps with it: two readings in a row far from what was usual are the new usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

__all__ = ["Cusum", "Pace"]

ALLOWED: Final = 0.1
"""A belief may be this far off for long without an alarm."""
ALARM: Final = 6.0
"""Summed surprise that raises the alarm: an arm that does 0.4 worse is noticed after about 20 observations; one that
did not change gives a false alarm in some 4,000, which costs certainty, not truth."""
KEPT: Final = 0.9
"""Share of the past in the mean after another reading."""
FAR: Final = 4.0
"""Times the usual deviation."""
LEAST: Final = 0.2
"""Share of the mean below which nothing is a jump."""


class Cusum:
    """Sums what exceeds the allowance, upwards and downwards."""

    def __init__(self) -> None:
        self.up = self.down = 0.0

    def noticed(self, difference: float, weight: float) -> bool:
        """Take in how far reality was from the belief; True: it has moved, and the test begins anew."""
        self.up = max(0.0, self.up + weight * (difference - ALLOWED))
        self.down = max(0.0, self.down + weight * (-difference - ALLOWED))
        if max(self.up, self.down) < ALARM:
            return False
        self.up = self.down = 0.0
        return True

    def numbers(self) -> list[float]:
        return [self.up, self.down]

    @classmethod
    def of_numbers(cls, numbers: list[float]) -> Self:
        one = cls()
        one.up, one.down = (float(number) for number in numbers)
        return one


class Pace:
    """A faded mean of a positive quantity; `value` is None before the first reading."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.deviation = 0.0
        self._odd: float | None = None
        """The last reading, if it was far from usual."""

    def told(self, reading: float) -> bool:
        """Take in a reading; True: a jump."""
        if self.value is None:
            self.value = reading
            return False
        gap = reading - self.value
        far = abs(gap) > max(FAR * self.deviation, LEAST * abs(self.value))
        before, self._odd = self._odd, reading if far else None
        if far and before is not None and (before - self.value) * gap > 0:
            self.value, self.deviation, self._odd = (before + reading) / 2, abs(before - reading) / 2, None
            return True
        self.value += (1 - KEPT) * gap
        self.deviation = KEPT * self.deviation + (1 - KEPT) * abs(gap)
        return False

    def numbers(self) -> dict[str, Any]:
        return {"value": self.value, "deviation": self.deviation, "odd": self._odd}

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        one = cls()
        value, odd = numbers["value"], numbers["odd"]
        one.value = None if value is None else float(value)
        one._odd = None if odd is None else float(odd)
        one.deviation = float(numbers["deviation"])
        return one
