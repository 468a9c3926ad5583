"""Hints: what the network itself tells of a link, beside what was measured.

A hint is a prior. It fills in what was never measured, or so long ago that the hint is surer; and when it says that the
line has become worse, what was measured before is believed less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from netgpt.routing.views import Estimate, LinkView

__all__ = ["Hint", "with_hint"]

SURE = 0.3
"""The confidence of a hint as it is told: between nothing and one real call (0.5)."""
KEEPS_S = 60.0
"""After so long its confidence has fallen to 37 %."""
GONE_S = 300.0
"""After so long it is no longer told."""
DOUBT = 0.6
"""How much of its confidence a measurement loses on a line without service."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The word of one source. Rates in bytes a second, times in seconds; None: it did not say."""

    text: str
    told_at: float
    """On the signals' clock."""
    grade: float = 1.0
    """0 (no service) to 1 (nothing stands in the way)."""
    rtt_s: float | None = None
    loss: float | None = None
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None


def with_hint(link: LinkView, hint: Hint, now: float) -> LinkView:
    """The link in the light of the hint."""
    age = max(0.0, now - hint.told_at)
    if age > GONE_S:
        return link
    fresh = math.exp(-age / KEEPS_S)
    doubt = DOUBT * (1.0 - min(1.0, max(0.0, hint.grade))) * fresh

    def seen(known: Estimate | None, told: float | None = None) -> Estimate | None:
        if known is not None and doubt and known.age_s > 0:
            known = replace(known, confidence=known.confidence * (1.0 - doubt))
        if told is None or (known is not None and known.confidence >= SURE * fresh):
            return known
        return Estimate(told, age, SURE * fresh)

    return replace(
        link,
        rtt_s=seen(link.rtt_s, hint.rtt_s),
        loss=seen(link.loss, hint.loss),
        up_bytes_s=seen(link.up_bytes_s, hint.up_bytes_s),
        down_bytes_s=seen(link.down_bytes_s, hint.down_bytes_s),
        first_byte_s=seen(link.first_byte_s),
        tokens_s=seen(link.tokens_s),
        failures=seen(link.failures, (1.0 - hint.grade) / 2 if hint.grade < 1 else None),
        hint="; ".join(word for word in (link.hint, hint.text) if word),
    )
