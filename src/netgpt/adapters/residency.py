"""Which adapters are loaded in the engine, and which of them answers whom.

Loaded are, in this order of right: what is active or canary of a task or of the site, what is pinned, what a rollback
would bring back; then, as far as there is room, the adapters of the people who asked last. A request never waits for
a load: it goes on with what is there, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from netgpt.adapters.card import State, user_adapter_name
from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import ModelUnavailable, NetGPTError
from netgpt.models.hot_swap import Adapter
from netgpt.settings.sections import Adapters
from netgpt.types import Person

log = logging.getLogger(__name__)

SITE = "site"
REMEMBERED = 1_000
"""People whose adapters were asked for; beyond that the longest ago are forgotten."""
RETRY_S = 30.0
"""After a child that did not start, this long nothing is tried, unless the registry changes."""


class EnginePool(Protocol):
    """Where adapters are loaded: `models.swap.SwappingEngine`."""

    refused: dict[str, str]

    @property
    def resident(self) -> tuple[str, ...]: ...

    async def set_adapters(self, adapters: Sequence[Adapter]) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Choice:
    """The adapters of one answer; `note` is one sentence when it is not the one that should answer."""

    ids: tuple[str, ...] = ()
    note: str | None = None


NO_ADAPTER = Choice()


class Residency:
    """Chooses per request (`choose`, `task`), and keeps the pool filled (`run`). Without a pool it chooses nothing."""

    def __init__(self, registry: Registry, pool: EnginePool | None, settings: Adapters) -> None:
        self.registry, self.pool, self.settings = registry, pool, settings
        self._people: OrderedDict[str, Person] = OrderedDict()
        """Names of adapters of people who asked, the last one last."""
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._seen = -1
        self._wanting = False
        """Whether a request went on without its adapter since the last load."""
        self._not_before = self._retry_at = 0.0
        self._full = False
        self._unfit: dict[str, str] = {}
        """What the engine refused; it is not tried again before the registry changes."""

    def choose(self, person: Person) -> Choice:
        """For an answer to this person: the person's own adapter, else the site's, else none. Never two at once.

        A sum of two adapters is one that nobody has tested; so is an older version, unless a rollback made it active.
        """
        if self.pool is None or not self._any():
            return NO_ADAPTER
        name = user_adapter_name(person)
        own, note = self._loaded(name, person)
        if own is not None or note is not None:
            self._remember(name, person)
        if own is not None:
            return Choice((own,), note)
        site, second = self._loaded(SITE, person)
        return Choice(() if site is None else (site,), note or second)

    def task(self, name: str, person: Person | None = None) -> str | None:
        """The id of the task's adapter for this person, None when there is none or it is not loaded."""
        return self._loaded(name, person)[0] if self.pool is not None and self._any() else None

    def holds(self, id: str) -> bool:
        """Whether the adapter is loaded now."""
        return self.pool is not None and id in self.pool.resident

    def unfit(self, id: str) -> str | None:
        """Why the engine could not load the adapter."""
        return self._unfit.get(id)

    def look(self) -> None:
        """Something changed: look now instead of at the next turn."""
        self._wake.set()

    def _any(self) -> bool:
        """Whether there can be an adapter at all: most boxes have none, and should not pay for it."""
        return self.settings.resident > 0

    def _loaded(self, name: str, person: Person | None) -> tuple[str | None, str | None]:
        """The version that answers, and what to say when it is not the active one."""
        assert self.pool is not None
        try:
            entry = self.registry.active(name, person)
            if entry is None or entry.id in self.pool.resident:
                return (entry.id if entry else None), None
            before = self.registry.previous(name)
        except NetGPTError as error:
            return None, f"the adapters cannot be read: {error.message}"
        if entry.id in self._unfit:
            note = f"the engine could not load {entry.id}"
        else:
            full = f" when there is room ({self.settings.resident} adapters are loaded)" if self._full else ""
            note = f"{entry.id} will be loaded{full}"
            self._wanting = True
            self._wake.set()
        if before is not None and before.id in self.pool.resident:
            return before.id, f"{note}: {before.id} answers meanwhile"
        return None, f"{note}: this answer is without it"

    def _remember(self, name: str, person: Person) -> None:
        self._people[name] = person
        self._people.move_to_end(name)
        while len(self._people) > REMEMBERED:
            self._people.popitem(last=False)

    async def prepare(self) -> None:
        """Before the engine starts: let it start with the right adapters. Raises StoreError."""
        await asyncio.to_thread(self.registry.sweep)
        await self.refresh()

    async def run(self) -> None:
        """Follow the registry and the requests, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.settings.poll_s)
            self._wake.clear()
            try:
                await self.refresh()
            except NetGPTError as error:
                log.error("adapters: %s", error.message)
            if self._wanting:  # paced: until the next load may begin, requests need not wake this again
                await asyncio.sleep(min(self.settings.poll_s, max(0.0, self._not_before - time.monotonic())))

    async def refresh(self) -> None:
        """Look once, and load what is missing. Raises StoreError, ModelUnavailable (the engine goes on as it was)."""
        if self.pool is None:
            return
        async with self._turn:
            generation, now = self.registry.generation(), time.monotonic()
            changed = generation != self._seen
            if changed:
                self._unfit = {}
            elif not self._wanting or now < max(self._not_before, self._retry_at):
                return
            self._seen, self._wanting = generation, False
            self._not_before = now + self.settings.swap_every_s
            wanted, known = await asyncio.to_thread(self._wanted, list(reversed(self._people.items())))
            self._full = len(wanted) == self.settings.resident
            await self._load(self.pool, wanted, known)

    async def _load(self, pool: EnginePool, wanted: Mapping[str, Entry], known: frozenset[str]) -> None:
        resident = pool.resident
        if all(id in resident for id in wanted) and all(id in known for id in resident):
            return
        order = [id for id in resident if id in wanted] + [id for id in wanted if id not in resident]
        try:
            await pool.set_adapters([Adapter(id, wanted[id].path) for id in order])
        except ModelUnavailable:
            self._wanting, self._retry_at = True, time.monotonic() + RETRY_S
            raise
        finally:
            for id, why in pool.refused.items():
                if id not in self._unfit:
                    log.error("adapters: %s", why)
            self._unfit |= pool.refused

    def _wanted(self, people: Sequence[tuple[str, Person]]) -> tuple[dict[str, Entry], frozenset[str]]:
        """What should be loaded, by id, and the ids that may stay loaded: nobody took them back.

        `people`: name of the adapter and person, who asked last first.
        """
        entries = [entry for entry in self.registry.list() if entry.usable]
        known = frozenset(entry.id for entry in entries if entry.state is not State.REJECTED)
        in_use = [entry for entry in entries if entry.state in (State.ACTIVE, State.CANARY)]
        names = [entry.card.name for entry in in_use if entry.card.scope != "user"]
        first = [
            *(entry for entry in in_use if entry.card.scope != "user"),
            *(entry for entry in entries if entry.pinned and entry.state is not State.REJECTED),
            *(self.registry.previous(name) for name in dict.fromkeys(names)),
        ]
        rest = [
            *(self.registry.active(name, person) for name, person in people),
            *(self.registry.previous(name) for name, _ in people),
        ]
        wanted: dict[str, Entry] = {}
        for entry in (*first, *rest):
            if entry is None or entry.id in wanted or entry.id in self._unfit:
                continue
            if len(wanted) == self.settings.resident:
                break
            with suppress(NetGPTError):  # damaged since it was listed: `netgpt adapters list` tells
                wanted[entry.id] = self.registry.resolve(entry.id)
        return wanted, known
