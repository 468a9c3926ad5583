"""A private value in coarser words, when it can be told so: places, dates, ages and amounts.

The answer depends on the value alone, so it is the same wherever the value stands in a conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from netgpt.privacy.gazetteer import Gazetteer
from netgpt.privacy.generalize_dates import date_as
from netgpt.privacy.generalize_numbers import number_as_range
from netgpt.privacy.generalize_places import place_as
from netgpt.privacy.kinds import family

__all__ = ["PLACE_RUNGS", "Coarser", "Generaliser"]

_LONGEST = 300
"""Characters. A longer "place" or "date" is none."""
PLACE_RUNGS = frozenset(("street", "district", "city", "region", "country"))
"""Precisions that take a look into the gazetteer."""
_DATE_RUNGS = frozenset(("month", "year"))


@dataclass(frozen=True, slots=True)
class Coarser:
    """A value in coarser words. `was`: the precision of the person's own words."""

    words: str
    was: str
    now: str


class Generaliser:
    """Makes values coarser. Reads its gazetteer when it first needs one; see `ready`."""

    def __init__(self, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        self._today = today
        self._gazetteer = Gazetteer()

    @property
    def is_ready(self) -> bool:
        """Whether the gazetteer is read."""
        return self._gazetteer.loaded

    def get_ready(self) -> None:
        """Read what takes time (half a second) now: call it in a thread. Raises PrivacyError: data is missing."""
        self._gazetteer.load()

    def coarser(self, text: str, kind: str, precision: str) -> Coarser | None:
        """The text in words of this precision; None when it cannot be told so."""
        if len(text) > _LONGEST:
            return None
        told: tuple[str, str] | None = None
        if precision in PLACE_RUNGS and family(kind) == "place":
            place = place_as(text, kind, precision, self._gazetteer)
            return Coarser(*place) if place else None
        if precision in _DATE_RUNGS and family(kind) == "time":
            told = date_as(text, kind, precision, self._today())
        elif precision == "range":
            told = number_as_range(text, kind)
        if told is None:
            return None
        words, was = told
        return Coarser(words, was, "year" if "year" in (was, precision) else precision)
