"""identify: whose words these are. recall: known facts that may help, as far as the person allows.

Consents count as follows. Location: a standing consent is as good as the request's own; once withdrawn, a location is
not used at all, whatever the request says. Profile: used, since the person entered it; once withdrawn, no fact of it is
used, and all are hidden, the public ones too. Withdrawn towards the receiver alone, public facts stay on the box.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from netgpt.context import current, private_values, time_facts
from netgpt.context.location import PlaceNames, origin, place_facts
from netgpt.context.places import Place, near
from netgpt.errors import PermissionDenied
from netgpt.exchange import Exchange
from netgpt.routing.features import last_user_text
from netgpt.settings.sections import Site
from netgpt.store.people import ConsentEntry, refused, standing
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Person

LOCATION, PROFILE = "location", "profile"
NOTHING: frozenset[str] = frozenset()
NEARBY_M = 5_000.0
NEARBY_LIMIT = 3


class Recall:
    """Gathers facts. Coordinates are turned into names here and go no further."""

    name = "recall"
    reads = frozenset({"person"})
    writes = frozenset({"facts", "consents", "private_values"})

    def __init__(
        self,
        store: Store,
        site: Site,
        names: PlaceNames | None,
        places: Callable[[], Sequence[Place]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        receivers: Sequence[str] = (),
    ) -> None:
        """`receivers`: hosts of the models elsewhere, the third parties that a consent may be about. A refusal towards
        one of them counts for all: who answers is not decided yet."""
        self.store, self.site, self.names, self.places, self.now = store, site, names, places, now
        self.receivers = tuple(receivers) or ("",)
        self._here = place_facts(site, None, None)
        self._minute, self._time = -1, tuple[Fact, ...]()

    async def __call__(self, exchange: Exchange) -> None:
        now = self.now()
        profile = [fact for _, fact in await self.store.facts(exchange.person)]
        entries = await self.store.consents.of(exchange.person)
        taken_back = NOTHING.union(*(refused(entries, now, each) for each in self.receivers)) if entries else NOTHING
        given = self._standing(entries, now) if entries else NOTHING
        exchange.consents = (exchange.request.consent | given) - taken_back
        place = await self._place(exchange, taken_back)
        known = [*place, *self._clock(now), *self._nearby(exchange, taken_back)]
        if PROFILE in taken_back:
            profile = [_on_the_gateway(fact) for fact in profile]
        dropped = PROFILE in taken_back and PROFILE in refused(entries, now)
        exchange.facts = current(known if dropped else [*known, *profile], now)
        # All of them, not the profile's only: where a person is may be private too.
        exchange.private_values = private_values([*known, *profile])

    def _standing(self, entries: Sequence[ConsentEntry], now: datetime) -> frozenset[str]:
        first, *others = (standing(entries, now, each) for each in self.receivers)
        return first.intersection(*others)

    async def _place(self, exchange: Exchange, taken_back: frozenset[str]) -> tuple[Fact, ...]:
        here, consent = exchange.request.location, exchange.consents
        if here is None:
            return self._here
        if LOCATION in taken_back:
            return ()  # the site's own place would be a guess where the person is
        # The gazetteer is read from disk at the first look-up: not on the event loop.
        return await asyncio.to_thread(place_facts, self.site, here, self.names, consent)

    def _clock(self, now: datetime) -> tuple[Fact, ...]:
        """The time as a fact, worked out once a minute."""
        minute = int(now.timestamp() // 60)
        if minute != self._minute:
            self._minute, self._time = minute, time_facts(now, self.site.time_zone)
        return self._time

    def _nearby(self, exchange: Exchange, taken_back: frozenset[str]) -> tuple[Fact, ...]:
        places, here = self.places(), exchange.request.location
        start = origin(self.site, here, exchange.consents)
        if start is None or not places or (here is not None and LOCATION in taken_back):
            return ()
        return near(
            places,
            start.latitude,
            start.longitude,
            last_user_text(exchange.request.messages, must_end=True),
            NEARBY_LIMIT,
            NEARBY_M,
            label=start.label,
            distances=start.at_site,
        )


def _on_the_gateway(fact: Fact) -> Fact:
    """The fact as one that does not leave."""
    return replace(fact, label=Label.PERSONAL) if fact.label is Label.PUBLIC else fact


class Identify:
    """The person within the key's tenant. A key bound to one person speaks for nobody else."""

    name = "identify"
    reads: frozenset[str] = frozenset()
    writes = frozenset({"person"})

    async def __call__(self, exchange: Exchange) -> None:
        bound, user = exchange.caller.bound_user, exchange.request.user
        if bound is not None and user is not None and user != bound:
            raise PermissionDenied("this key speaks for one person; leave `user` out or name that person", param="user")
        exchange.person = Person(exchange.caller.tenant, bound or user or "anonymous")
