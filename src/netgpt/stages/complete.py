"""identify: whose words these are. recall: known facts that may help, as far as the person allows. complete: P_con ->
P_com (arXiv 2307.06148), the terse prompt completed with the facts that it needs. choose: of what an answer suggests,
what the person's private facts allow; they never left, it is done here. The answer names no reason: how many options
were left out is told beside it, by which kinds of constraints in the person's own record alone.

Consents count as follows. Location: a standing consent is as good as the request's own; once withdrawn, a location is
not used at all, whatever the request says. Profile: used, since the person entered it; once withdrawn, no fact of it is
used, and all are hidden, the public ones too. Withdrawn towards the receiver alone, public facts stay on the box.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from netgpt.completion.choose import Selection
from netgpt.completion.compose import compose, place_for, replace_last
from netgpt.completion.relevance import TextVectors
from netgpt.completion.rewrite import rewrite
from netgpt.completion.select import Selector
from netgpt.constraints.asking import WITHDRAWN
from netgpt.constraints.choose import ChoiceAccount
from netgpt.constraints.learnt import FactReader
from netgpt.constraints.stream import chosen_chunks, judge_of, may_be_chosen
from netgpt.constraints.taxonomy import taxonomy
from netgpt.context import LONGEST, MOST, current, private_values, time_facts
from netgpt.context.location import PlaceNames, origin, place_facts
from netgpt.context.places import Around, Place, suitable
from netgpt.context.towns import may_name_a_town, where_to_look
from netgpt.errors import NetGPTError, PermissionDenied
from netgpt.exchange import Exchange
from netgpt.registry import holds_texts
from netgpt.routing.candidates import last_user_text, text_of
from netgpt.settings.sections import Completion, ConstraintSettings, Site
from netgpt.store.people import ConsentEntry, refused, standing
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Person

LOCATION, PROFILE, CONSTRAINTS = "location", "profile", "constraints"
NOTHING: frozenset[str] = frozenset()
NEARBY_M = 5_000.0
NEARBY_LIMIT = 3
MANY_FACTS = 50
_REMEMBERED = 16  # people with so many facts


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
        self._values: OrderedDict[Person, tuple[tuple[Fact, ...], tuple[tuple[str, str], ...]]] = OrderedDict()
        holds_texts(self._values)

    async def __call__(self, exchange: Exchange) -> None:
        now = self.now()
        profile = [fact for _, fact in await self.store.facts(exchange.person)]
        entries = await self.store.consents.of(exchange.person)
        taken_back = NOTHING.union(*(refused(entries, now, each) for each in self.receivers)) if entries else NOTHING
        given = self._standing(entries, now) if entries else NOTHING
        exchange.consents = (exchange.request.consent | given) - taken_back
        if CONSTRAINTS in taken_back:
            exchange.consents |= {WITHDRAWN}
        place = await self._place(exchange, taken_back)
        nearby = await self._nearby(exchange, taken_back, () if PROFILE in taken_back else profile, now)
        known = [*place, *self._clock(now), *nearby]
        if PROFILE in taken_back:
            profile = [_on_the_gateway(fact) for fact in profile]
        dropped = PROFILE in taken_back and PROFILE in refused(entries, now)
        exchange.facts = current(known if dropped else [*known, *profile], now)
        # All of them, not the profile's only: where a person is may be private too.
        exchange.private_values = await self._private_values(exchange.person, [*known, *profile])

    async def _private_values(self, person: Person, facts: Sequence[Fact]) -> tuple[tuple[str, str], ...]:
        """Of many facts (0.1 ms each) they are worked out beside the event loop, and once while the facts stay."""
        private = tuple(fact for fact in facts if fact.label is not Label.PUBLIC)
        if len(private) < MANY_FACTS:
            return private_values(private)
        known = self._values.pop(person, None)
        if known is None or known[0] != private:
            known = private, await asyncio.to_thread(private_values, private)
        self._values[person] = known
        while len(self._values) > _REMEMBERED:
            del self._values[next(iter(self._values))]
        return known[1]

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

    async def _nearby(
        self, exchange: Exchange, taken_back: frozenset[str], profile: Sequence[Fact], now: datetime
    ) -> tuple[Fact, ...]:
        places, here = self.places(), exchange.request.location
        start = origin(self.site, here, exchange.consents)
        if start is None or not places or (here is not None and LOCATION in taken_back):
            return ()
        text = last_user_text(exchange.request.messages, must_end=True)
        local = now.astimezone(ZoneInfo(self.site.time_zone)) if start.at_site else None
        around = Around(start.latitude, start.longitude, start.label, start.at_site, local)
        if self.names is not None and may_name_a_town(text):
            # The gazetteer is read from disk at the first look-up: not on the event loop.
            site = ", ".join(filter(None, (self.site.name, self.site.district, self.site.city, self.site.region)))
            look = await asyncio.to_thread(where_to_look, around, text, profile, self.names, places, site)
            if look is None:
                return ()
            around = look
        return suitable(places, around, text, NEARBY_LIMIT, NEARBY_M)


def _on_the_gateway(fact: Fact) -> Fact:
    """The fact as one that does not leave."""
    return replace(fact, label=Label.PERSONAL) if fact.label is Label.PUBLIC else fact


class Identify:
    """The person within the key's tenant. A key bound to one person speaks for nobody else; who names nobody is the
    key's own."""

    name = "identify"
    reads: frozenset[str] = frozenset()
    writes = frozenset({"person"})

    async def __call__(self, exchange: Exchange) -> None:
        person = exchange.caller.person(exchange.request.user)
        if person is None:
            raise PermissionDenied("this key does not speak for that person; leave `user` out", param="user")
        exchange.person = person


