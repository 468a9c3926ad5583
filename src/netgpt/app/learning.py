"""The learner of a box, fed with what becomes of its decisions, and kept in the store. Put together by `build.py`.

Nothing here is on a request's way: an ended exchange is put in a row (a microsecond), and a task reads it a bit later.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from netgpt.app.metrics import Metrics
from netgpt.app.routing import RoutingService
from netgpt.errors import ModelError, StoreError
from netgpt.exchange import Exchange
from netgpt.models.stream import join_chunks
from netgpt.routing.features import last_user_text
from netgpt.routing.learner import Learner, digests_in
from netgpt.routing.replay import as_private, outcome_of
from netgpt.routing.reward import Counted, DecisionOutcome, Parts, Reformulations, Settled, breaks_schema
from netgpt.settings.routing import Routing
from netgpt.stages.record import Record, cost_of_all
from netgpt.store.learning import DecisionRow
from netgpt.store.store import Store
from netgpt.types import Chunk, Person

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0  # how often ended exchanges are read and written, in one transaction
SAVE_EVERY_S: Final = 60.0
MOST_ENDED: Final = 2_000
"""Ended exchanges that may wait to be read; older ones are let go: what is not known leaves no trace."""


class Learning:
    """Made with the box, started and closed with it. `learner` is what the route stage asks."""

    def __init__(self, store: Store, rules: Routing, prices: Mapping[str, Any]) -> None:
        """`prices`: the settings of every model elsewhere, by its target's name."""
        self.store, self.rules, self.prices = store, rules, prices
        self.learner = Learner(explore=rules.explore, per_hour=rules.explore_per_hour)
        self.restored = False
        self._repeats = Reformulations()
        self._ended: deque[Exchange] = deque(maxlen=MOST_ENDED)
        self._broken: dict[str, bool] = {}
        self._changed = False
        self._known: frozenset[str] = frozenset()
        """The keys that the saved state knew when it was last written or read here."""
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def listen(self, record: Record, metrics: Metrics) -> None:
        """Hear of what ends."""
        record.look = self._answered
        metrics.listeners.append(self._exchange_ended)

    async def start(self, routing_service: RoutingService) -> None:
        """Take up what was learnt before, hand it to the decisions, and begin to read what ends.

        Where there is nothing to choose from, or nothing may be learnt, it does nothing. What cannot be read is told
        and begun anew.
        """
        if not self.rules.learn or not self.prices:
            return
        try:
            state = await self.store.decisions.state()
            if state is not None:
                told = {"explore": self.rules.explore, "per_hour": self.rules.explore_per_hour}
                self.learner = await asyncio.to_thread(lambda: Learner.restore(state, **told))
                self.restored, self._known = True, digests_in(state)
        except StoreError as error:
            log.error("routing: %s Learning begins anew.", error.message)
        routing_service.context.experience = self.learner
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _answered(self, exchange: Exchange, answer: list[Chunk]) -> None:
        """Look at a whole answer that should keep to a schema; any other is not looked at."""
        if self._task is None:
            return
        if isinstance(exchange.request.body.get("response_format"), Mapping) and exchange.status == "complete":
            broken = breaks_schema(exchange.request.body, _text_of(answer))
            if broken is not None and len(self._broken) < MOST_ENDED:
                self._broken[exchange.id] = broken

    def _exchange_ended(self, exchange: Exchange) -> None:
        """Note it, and go on."""
        if self._task is not None:
            self._ended.append(exchange)

    async def rated(self, id: str, rating: int) -> None:
        """A person said what an answer was worth: learn it, however late. Raises StoreError."""
        if self._task is None:
            return
        await self.flush()
        async with self._lock:
            row = await self.store.decisions.find(id)
            if row is not None:
                await self._told([(row, Parts(rating=rating))])

    async def forget(self, person: Person, keys: Sequence[str]) -> None:
        """Drop what was learnt of these keys and this person alone; sums over everybody stay. Raises StoreError."""
        if self._task is None:
            return
        async with self._lock:
            self._ended = deque((e for e in self._ended if not _is_of(e, person)), maxlen=MOST_ENDED)
            self._repeats.forget(_name(person))
            for key in keys:
                self.learner.forget(key)
            await self._save()

    async def flush(self) -> None:
        """Read what has ended, and write it. Raises StoreError."""
        async with self._lock:
            rows, settled = self._read()
            if rows:
                await self.store.decisions.save(rows)
            found = [(await self.store.decisions.find(one.decision), one) for one in settled]
            await self._told([(row, Parts(repeated=one.repeated)) for row, one in found if row is not None])

    async def close(self) -> None:
        """Write what is left. A store that refuses is told of."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            await self.flush()
            async with self._lock:
                if self._changed:
                    await self._save()
        except StoreError as error:
            log.error("routing: what was learnt could not be kept: %s", error.message)

    async def _run(self) -> None:
        saved = time.monotonic()
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
                if self._changed and time.monotonic() - saved >= SAVE_EVERY_S:
                    saved = time.monotonic()
                    await self.save()
            except StoreError as error:
                log.error("routing: what was learnt could not be kept: %s", error.message)

    async def save(self) -> None:
        """Keep what was learnt. Raises StoreError."""
        async with self._lock:
            await self._save()

    async def _save(self) -> None:
        kept = await self.store.decisions.state()
        for digest in self._known - digests_in(kept or b"{}") if self._known else ():
            self.learner.drop(digest)  # another program forgot it: `netgpt profile forget`
        numbers, self._changed = self.learner.numbers(), False
        state = await asyncio.to_thread(lambda: json.dumps(numbers, separators=(",", ":")).encode())
        await self.store.decisions.save_state(state)
        self._known = digests_in(state)

    def _read(self) -> tuple[list[DecisionRow], list[Settled]]:
        """Learn from what has ended; the rows to keep, and the earlier requests on which there is news."""
        rows, settled, now = [], self._repeats.settled(time.time()), time.time()
        while self._ended:
            exchange = self._ended.popleft()
            broken = self._broken.pop(exchange.id, None)
            row = self._row(exchange, broken)
            if row is None:
                continue
            rows.append(row)
            text = last_user_text(exchange.request.body["messages"])
            settled += self._repeats.asked(_name(exchange.person), exchange.id, text, now)
        return rows, settled

    def _row(self, exchange: Exchange, broken: bool | None) -> DecisionRow | None:
        """The decision of an ended exchange, learnt from; None where there was none."""
        if exchange.status == "dry_run" or not exchange.has("decision"):
            return None
        if len(exchange.decision.expected) < 2:  # a box with one model has nothing to choose
            return None
        decision = exchange.decision
        answered = exchange.outcome.answered_by.name if exchange.has("outcome") else decision.name
        private = as_private(decision, answered)
        row = DecisionRow(
            exchange.id, exchange.person.tenant, exchange.person.user, exchange.caller.key_id, datetime.now(UTC),
            decision.name, decision.propensity, private,
        )  # fmt: skip
        if answered != decision.name:  # the one chosen failed before its first word; who stepped in is judged below
            key, failed = row.key_id or row.user, Parts(failed=True)
            self.learner.told(outcome_of(row.id, key, private | {"answered": decision.name}, failed))
        return self._learnt(row, self._parts(exchange, answered, broken))

    def _parts(self, exchange: Exchange, answered: str, broken: bool | None) -> Parts:
        expected = next((one for one in exchange.decision.expected if one.target == answered), None)
        outcome = exchange.get("outcome")
        total = exchange.timings.get("total")
        return Parts(
            broken=broken,
            failed=_failed(exchange),
            latency_s=total / 1000 if total is not None and exchange.status == "complete" else None,
            expected_latency_s=expected.latency_s if expected is not None else None,
            cost=cost_of_all(outcome.worked, self.prices) if outcome else 0.0,
            tokens=outcome.usage.completion_tokens if outcome and outcome.usage else None,
        )

    async def _told(self, news: list[tuple[DecisionRow, Parts]]) -> None:
        """Learn what became known later, and keep it beside the decision."""
        if news:
            await self.store.decisions.change([self._learnt(row, parts) for row, parts in news])

    def _learnt(self, row: DecisionRow, news: Parts) -> DecisionRow:
        outcome: DecisionOutcome = outcome_of(row.id, row.key_id or row.user, row.private, news)
        counted: Counted | None = self.learner.told(outcome)
        self._changed = True
        known = {"parts": outcome.parts.known(), "counted": list(counted) if counted is not None else None}
        return replace(row, private=row.private | known)


def _failed(exchange: Exchange) -> bool | None:
    """Whether the model did not do its work; None where something else ended it."""
    if exchange.status == "complete":
        return False
    return True if isinstance(exchange.error, ModelError) else None


def _text_of(answer: list[Chunk]) -> str:
    choices = join_chunks(answer).get("choices") or [] if answer else []
    content = choices[0].get("message", {}).get("content") if choices else None
    return content if isinstance(content, str) else ""


def _name(person: Person) -> str:
    return f"{len(person.tenant)}:{person.tenant}{person.user}"


def _is_of(exchange: Exchange, person: Person) -> bool:
    return exchange.has("person") and exchange.person == person
