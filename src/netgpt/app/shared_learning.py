"""The learner of several workers: each writes down what came of its decisions, one learns from all of it, all read what
it knows.

News lie in the store until they are learnt. Learning a batch, keeping what is known then, and deleting the batch are
one transaction under the lease: whatever dies when, each of them counts once. The others' knowledge is `TAKEN_EVERY_S`
old at most, and as much older as the learner is behind.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from netgpt.app.crew import Crew
from netgpt.app.learning import EVERY_S, Learning, outcome_of_chosen
from netgpt.errors import StoreError
from netgpt.routing.learner import digests_in
from netgpt.routing.reward import Parts
from netgpt.settings.routing import Routing
from netgpt.store.learning import DecisionRow
from netgpt.store.sharing import NewsRow
from netgpt.store.store import Store
from netgpt.types import Person

log = logging.getLogger(__name__)

TAKEN_EVERY_S: Final = 5.0
_BATCH: Final = 256
_TRIES: Final = 5
"""A rating may be here before the decision that it is of, which its worker writes within a second."""
_FORGET, _CHOSEN, _TRIED = "forget", "chosen failed", "tries"


class SharedLearning(Learning):
    """As `Learning`; `learner` is what this worker last read, or what it learns where it has the lease."""

    def __init__(self, store: Store, rules: Routing, prices: Mapping[str, Any], crew: Crew) -> None:
        super().__init__(store, rules, prices)
        self._crew = crew
        self._news: list[tuple[str, dict[str, Any]]] = []
        self._leads = False
        self._read_state: bytes | None = None

    async def rated(self, id: str, rating: int) -> None:
        """Let a person's rating of an answer be learnt, however late it comes. Raises StoreError."""
        if self._task is not None:
            await self.flush()
            await self.store.news.add([(id, {"rating": rating})])

    async def forget(self, person: Person, keys: Sequence[str]) -> None:
        """Drop what was learnt of these keys and this person alone. Raises StoreError."""
        if self._task is None:
            return
        async with self._lock:
            self.drop_waiting(person)
            await self.store.news.add([("", {_FORGET: [self.learner.digest(key) for key in keys]})])
            for key in keys:
                self.learner.forget(key)

    async def flush(self) -> None:
        """Write down the exchanges that have ended, and what came of them. Raises StoreError."""
        async with self._lock:
            rows, settled = await self._read()
            news, self._news = self._news, []
            news += [(one.decision, Parts(repeated=one.repeated).known()) for one in settled]
            if rows or news:
                await self.store.news.add(news, rows)

    async def _save_last(self) -> None:
        """The news are in the store: who has the lease learns them."""

    async def _run(self) -> None:
        taken = float("-inf")
        while True:
            try:
                await self.flush()
                if self._crew.owns:
                    await self._learn()
                elif time.monotonic() - taken >= TAKEN_EVERY_S:
                    taken, self._leads = time.monotonic(), False
                    await self._take()
            except StoreError as error:
                log.error("routing: what was learnt could not be kept: %s", error.message)
            await asyncio.sleep(EVERY_S)

    def _learnt(self, row: DecisionRow, news: Parts) -> DecisionRow:
        self._news.append((row.id, news.known()))
        return row

    def _failed_first(self, row: DecisionRow) -> None:
        self._news.append((row.id, {_CHOSEN: True}))

    async def _take(self) -> None:
        """Read what is known, if it has changed. Raises StoreError."""
        state = await self.store.decisions.state()
        if state is None or state == self._read_state:
            return
        before = self.learner
        await self._restore(state)
        self._read_state = state
        self.learner.continues(before, self._crew.post.number)
        if self._context is not None:
            self._context.experience = self.learner

    async def _learn(self) -> None:
        """Learn all news. Raises StoreError: then what was learnt of them here is forgotten, and read again."""
        async with self._lock:
            if not self._leads:
                await self._take()
                self._leads = True
            try:
                while batch := await self.store.news.next(_BATCH):
                    if not await self._learn_batch(batch):
                        break
            except StoreError:
                self._leads, self._read_state = False, None
                raise

    async def _learn_batch(self, batch: Sequence[NewsRow]) -> bool:
        """False: some cannot be learnt yet, and wait for the next second."""
        kept = await self.store.decisions.state()
        for digest in self._known - digests_in(kept or b"{}") if self._known else ():
            self.learner.drop(digest)  # another program forgot it: `netgpt profile forget`
        changed: dict[str, DecisionRow] = {}
        later: list[tuple[str, Mapping[str, Any]]] = []
        for one in batch:
            if _FORGET in one.known:
                for digest in one.known[_FORGET]:
                    self.learner.drop(digest)
                continue
            row = changed.get(one.exchange) or await self.store.decisions.find(one.exchange)
            if row is not None:
                changed[one.exchange] = self._told(row, one.known)
            elif (tries := one.known.get(_TRIED, 0)) < _TRIES:
                later.append((one.exchange, {**one.known, _TRIED: tries + 1}))
        numbers = self.learner.numbers()
        state = await asyncio.to_thread(lambda: json.dumps(numbers, separators=(",", ":")).encode())
        await self.store.news.learnt(self._crew.post.owner, batch[-1].seq, list(changed.values()), state, later)
        self._known, self._read_state = digests_in(state), state
        return not later

    def _told(self, row: DecisionRow, known: Mapping[str, Any]) -> DecisionRow:
        """Learn one thing; the decision with what is known of it then."""
        if _CHOSEN in known:
            self.learner.update(outcome_of_chosen(row))
            return row
        return super()._learnt(row, Parts.of(known))
