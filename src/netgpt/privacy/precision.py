"""The ladder of precision: in which forms a private value may leave, from the finest to the coarsest.

A place can be told exactly, or as its street, district, city, region, country; a date as its month or year; an age or
an amount as a range; everything as a placeholder, which is the coarsest rung: it tells the kind alone. Which rungs a
value may take is not decided here: `Terms` say it, rung by rung, with the rule that allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from netgpt.privacy.kinds import family
from netgpt.types import Terms

__all__ = ["EXACT", "LADDERS", "PLACEHOLDER", "TermsOf", "ladder", "placeholders_only"]

EXACT: Final = "exact"
PLACEHOLDER: Final = "placeholder"

LADDERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "place": (EXACT, "street", "district", "city", "region", "country", PLACEHOLDER),
        "time": (EXACT, "month", "year", PLACEHOLDER),
        "range": (EXACT, "range", PLACEHOLDER),
        "": (EXACT, PLACEHOLDER),
    }
)
"""By family; kinds that are a quantity have the ladder `range`."""

_QUANTITIES = frozenset(("AGE", "AMOUNT", "MONEY"))

TermsOf = Callable[[str, bool], Terms]
"""(kind, whether the words are public anyway) -> on which terms it may leave."""


def ladder(kind: str) -> tuple[str, ...]:
    """The rungs of a kind, finest first."""
    if kind in _QUANTITIES:
        return LADDERS["range"]
    return LADDERS.get(family(kind), LADDERS[""])


def placeholders_only(kind: str, public: bool) -> Terms:
    """Where no policy is asked: public words as they are, everything else as a placeholder."""
    return Terms(((EXACT if public else PLACEHOLDER, ""),), "")
