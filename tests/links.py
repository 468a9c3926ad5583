"""Signals with the test's own clock, and calls made in one line."""

from __future__ import annotations

from typing import Any

from netgpt.routing.link_state import Estimate, LinkView, PendingCall
from netgpt.routing.signals import Signals
from netgpt.types import CallFacts

__all__ = ["World", "value"]


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Signals with a clock, and calls made in one line."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.signals = Signals(slots=2, clock=self.clock)

    def call(self, **facts: Any) -> None:
        values: dict[str, Any] = {"target": "cloud", "began": self.clock.now, "outcome": "ok", "first_byte_s": 0.4}
        values |= {"tokens": 100, "receive_s": 2.0, "rtt_s": 0.02, "rtt_var_s": 0.002}
        self.signals.observed(CallFacts(**{**values, **facts}))

    def usual_calls(self, count: int = 20) -> None:
        for _ in range(count):
            self.clock.now += 1
            self.call()

    def waiting(self, target: str = "cloud") -> PendingCall:
        call = self.signals.began(target)
        call.sent_at = self.clock.now
        return call

    def after(self, seconds: float) -> LinkView:
        self.clock.now += seconds
        return self.signals.view().links["cloud"]


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value
