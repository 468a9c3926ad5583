"""recall: what the box knows that may help: site, place, time, profile, places nearby."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from netgpt.context.clock import time_facts
from netgpt.context.facts import current
from netgpt.context.location import PlaceNames, origin, place_facts
from netgpt.context.places import Place, near
from netgpt.context.profile import private_values
from netgpt.exchange import Exchange
from netgpt.routing.features import text_of
from netgpt.settings import Site
from netgpt.store.store import Store
from netgpt.types import Fact

__all__ = ["Recall"]

NEARBY_M = 5_000.0
NEARBY_LIMIT = 3


class Recall:
    """Gathers facts. Coordinates are turned into names here and go no further."""

    name = "recall"
    reads = frozenset({"person"})
    writes = frozenset({"facts", "private_values"})

    def __init__(
        self,
        store: Store,
        site: Site,
        names: PlaceNames | None,
        places: Callable[[], Sequence[Place]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store, self.site, self.names, self.places, self.now = store, site, names, places, now
        self._here = place_facts(site, None, None)
        self._minute, self._time = -1, tuple[Fact, ...]()

    async def __call__(self, exchange: Exchange) -> None:
        now = self.now()
        profile = [fact for _, fact in await self.store.facts(exchange.person)]
        facts = [
            *await self._place(exchange),
            *self._clock(now),
            *self._nearby(exchange),
            *profile,
        ]
        exchange.facts = current(facts, now)
        # All of them, not the profile's only: where a person is may be private too.
        exchange.private_values = private_values(facts)

    async def _place(self, exchange: Exchange) -> tuple[Fact, ...]:
        here, consent = exchange.request.location, exchange.request.consent
        if here is None:
            return self._here
        # The gazetteer is read from disk at the first look-up: not on the event loop.
        return await asyncio.to_thread(place_facts, self.site, here, self.names, consent)

    def _clock(self, now: datetime) -> tuple[Fact, ...]:
        """The time as a fact, worked out once a minute."""
        minute = int(now.timestamp() // 60)
        if minute != self._minute:
            self._minute, self._time = minute, time_facts(now, self.site.time_zone)
        return self._time

    def _nearby(self, exchange: Exchange) -> tuple[Fact, ...]:
        places = self.places()
        start = origin(self.site, exchange.request.location, exchange.request.consent)
        if start is None or not places:
            return ()
        return near(
            places,
            start.latitude,
            start.longitude,
            last_user_text(exchange),
            NEARBY_LIMIT,
            NEARBY_M,
            label=start.label,
            distances=start.at_site,
        )


def last_user_text(exchange: Exchange) -> str:
    """The text of the last user message; empty when the conversation ends with something else."""
    last = exchange.request.messages[-1]
    return text_of(last.get("content")) if last.get("role") == "user" else ""
