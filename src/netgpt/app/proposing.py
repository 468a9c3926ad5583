"""Facts that fill a profile, with a yes: proposed after the answer from what the person typed, kept when they say so.

Nothing here is on a request's path: an ended exchange leaves the text that its person typed in a queue (microseconds),
and a task reads it, where the person consents. What it finds is in no log, no metric and no request: it lies sealed
beside the profile, and only `keep_proposal` makes a fact of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from netgpt.app.metrics import Metrics
from netgpt.context import check_room, profile_fact
from netgpt.context.known_facts import plain_note, standing_of
from netgpt.context.own_words import LONGEST
from netgpt.context.proposals import proposals
from netgpt.errors import NotFound, StoreError
from netgpt.exchange import Exchange
from netgpt.settings import Settings
from netgpt.store.people import PROPOSALS, standing
from netgpt.store.proposals import ProposedFact
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Person

log = logging.getLogger(__name__)

MOST_WAITING: Final = 500
"""Texts that may wait to be read; older ones are let go."""


class Proposing:
    """Made, started and closed with the gateway."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.rules, self.zone = store, settings.proposals, settings.site.time_zone
        self._on = settings.store.keep_text and self.rules.most > 0
        self._typed: deque[tuple[Person, str]] = deque(maxlen=MOST_WAITING)
        self._news, self._lock = asyncio.Event(), asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self, metrics: Metrics) -> None:
        """Begin to read ended exchanges; not where no texts are kept, or none are to be proposed."""
        if self._on:
            metrics.listeners.append(self.ended)
            self._task = asyncio.get_running_loop().create_task(self._run())

    def ended(self, exchange: Exchange) -> None:
        """Take note of an answered exchange's newest message, where its person typed it."""
        is_read = exchange.status == "complete" and exchange.request.keep
        text = typed_text(exchange.request.messages) if is_read else ""
        if text and exchange.has("person"):
            self._typed.append((exchange.person, text))
            self._news.set()

    async def flush(self) -> None:
        """Read the texts that wait. Raises StoreError."""
        async with self._lock:
            while self._typed:
                await self._read(*self._typed.popleft())

    async def _read(self, person: Person, text: str) -> None:
        now = datetime.now(UTC)
        if PROPOSALS not in standing(await self.store.consents.of(person), now):
            return
        found = await asyncio.to_thread(proposals, text, now.astimezone(ZoneInfo(self.zone)).date())
        if not found:
            return
        facts = dict(await self.store.facts(person))
        new = [each for each in found if not standing_of(each.text, facts).known]
        waiting = {id: Fact(each.text, each.kind) for id, each in (await self.store.proposals.of(person)).items()}
        older = {id for each in new for id in standing_of(each.text, waiting).contradicts}
        rows = [ProposedFact(each.text, each.kind, each.label, each.words) for each in new]
        expires = now + timedelta(days=self.rules.keep_days)
        await self.store.proposals.add(person, rows, expires, self.rules.most, tuple(older))

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.flush()
            except StoreError as error:
                log.error("proposals could not be kept: %s", error.message)

    async def close(self) -> None:
        """Read what is left; a store that refuses is logged."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        try:
            await self.flush()
        except StoreError as error:
            log.error("proposals could not be kept: %s", error.message)


def typed_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the person typed last: the newest message, when it is the user's own and holds one text.

    Empty: it ends with a tool or an assistant, names another speaker, is long, or brings texts beside the typed one.
    """
    last = messages[-1] if messages else {}
    if last.get("role") != "user" or last.get("name"):
        return ""
    content = last.get("content")
    if isinstance(content, list | tuple):
        texts = [part.get("text") for part in content if isinstance(part, Mapping) and "text" in part]
        kinds = {part.get("type") for part in content if isinstance(part, Mapping)}
        content = texts[0] if len(texts) == 1 and "file" not in kinds else ""
    return content if isinstance(content, str) and len(content) <= LONGEST else ""


async def proposals_of(store: Store, person: Person) -> list[dict[str, Any]]:
    """What waits for the person's yes, as JSON values: each with its words, what it would replace, and a question."""
    facts, shown = dict(await store.facts(person)), []
    for id, each in (await store.proposals.of(person)).items():
        there = standing_of(each.text, facts)
        if there.known:
            continue
        old = [{"id": known, "text": plain_note(facts[known].text)} for known in there.contradicts]
        names = " and ".join(f"'{one['text']}'" for one in old)
        ask = f"Replace {names} by '{each.text}'?" if old else f"Keep '{each.text}'?"
        shown.append(
            {"id": id, "text": each.text, "kind": each.kind, "label": each.label.value, "words": each.words,
             "question": ask, "replaces": old, "created": each.created and each.created.isoformat(),
             "expires": each.expires and each.expires.isoformat()}
        )  # fmt: skip
    return shown


async def keep_proposal(
    store: Store, person: Person, id: str, label: Label | None = None, *, replace: bool = True
) -> tuple[str, Fact, list[str]]:
    """The person's yes: (id of the new fact, the fact, ids of those that it replaced).

    Raises NotFound; RequestError: the profile is full.
    """
    each = (await store.proposals.of(person)).get(id)
    if each is not None:
        fact, facts = profile_fact(each.text, each.kind, label or each.label), dict(await store.facts(person))
        old = standing_of(each.text, facts).contradicts if replace else ()
        check_room(len(facts) - len(old))
        kept = await store.proposals.keep(person, id, fact, old)
        if kept is not None:
            return kept, fact, list(old)
    raise NotFound("no such proposal of this person: it was answered, or it expired", param="proposal_id")
