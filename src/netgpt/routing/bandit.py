"""What is believed of one target: how far its answers do better or worse than was thought of it beforehand.

A Bayesian linear model of the difference between what happened (1: the answer did, 0: it did not) and the prior, over
the features of the request; old observations fade (discounted least squares, as in D-LinUCB, Russac et al. 2019).
Where nothing was seen it says nothing, with its full uncertainty, and so it does again where all has faded.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

NOISE: Final = 0.2  # variance of one answer doing or not around its chance: 0.25 at one half, less at the ends
LIMIT: Final = 3.0  # features are cut to this: no odd request may pull a model about by its size
WIDE: Final = 1.5
MOST_FEATURES: Final = 16
SIZE: Final = MOST_FEATURES + 1


@dataclass(frozen=True, slots=True)
class Belief:
    """The chance that a target's answer will do, 0 to 1, and the standard deviation of that belief."""

    mean: float
    sd: float


def phi_of(x: Sequence[float]) -> Vector:
    """A leading 1 and 16 features: cut to +-3; what is missing or not a number is 0, further ones are left out."""
    phi = np.zeros(SIZE)
    few = x[:MOST_FEATURES]
    phi[1 : len(few) + 1] = few
    if not math.isfinite(phi.sum()):
        phi = np.nan_to_num(phi, nan=0.0)
    np.maximum(np.minimum(phi, LIMIT, out=phi), -LIMIT, out=phi)
    phi[0] = 1.0
    return phi


class Evidence:
    """Faded sums of what was seen, and the ridge regression that reads them."""

    def __init__(self, *, level_sd: float = 0.2, slope_sd: float = 1.0) -> None:
        """`level_sd`: how far off a prior may be over all requests; `slope_sd`: from one kind of request to another."""
        self._prior = np.full(SIZE, NOISE / slope_sd**2 * MOST_FEATURES)
        self._prior[0] = NOISE / level_sd**2
        self._seen = np.zeros((SIZE, SIZE))
        self._sum = np.zeros(SIZE)
        self._shown = np.zeros(SIZE)
        self._read: tuple[Vector, Vector] | None = None

    @property
    def weight(self) -> float:
        """How many observations' worth is still remembered."""
        return float(self._seen[0, 0])

    def shift(self, phi: Vector) -> tuple[float, float]:
        """(difference from the prior, standard deviation) for a request."""
        mean, inverse = self._solved()
        return float(phi.dot(mean)), math.sqrt(NOISE * float(phi.dot(inverse.dot(phi))))

    def shown(self, phi: Vector) -> tuple[float, float]:
        """The same as decisions see it: it goes after what is known by a bounded step for each observation."""
        return float(phi.dot(self._shown)), self.shift(phi)[1]

    def follow(self, most: float, phi: Vector) -> None:
        """Let what decisions see come nearer to what is known: by `most` at the most for this request, and for those
        seen before, of which `WIDE` times their root mean square is taken for the widest."""
        gap = self._solved()[0] - self._shown
        widest = WIDE * math.sqrt(max(0.0, float(gap.dot(self._seen.dot(gap)))) / max(self.weight, 1e-9))
        widest = max(widest, abs(float(phi.dot(gap))))
        if widest > 0:
            self._shown = self._shown + gap * min(1.0, most / widest)

    def add(self, phi: Vector, difference: float, weight: float) -> None:
        """Count an observation: `difference` from the prior, with `weight` (1: a whole one)."""
        self.correct(phi, weight * difference, weight)

    def correct(self, phi: Vector, moment: float, weight: float) -> None:
        """Change one that was counted: `moment` is the change of weight times difference; `weight` grows or stays."""
        self._seen += max(weight, 0.0) * np.outer(phi, phi)
        self._sum += moment * phi
        self._read = None

    def fade(self, share: float) -> None:
        """Keep this share of all that was seen."""
        self._seen *= share
        self._sum *= share
        self._read = None

    def fade_out(self, share: float) -> None:
        """The same, and let decisions see as much less of it."""
        self.fade(share)
        self._shown = self._shown * share

    def _solved(self) -> tuple[Vector, Vector]:
        if self._read is None:
            inverse: Vector = np.linalg.inv(np.diag(self._prior) + self._seen).astype(np.float64)
            self._read = (inverse @ self._sum, inverse)
        return self._read

    def numbers(self) -> dict[str, Any]:
        """All that was seen, for JSON; exact."""
        return {"seen": self._seen[_LOWER].tolist(), "sum": self._sum.tolist(), "shown": self._shown.tolist()}

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any], **widths: float) -> Self:
        """Raises ValueError, TypeError or KeyError for what `numbers` did not write."""
        one = cls(**widths)
        seen, total = np.array(numbers["seen"], dtype=np.float64), np.array(numbers["sum"], dtype=np.float64)
        if seen.shape != _LOWER[0].shape or total.shape != (SIZE,):
            raise ValueError("the sums do not fit the number of features")
        if not (np.isfinite(seen).all() and np.isfinite(total).all()):
            raise ValueError("a sum is not a number")
        one._seen[_LOWER] = seen
        one._seen = one._seen + one._seen.T - np.diag(np.diag(one._seen))
        one._sum = total
        shown = numbers.get("shown")  # what an earlier version wrote has none: all that it knew was seen at once
        one._shown = np.array(shown, dtype=np.float64) if shown is not None else one._solved()[0].copy()
        if one._shown.shape != (SIZE,) or not np.isfinite(one._shown).all():
            raise ValueError("what decisions see does not fit the number of features")
        return one


