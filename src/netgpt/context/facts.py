"""Small helpers over `Fact`s: one of each, none out of date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from netgpt.types import Fact

__all__ = ["current"]


def current(facts: Iterable[Fact], now: datetime) -> tuple[Fact, ...]:
    """The facts that still hold at `now` (timezone-aware), in the order given, each text once.

    When the same text comes with two labels, the stricter label wins: a place that is public as the site's own
    must not wash out the person's wish to keep it.
    """
    kept: dict[str, Fact] = {}
    for fact in facts:
        if fact.expired(now):
            continue
        key = " ".join(fact.text.casefold().split())
        known = kept.get(key)
        if known is None:
            kept[key] = fact
        elif fact.label.rank > known.label.rank:
            kept[key] = replace(known, label=fact.label)
    return tuple(kept.values())
