"""What the decision sees of links, models and the box: plain values, told by `signals`, read by `objective`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netgpt.calls import Load

__all__ = ["BoxView", "Estimate", "LinkView", "SignalsView"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One measured quantity."""

    value: float
    age_s: float
    """Seconds since it was last measured."""
    confidence: float
    """0 (nothing is known, or long ago) to 1."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """The link to one model and the server behind it. None: never measured."""

    rtt_s: Estimate | None = None
    jitter_s: Estimate | None = None
    """Mean deviation of the round trip."""
    loss: Estimate | None = None
    """Share of segments sent again."""
    up_bytes_s: Estimate | None = None
    down_bytes_s: Estimate | None = None
    first_byte_s: Estimate | None = None
    """From the end of the request to the first byte of the answer: link, queue and prompt of the server. While calls
    wait longer than it says, it is as long as they have waited."""
    tokens_s: Estimate | None = None
    """Tokens a second, once an answer flows."""
    failures: Estimate | None = None
    """Share of the last calls that failed, newer ones counting more."""
    in_flight: int = 0
    """Calls under way now."""
    hint: str = ""
    """What the network itself tells of the link (radio, connectivity insights), in words; empty: nothing."""
    load: Load | None = None
    """How busy the model behind it said it was, a few seconds ago at most; None: not told, as by all but neighbours."""


@dataclass(frozen=True, slots=True)
class BoxView:
    """The box itself. None: this machine does not tell."""

    cpu: float | None = None
    """Share of all cores at work, 0 to 1."""
    memory: float | None = None
    """Share of memory in use."""
    cpu_pressure: float | None = None
    """Share of the last ten seconds in which something waited for a core (Linux PSI)."""
    memory_pressure: float | None = None
    temperature_c: float | None = None
    gpu: float | None = None
    gpu_memory: float | None = None
    engine_slots: int = 1
    """Answers that the edge model writes at once."""
    engine_busy: int = 0
    engine_waiting: int = 0
    engine_prompt_tokens_s: float | None = None
    engine_tokens_s: float | None = None
    """Tokens a second that one answer of the edge gets now."""
    power_w: float | None = None
    """Watts of the box at work, where it is configured or told."""


@dataclass(frozen=True, slots=True)
class SignalsView:
    """All signals at one moment."""

    links: Mapping[str, LinkView] = field(default_factory=dict)
    """By the arm's name: "edge", "cloud", an upstream's name."""
    box: BoxView = BoxView()