_LOWER: Final = np.tril_indices(SIZE)


HOUR_S: Final = 3600.0
SCALE: Final = 0.1
"""A target whose value is this much below the best is tried a third as often as one that is level with it."""
FLOOR: Final = 0.1
"""Even one far below is tried this often, against one that is level: what is never tried stays unknown."""
MOST_KEYS: Final = 10_000


def uniform(seed: int, number: int) -> float:
    """The `number`-th draw of a seed, in [0, 1): the same on every machine, with nothing to save but the number."""
    digest = hashlib.blake2b(b"%d:%d" % (seed, number), digest_size=7).digest()
    return (int.from_bytes(digest, "big") >> 3) / (1 << 53)


class EpsilonGreedy:
    """Tries another target now and then, so that the learner sees answers of targets that are not used.

    Bounded three ways: a share of each key's decisions, so many an hour and key, and only among the candidates. The
    chance of what was drawn is known, so that another policy can be judged by the same records.
    """

    def __init__(self, share: float, per_hour: int) -> None:
        """`share` of decisions, 0 to 0.5; `per_hour`: explorations of one key within an hour of the clock."""
        self.share, self.per_hour = share, per_hour
        self._hour = 0
        self._used: dict[str, int] = {}

    def chances(self, values: Mapping[str, float], key: str, now: float) -> dict[str, float]:
        """The chance of each target; they add up to 1. The best is first; of equals, the one that is named first."""
        best = max(values, key=values.__getitem__)
        share = self.share if len(values) > 1 and self._left(key, now) > 0 else 0.0
        if share == 0.0:
            return {best: 1.0} | {target: 0.0 for target in values if target != best}
        odds = {
            target: FLOOR + math.exp(-min((values[best] - value) / SCALE, 50.0))
            for target, value in values.items()
            if target != best
        }
        whole = sum(odds.values())
        return {best: 1.0 - share} | {target: share * odd / whole for target, odd in odds.items()}

    def explored(self, key: str, now: float) -> None:
        """Another target than the best was drawn for this key."""
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


ALLOWED: Final = 0.1  # a belief may be this far off for long without an alarm
ALARM: Final = 6.0
"""Summed surprise that raises the alarm: a target that does 0.4 worse is noticed after about 20 observations; one that
did not change gives a false alarm in some 4,000, which costs certainty, not truth."""
KEPT: Final = 0.9  # share of the past in the mean after another reading
FAR: Final = 4.0  # times the usual deviation
LEAST: Final = 0.2  # share of the mean below which nothing is a jump


@dataclass(slots=True)
class Cusum:
    """Page's two-sided test for a change (Biometrika 41, 1954), fed with how far off the belief was."""

    up: float = 0.0
    down: float = 0.0

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
    def of_numbers(cls, numbers: Sequence[float]) -> Self:
        up, down = numbers
        return cls(float(up), float(down))


@dataclass(slots=True)
class DriftingMean:
    """A faded mean of a positive quantity: two readings in a row far from it are the new mean."""

    value: float | None = None  # None before the first reading
    deviation: float = 0.0
    odd: float | None = None  # the last reading, if it was far from usual

    def observe(self, reading: float) -> bool:
        """Take in a reading; True: a jump."""
        if self.value is None:
            self.value = reading
            return False
        gap = reading - self.value
        far = abs(gap) > max(FAR * self.deviation, LEAST * abs(self.value))
        before, self.odd = self.odd, reading if far else None
        if far and before is not None and (before - self.value) * gap > 0:
            self.value, self.deviation, self.odd = (before + reading) / 2, abs(before - reading) / 2, None
            return True
        self.value += (1 - KEPT) * gap
        self.deviation = KEPT * self.deviation + (1 - KEPT) * abs(gap)
        return False

    def numbers(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        value, odd = (None if numbers[name] is None else float(numbers[name]) for name in ("value", "odd"))
        return cls(value, float(numbers["deviation"]), odd)
