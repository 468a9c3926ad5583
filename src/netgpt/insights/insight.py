"""What a source of the operator's network told: plain values that signals can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from netgpt.insights.asking import Asker

__all__ = ["Heard", "Insight", "InsightSource"]


@dataclass(frozen=True, slots=True)
class Insight:
    """One word of the network about the line. None: it did not say."""

    text: str
    """In words, for people: "cell 85 % full"."""
    grade: float = 1.0
    """0 (no service) to 1 (nothing stands in the way)."""
    delay_s: float | None = None
    """One way through the radio network, or both where it says both."""
    loss: float | None = None
    """Share of packets."""
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One round with one source: its word, or in one safe sentence why there is none."""

    insight: Insight | None
    detail: str

    @property
    def ok(self) -> bool:
        return self.insight is not None


class InsightSource(Protocol):
    """Somebody in the operator's network who can be asked."""

    @property
    def name(self) -> str: ...

    async def ask(self, asker: Asker) -> Heard:
        """Ask once. Never raises for what the network does or says."""
        ...