LONGEST_CHOSEN = LONGEST + 100
"""Characters of a fact that may be chosen: a stated one, with the words that make it a sentence."""


def usable(facts: Sequence[Fact]) -> tuple[tuple[Fact, ...], str]:
    """The facts to choose from, and what was left out, for the explanation: too long ones, and of very many the oldest
    of the profile."""
    fit = [fact for fact in facts if len(fact.text) <= LONGEST_CHOSEN]
    older = max(0, len(fit) - MOST)
    profile = [index for index, fact in enumerate(fit) if fact.source == "profile"]
    dropped = frozenset(profile[:older])
    said = ""
    if len(fit) < len(facts):
        said += f"; left out: {len(facts) - len(fit)} of over {LONGEST_CHOSEN} characters"
    if dropped:
        said += f"; left out: the {len(dropped):,} oldest, of {len(fit):,} facts the newest are looked at"
    return tuple(fact for index, fact in enumerate(fit) if index not in dropped), said


ADAPTER = "complete"  # name of the adapter that this stage's questions are answered with, where there is one

TERSE_WORDS = 60  # a longer request says itself what it needs
_TO_READ = 0.6  # of the time for completion, for facts that the model of relevance has not read yet


class AskEdge(Protocol):
    """One whole answer of the edge model, with these adapters. Raises ModelError."""

    async def __call__(self, body: Mapping[str, Any], adapters: Sequence[str] = ()) -> dict[str, Any]: ...


class Trained:
    """The edge model with one adapter on, as the selector asks it; knows whether it ever answered."""

    def __init__(self, ask: AskEdge, adapter: str) -> None:
        self.ask, self.adapter = ask, adapter
        self.answered = False

    async def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.ask(body, (self.adapter,))
        self.answered = True
        return answer


