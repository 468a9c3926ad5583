"""Hedged requests: when the first word is late, a second model is asked too, and the first to begin answers.

After Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): the second request goes out after the 95th percentile
of the usual wait, so that few are sent twice; and a budget bounds them where all are late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from netgpt.sections.main import Cloud
from netgpt.settings import Routing
from netgpt.types import EDGE

__all__ = ["Hedging"]

_REMEMBERED = 128
_ENOUGH = 20
"""With fewer first words nobody knows what is late."""
_BURST = 5.0
"""So many hedges may be saved up while nothing was late."""


class Hedging:
    """When, whom, and how often. One event loop only: there is no lock."""

    def __init__(self, rules: Routing, remotes: Mapping[str, Cloud]) -> None:
        """`remotes`: the settings of every model elsewhere, by its arm's name: what they cost."""
        self._rules, self._remotes = rules, remotes
        self._waits: dict[tuple[str, bool], deque[float]] = {}
        self._may = 1.0
        self.hedged = 0
        """How many requests were sent twice."""

    @property
    def on(self) -> bool:
        return self._rules.hedge != "off"

    def began(self, arm: str, stream: bool, wait_s: float) -> None:
        """`arm` gave its first word after `wait_s` seconds. A whole answer's first word comes with its last."""
        waits = self._waits.get((arm, stream))
        if waits is None:
            waits = self._waits[arm, stream] = deque(maxlen=_REMEMBERED)
        waits.append(wait_s)

    def late_s(self, arm: str, stream: bool) -> float | None:
        """Seconds after which the first word of `arm` is late; None: not known yet."""
        if self._rules.hedge_after_s:
            return self._rules.hedge_after_s
        waits = self._waits.get((arm, stream), ())
        if len(waits) < _ENOUGH:
            return None
        return sorted(waits)[int(0.95 * (len(waits) - 1))]

    def rival(self, arm: str, others: Sequence[str]) -> str | None:
        """Who of `others` (who may have the request) is asked too: the edge, where nothing leaves and nothing is
        paid; else, where the settings let it, the cheapest. None: nobody."""
        if EDGE in others:
            return EDGE
        if self._rules.hedge != "any" or not others:
            return None
        return min(others, key=self._price)

    def seen(self) -> None:
        """A request that might be hedged: each adds its share of a hedge."""
        self._may = min(_BURST, self._may + self._rules.hedge_share)

    def take(self) -> bool:
        """Whether one more may be sent twice; then it counts."""
        if self._may < 1.0:
            return False
        self._may -= 1.0
        self.hedged += 1
        return True

    def _price(self, arm: str) -> float:
        remote = self._remotes.get(arm)
        return remote.price_prompt + remote.price_completion if remote is not None else 0.0
