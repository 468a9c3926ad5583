"""A link over time: rate, delay, loss and cuts. Read from files by `link_data`, made up by `link_made`."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from netgpt.bench.link_shape import LinkShape

__all__ = ["CUT_MBIT", "Point", "Trace", "point"]

CUT_MBIT = 0.05
"""A link slower than this carries no answer in time: it counts as cut."""
BURST_BYTES = 16_000
"""What a modem's or a shaper's queue passes at once after silence."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the link is like from `at_s` on, until the next point."""

    at_s: float
    up: LinkShape
    down: LinkShape
    open: bool = True
    """False: nothing passes."""


def point(
    at_s: float, down_mbit: float, up_mbit: float, *, rtt_ms: float, jitter_ms: float = 0.0, loss: float = 0.0
) -> Point:
    """A point by its rates; below `CUT_MBIT` downwards it is a cut. `jitter_ms` is of each way."""
    share = {"delay_ms": rtt_ms / 2, "jitter_ms": jitter_ms, "loss": loss, "burst_bytes": BURST_BYTES}
    return Point(
        at_s,
        LinkShape(max(up_mbit, CUT_MBIT), **share),  # type: ignore[arg-type]
        LinkShape(max(down_mbit, CUT_MBIT), **share),  # type: ignore[arg-type]
        down_mbit >= CUT_MBIT,
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """Points in order of time, the first at 0; it lasts `length_s`."""

    family: str
    name: str
    points: Sequence[Point]
    length_s: float

    def at(self, time_s: float) -> Point:
        """The point that holds then; the trace begins again at its end."""
        times = [one.at_s for one in self.points]
        return self.points[max(0, bisect.bisect_right(times, time_s % self.length_s) - 1)]

    def schedule(self, *, start_s: float = 0.0, loop: bool = True) -> Iterator[tuple[float, Point]]:
        """(seconds from now, point), from `start_s` on; without end where it loops."""
        if start_s:
            yield 0.0, self.at(start_s)
        base = -(start_s % self.length_s)
        while True:
            for one in self.points:
                if base + one.at_s >= 0:
                    yield base + one.at_s, one
            if not loop:
                return
            base += self.length_s

    def part(self, start_s: float, length_s: float) -> Trace:
        """The trace from `start_s` for `length_s` seconds (less where it ends before), its clock at 0."""
        length_s = min(length_s, self.length_s - start_s)
        inside = [
            replace(one, at_s=one.at_s - start_s) for one in self.points if start_s < one.at_s < start_s + length_s
        ]
        return replace(self, points=(replace(self.at(start_s), at_s=0.0), *inside), length_s=length_s)

    def liveliest(self, length_s: float, step_s: float = 5.0) -> float:
        """Where the part of `length_s` begins whose rate changes most: sum of |log ratio| from point to point."""
        best, found = -1.0, 0.0
        start = 0.0
        while start + length_s <= self.length_s:
            moves = _moves(self.part(start, length_s).points)
            if moves > best:
                best, found = moves, start
            start += step_s
        return found


def _moves(points: Sequence[Point]) -> float:
    """How much the rate of the way down moves; into a cut or out of it counts as a factor of 10 or more."""
    rates = [one.down.rate_mbit or 0.0 if one.open else CUT_MBIT / 10 for one in points]
    return sum(abs(math.log(later / before)) for before, later in pairwise(rates))
