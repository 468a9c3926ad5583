"""Tells that rain slows the radio link down. A real one would ask a weather service, without blocking the loop."""

from collections.abc import Mapping
from typing import Any

from netgpt import Hint


class Weather:
    every_s = 60.0

    def __init__(self, targets: list[str]) -> None:
        self.targets = targets

    async def sample(self) -> Mapping[str, Hint]:
        return {target: Hint("heavy rain", grade=0.6, rtt_s=0.12) for target in self.targets}


def make(settings: Any) -> Weather:
    """Called once, when the gateway starts."""
    return Weather(list(settings.remotes))
