"""All that is remembered of one arm: the evidence of its answers, who said so, whether it drifts, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from netgpt.routing.bandit import Evidence
from netgpt.routing.drift import Cusum, Pace
from netgpt.routing.influence import Voices
from netgpt.routing.reward import Parts

__all__ = ["Experience", "Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What calls to one arm came to, the newest counting most; None: not known yet."""

    price_factor: float | None = None
    """Money paid, as a multiple of what the configured prices make of the same tokens."""
    latency_factor: float | None = None
    """Time taken, as a multiple of what the signals let expect."""
    tokens: float | None = None
    """Tokens of its answers."""


@dataclass(slots=True)
class Experience:
    """What the learner knows of one arm."""

    evidence: Evidence = field(default_factory=Evidence)
    ratings: Voices = field(default_factory=Voices)
    hints: Voices = field(default_factory=Voices)
    cusum: Cusum = field(default_factory=Cusum)
    price: Pace = field(default_factory=Pace)
    latency: Pace = field(default_factory=Pace)
    tokens: Pace = field(default_factory=Pace)
    faded_at: float = 0.0
    """How many steps of observations of all arms it has faded."""
    drifts: int = 0

    def measure(self, parts: Parts) -> None:
        """Take in what was measured of one answer."""
        if parts.cost is not None and parts.listed_cost:
            self.price.told(parts.cost / parts.listed_cost)
        if parts.latency_s is not None and parts.expected_latency_s and not parts.failed:
            self.latency.told(parts.latency_s / parts.expected_latency_s)
        if parts.tokens:
            self.tokens.told(float(parts.tokens))

    @property
    def measured(self) -> Measured:
        return Measured(self.price.value, self.latency.value, self.tokens.value)

    def forget(self, key: str) -> None:
        """Drop a key's part in the counts."""
        self.ratings.forget(key)
        self.hints.forget(key)

    def numbers(self) -> dict[str, Any]:
        """For JSON; exact."""
        return {
            "evidence": self.evidence.numbers(),
            "ratings": self.ratings.numbers(),
            "hints": self.hints.numbers(),
            "cusum": self.cusum.numbers(),
            "price": self.price.numbers(),
            "latency": self.latency.numbers(),
            "tokens": self.tokens.numbers(),
            "faded_at": self.faded_at,
            "drifts": self.drifts,
        }

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        """Raises ValueError, TypeError or KeyError for what `numbers` did not write."""
        return cls(
            Evidence.of_numbers(numbers["evidence"]),
            Voices.of_numbers(numbers["ratings"]),
            Voices.of_numbers(numbers["hints"]),
            Cusum.of_numbers(numbers["cusum"]),
            Pace.of_numbers(numbers["price"]),
            Pace.of_numbers(numbers["latency"]),
            Pace.of_numbers(numbers["tokens"]),
            float(numbers["faded_at"]),
            int(numbers["drifts"]),
        )