class Complete:
    """Chooses facts (`select`), or lets the edge model rewrite (`rewrite`), or does nothing (`off`).

    Never fails the exchange: what cannot be completed in time goes on as the person wrote it. `adapter_for` gives the
    version of the adapter `complete` for a person; `completion["adapter"]` is the one that took part.
    """

    name = "complete"
    reads = frozenset({"person", "facts"})
    writes = frozenset({"chosen", "messages", "completion"})

    def __init__(
        self,
        store: Store,
        selector: Selector,
        ask: AskEdge,
        settings: Completion,
        adapter_for: Callable[[Person], str | None] = lambda _person: None,
        vectors_of: Callable[[Person], Awaitable[Mapping[str, TextVectors]]] | None = None,
    ) -> None:
        """`vectors_of`: what is kept of a person's facts for the model of relevance."""
        self.store, self.selector, self.ask, self.settings = store, selector, ask, settings
        self.adapter_for, self.vectors_of = adapter_for, vectors_of

    async def __call__(self, exchange: Exchange) -> None:
        mode = await self._mode(exchange)
        messages, place = exchange.request.messages, place_for("edge", self.settings.placement)
        text = last_user_text(messages, must_end=True)
        summary: dict[str, Any] = {"mode": mode}
        chosen: tuple[Fact, ...] = ()
        rewritten: str | None = None
        if mode == "off":
            summary["why"] = "completion is off"
        elif not text.strip() or len(text.split()) > TERSE_WORDS:
            summary["why"] = "only terse requests of the person are completed"
        elif not exchange.facts:
            summary["why"] = "the box knows nothing that could help"
        else:
            facts, left_out = usable(exchange.facts)
            adapter = self.adapter_for(exchange.person)
            trained = Trained(self.ask, adapter) if adapter else None
            fetch = partial(self.vectors_of, exchange.person) if self.vectors_of else None
            choice = partial(
                self.selector.select, text, facts, trained,
                within_s=_TO_READ * self.settings.timeout_s, fetch=fetch,
            )  # fmt: skip
            chosen, rewritten = await self._complete(mode, text, facts, choice, summary)
            summary["why"] += left_out
            summary["adapter"] = adapter if trained is not None and trained.answered else None
        exchange.chosen = chosen
        exchange.messages = replace_last(messages, rewritten) if rewritten else compose(messages, chosen, place)
        changed = [text_of(m.get("content")) for m in exchange.messages if m not in messages] if chosen else []
        summary["text"] = "\n\n".join(changed) or None
        if chosen and not rewritten:
            summary["placement"] = place
            summary["placement_elsewhere"] = place_for("remote", self.settings.placement)
        summary["rewritten"] = rewritten is not None
        exchange.completion = summary

    async def _mode(self, exchange: Exchange) -> str:
        if exchange.request.complete is not None:
            return exchange.request.complete
        return await self.store.profile_mode(exchange.person) or self.settings.mode

    async def _complete(
        self,
        mode: str,
        text: str,
        facts: tuple[Fact, ...],
        choice: Callable[[], Awaitable[Selection]],
        summary: dict[str, Any],
    ) -> tuple[tuple[Fact, ...], str | None]:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                selection = await choice()
                chosen = tuple(facts[i] for i in selection.chosen)
                summary |= {"why": selection.why, "chances": selection.figures()}
                if mode != "rewrite" or not chosen:
                    return chosen, None
        except TimeoutError:
            summary["why"] = f"choosing took longer than {self.settings.timeout_s:g} s"
            return (), None
        except Exception as error:  # noqa: BLE001 - whatever it was, the request goes on
            # A request is never lost because nothing could be chosen for it. The fault's text may hold a fact.
            code = error.code if isinstance(error, NetGPTError) else type(error).__name__
            summary["why"] = f"choosing failed ({code})"
            return (), None
        return chosen, await self._rewritten(text, chosen, summary)

    async def _rewritten(self, text: str, chosen: tuple[Fact, ...], summary: dict[str, Any]) -> str | None:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                result = await rewrite(self.ask, text, chosen)
        except TimeoutError:
            summary["fell_back"] = "rewriting took too long: the chosen facts were written in by code"
            return None
        if result.text is None:
            summary["fell_back"] = f"the rewriting was refused ({result.why}): the chosen facts were written in by code"
        return result.text


class Choose:
    """Wraps the restored answer where a private fact rules something out; else passes it as it is."""

    name = "choose"
    reads = frozenset({"restored", "facts", "consents", "chosen"})
    writes = frozenset({"checked", "choosing"})

    def __init__(self, settings: ConstraintSettings, reader: Callable[[], FactReader | None] = lambda: None) -> None:
        """`reader`: gives what reads the facts that no rule reads, where the box has it."""
        self.settings, self.reader = settings, reader

    async def __call__(self, exchange: Exchange) -> None:
        exchange.checked, exchange.choosing = exchange.restored, None
        private = any(fact.label is not Label.PUBLIC for fact in exchange.facts)
        asked = exchange.request
        may = self.settings.enabled and asked.constraints and WITHDRAWN not in exchange.consents
        if not (private and may) or asked.dry_run or not may_be_chosen(asked.body):
            return
        messages = asked.messages
        request = last_user_text(messages)
        await asyncio.to_thread(taxonomy)  # read once, from disk
        judge = await asyncio.to_thread(judge_of, exchange.facts, exchange.chosen, messages, request, self.reader())
        if judge is None:
            return
        form = asked.body.get("response_format")
        is_json = True if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema") else None
        exchange.choosing = account = ChoiceAccount()
        exchange.checked = chosen_chunks(exchange.restored, judge, account, is_json=is_json)
