"""Links made up by a seed: so the lab runs where no recorded ones are. Shapes of the real thing, not its figures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from netgpt.bench.link_trace import Point, Trace, point

__all__ = ["MADE", "STEPS", "STEP_S", "made_traces"]

STEP_S = 15.0
"""Seconds that each step of `STEPS` lasts."""
MADE = "made"
_GOOD = {"rtt_ms": 40.0, "jitter_ms": 3.0, "loss": 0.001}
_BAD = {"rtt_ms": 800.0, "jitter_ms": 100.0, "loss": 0.03}


def _steps() -> Trace:
    """Good, bad, cut, good: how soon does what decides follow?"""
    points = (
        point(0.0, 40.0, 10.0, **_GOOD),
        point(STEP_S, 0.15, 0.06, **_BAD),
        point(2 * STEP_S, 0.0, 0.0, **_BAD),
        point(3 * STEP_S, 40.0, 10.0, **_GOOD),
    )
    return Trace("steps", "good-bad-cut-good", points, 4 * STEP_S)


STEPS = _steps()


def made_traces(seconds: float, seed: int) -> list[Trace]:
    """One trace of each kind, `seconds` long."""
    makers: Sequence[tuple[str, Callable[[random.Random, float], list[Point]]]] = (
        ("city-walk", _walk), ("train", _train), ("orbit", _orbit), ("crowd", _crowd),
    )  # fmt: skip
    made = []
    for number, (name, make) in enumerate(makers):
        made.append(Trace(MADE, name, make(random.Random(seed + number), seconds), seconds))
    return made


def _walk(rng: random.Random, seconds: float) -> list[Point]:
    """4G in a city: the logarithm of the rate drifts back to its mean (an AR(1) process) and is hit by corners."""
    level, points = 0.0, []
    for second in range(math.ceil(seconds)):
        level = 0.85 * level + rng.gauss(0, 0.35) - (1.2 if rng.random() < 0.03 else 0.0)
        rate = 8 * math.exp(level)
        points.append(point(second, rate, rate / 4, rtt_ms=60 + 20 * math.exp(-level), jitter_ms=8, loss=0.003))
    return points


def _train(rng: random.Random, seconds: float) -> list[Point]:
    """3G and 4G from a train: cells come and go within half a minute, tunnels cut for three to twelve seconds."""
    points: list[Point] = []
    cell_s, tunnel = rng.uniform(15, 35), rng.uniform(12, 25)
    dark = rng.uniform(3, 12)
    for second in range(math.ceil(seconds)):
        if second > tunnel + dark:
            tunnel, dark = second + rng.uniform(25, 60), rng.uniform(3, 12)
        near = abs(math.sin(math.pi * second / cell_s))
        rate = 0.0 if second > tunnel else 0.3 + 11.7 * near * rng.uniform(0.6, 1.0)
        points.append(point(second, rate, rate / 5, rtt_ms=90 + 200 * (1 - near), jitter_ms=20, loss=0.01))
    return points


def _orbit(rng: random.Random, seconds: float) -> list[Point]:
    """Satellite: another satellite every 15 s with another rate and delay, a second of loss in between."""
    points: list[Point] = []
    rate, rtt = 100.0, 45.0
    for second in range(math.ceil(seconds)):
        handover = second % 15 == 0
        if handover:
            rate, rtt = rng.uniform(20, 200), rng.uniform(30, 90)
        lost = 0.05 if handover else 0.005
        points.append(point(second, rate * rng.uniform(0.7, 1.0), rate / 10, rtt_ms=rtt, jitter_ms=10, loss=lost))
    return points


def _crowd(rng: random.Random, seconds: float) -> list[Point]:
    """A cell that fills up: the rate falls to a fiftieth within the first half and comes back, the delay grows."""
    points: list[Point] = []
    for second in range(math.ceil(seconds)):
        full = math.sin(math.pi * min(1.0, second / seconds)) ** 2
        rate = 20 * math.exp(-4.5 * full) * rng.uniform(0.7, 1.2)
        points.append(point(second, rate, rate / 8, rtt_ms=50 + 700 * full, jitter_ms=5 + 60 * full, loss=0.01 * full))
    return points
