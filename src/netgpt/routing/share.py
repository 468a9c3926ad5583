"""A bound on the share of requests that go to the cloud: "at most 30 %", and it holds on new traffic.

Two parts. *Credit* keeps the promise: each decision earns `share`, each request that goes to the cloud spends 1, and
without credit none goes that need not. So of any n decisions in a row at most share * n + CREDIT go, whatever comes.
The *threshold* spends the credit where it is worth most: on the requests whose edge would be furthest behind, by the
advantages of late. With much credit left it lets more through, with little fewer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

__all__ = ["CREDIT", "NOBODY", "CloudShare"]

CREDIT: Final = 16.0
"""Most requests that may be saved up, or that a constraint may send beyond the bound and that are made up for."""
REMEMBERED: Final = 128
"""Advantages of so many requests of late."""
FEW: Final = 16
"""With fewer, nothing is known of the traffic yet."""
NOBODY: Final = -1e6
"""A threshold below every advantage."""


class CloudShare:
    """Keeps the share of decisions for a cloud at or below `share` (0 to 1); None: no bound."""

    def __init__(self, share: float | None) -> None:
        self.share = share
        self.credit = CREDIT / 2
        self.threshold = 0.0 if share != 0 else NOBODY
        """The cloud is chosen where the edge's advantage is below this; never above 0: nobody is sent there by it."""
        self._late: deque[float] = deque()
        self._sorted: list[float] = []

    def booked(self, advantage: float | None, cloud: bool) -> None:
        """Count one decision. `advantage`: of the best other arm over the best cloud; None: a constraint decided, and
        the request counts towards the share all the same."""
        if self.share is None:
            return
        if advantage is not None:
            self._remember(advantage)
        self.credit = min(CREDIT, max(-CREDIT, self.credit + self.share - (1.0 if cloud else 0.0)))
        self.threshold = self._next()

    def also_went(self) -> None:
        """Count a request that went to a cloud although another arm was decided for: a fallback, or a hedge."""
        if self.share is not None:
            self.credit = max(-CREDIT, self.credit - 1.0)
            self.threshold = self._next()

    def _next(self) -> float:
        assert self.share is not None
        if self.credit < 1.0 or self.share == 0:
            return NOBODY
        fill = self.credit / CREDIT
        if fill >= 0.99 or len(self._sorted) < FEW:
            return 0.0
        level = self.share * fill * 2 if fill <= 0.5 else self.share + (1 - self.share) * (2 * fill - 1) ** 2
        place = min(len(self._sorted) - 1, int(level * len(self._sorted)))
        # Where many requests are alike, those exactly at the threshold go too, as long as there is credit.
        return min(0.0, self._sorted[place] + 1e-9)

    def _remember(self, advantage: float) -> None:
        self._late.append(advantage)
        insort(self._sorted, advantage)
        if len(self._late) > REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._late.popleft())]
