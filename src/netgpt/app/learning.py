"""The gateway's learner, fed with the outcomes of its decisions and kept in the store.

Nothing here is on a request's path: an ended exchange is queued (a microsecond), and a task reads it later.
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
from functools import partial
from typing import Any, Final

from netgpt.app.metrics import Metrics
from netgpt.app.routing import RoutingService
from netgpt.confidence.forms import broken_form
from netgpt.errors import ModelError, StoreError
from netgpt.exchange import Exchange
from netgpt.models.stream import Joiner
from netgpt.routing.candidates import last_user_text
from netgpt.routing.learner import Learner, digests_in
from netgpt.routing.replay import as_private, outcome_of
from netgpt.routing.reward import DecisionOutcome, Parts, Reformulations, Settled
from netgpt.routing.router import ASKED
from netgpt.settings.routing import Routing
from netgpt.stages.record import Record, cost_of_all
from netgpt.stages.route import RoutingContext
from netgpt.store.learning import DecisionRow
from netgpt.store.store import Store
from netgpt.types import Person

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0  # how often ended exchanges are read and written, in one transaction
SAVE_EVERY_S: Final = 60.0
_AT_ONCE: Final = 4
MOST_ENDED: Final = 2_000
"""Ended exchanges that may wait to be read; older ones are let go: what is not known leaves no trace."""


class Learning:
    """Made, started and closed with the gateway. `learner` is what the route stage asks."""

    def __init__(self, store: Store, rules: Routing, prices: Mapping[str, Any]) -> None:
        """`prices`: the settings of every model elsewhere, by its target's name."""
        self.store, self.rules, self.prices = store, rules, prices
        self.learner = Learner(explore=rules.explore, per_hour=rules.explore_per_hour)
        self.restored = False
        self._reformulations = Reformulations()
        self._ended: deque[Exchange] = deque(maxlen=MOST_ENDED)
        self._broken: dict[str, bool] = {}
        self._changed = False
        self._known: frozenset[str] = frozenset()
        """Digests of the keys in the saved state when it was last written or read here."""
        self._context: RoutingContext | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self, routing_service: RoutingService, record: Record, metrics: Metrics) -> None:
        """Restore what was learnt, give it to the route stage, and begin to read ended exchanges.

        Does nothing where there is nothing to choose from, or learning is off. A state that cannot be read is logged,
        and learning begins anew.
        """
        if not self.rules.learn or not self.prices:
            return
        try:
            await self._restore(await self.store.decisions.state())
        except StoreError as error:
            log.error("routing: %s Learning begins anew.", error.message)
        self._context = routing_service.context
        self._context.experience = self.learner
        record.before_end.append(self._check_schema)
        metrics.listeners.append(self._ended.append)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _restore(self, state: bytes | None) -> None:
        """Go on from what was kept. Raises StoreError: it cannot be read."""
        if state is not None:
            restore = partial(Learner.restore, explore=self.rules.explore, per_hour=self.rules.explore_per_hour)
            self.learner = await asyncio.to_thread(restore, state)
            self.restored, self._known = True, digests_in(state)

    def _check_schema(self, exchange: Exchange, answer: Joiner) -> None:
        """Note whether a whole answer breaks the schema that was asked for."""
        if exchange.status != "complete" or not exchange.request.body.get("response_format"):
            return
        broken = broken_form(exchange.request.body, _text_of(answer))
        if broken is not None and len(self._broken) < MOST_ENDED:
            self._broken[exchange.id] = bool(broken)

    async def rated(self, id: str, rating: int) -> None:
        """Learn a person's rating of an answer, however late it comes. Raises StoreError."""
        if self._task is None:
            return
        await self.flush()
        async with self._lock:
            row = await self.store.decisions.find(id)
            if row is not None:
                await self._update([(row, Parts(rating=rating))])

    async def forget(self, person: Person, keys: Sequence[str]) -> None:
        """Drop what was learnt of these keys and this person alone; sums over everybody stay. Raises StoreError."""
        if self._task is None:
            return
        async with self._lock:
            self.drop_waiting(person)
            for key in keys:
                self.learner.forget(key)
            await self._save()

    def drop_waiting(self, person: Person) -> None:
        """Learn nothing more from what a person asked here."""
        others = [exchange for exchange in self._ended if not _is_of(exchange, person)]
        self._ended.clear()  # the listener holds this very queue
        self._ended.extend(others)
        self._reformulations.forget(_name(person))

    async def flush(self) -> None:
        """Read the exchanges that have ended, and write their decisions. Raises StoreError."""
        async with self._lock:
            rows, settled = await self._read()
            if rows:
                await self.store.decisions.save(rows)
            found = [(await self.store.decisions.find(one.decision), one) for one in settled]
            await self._update([(row, Parts(repeated=one.repeated)) for row, one in found if row is not None])

    async def close(self) -> None:
        """Write what is left; a store that refuses is logged."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            await self.flush()
            await self._save_last()
        except StoreError as error:
            log.error("routing: what was learnt could not be kept: %s", error.message)

    async def _save_last(self) -> None:
        async with self._lock:
            if self._changed:
                await self._save()

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

    async def _read(self) -> tuple[list[DecisionRow], list[Settled]]:
        """Learn from what has ended; the rows to keep, and the earlier requests on which there is news.

        Requests have their turn after every few: reading a second's exchanges at once would hold them up.
        """
        rows, settled, now, read = [], self._reformulations.settled(time.time()), time.time(), 0
        while self._ended:
            exchange, read = self._ended.popleft(), read + 1
            if read % _AT_ONCE == 0:
                await asyncio.sleep(0)
            broken = self._broken.pop(exchange.id, None)
            row = self._row(exchange, broken)
            if row is None:
                continue
            rows.append(row)
            if exchange.decision.rule == ASKED:
                continue  # who names a target and asks again says nothing of a choice
            text = last_user_text(exchange.request.body["messages"])
            settled += self._reformulations.asked(_name(exchange.person), exchange.id, text, now)
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
        acted = exchange.outcome.acted if exchange.has("outcome") else None
        gave_up = acted is not None and acted.how == "escalated"  # that is a belief, no failure
        if answered != decision.name and not gave_up:  # the chosen target failed before its first word
            self._failed_first(row)
        parts = self._parts(exchange, answered, broken)
        if decision.rule == ASKED and not parts.failed and not broken:
            return row  # there was nothing to choose: only what goes wrong, or is rated later, is learnt
        return self._learnt(row, parts)

    def _failed_first(self, row: DecisionRow) -> None:
        """Learn that the chosen target failed, and another one answered."""
        self.learner.update(outcome_of_chosen(row))

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

    async def _update(self, news: list[tuple[DecisionRow, Parts]]) -> None:
        """Learn what became known later, and keep it with the decision."""
        if news:
            await self.store.decisions.change([self._learnt(row, parts) for row, parts in news])

    def _learnt(self, row: DecisionRow, news: Parts) -> DecisionRow:
        outcome = outcome_of(row.id, row.key_id or row.user, row.private, news)
        counted = self.learner.update(outcome)
        self._changed = True
        known = {"parts": outcome.parts.known(), "counted": list(counted) if counted is not None else None}
        return replace(row, private=row.private | known)


def outcome_of_chosen(row: DecisionRow) -> DecisionOutcome:
    """What to tell the learner of the chosen target where it failed before its first word."""
    chosen = row.private | {"answered": row.target}
    return outcome_of(row.id, row.key_id or row.user, chosen, Parts(failed=True))


def _failed(exchange: Exchange) -> bool | None:
    """Whether the model failed; None: something else ended the exchange."""
    if exchange.status == "complete":
        return False
    return True if isinstance(exchange.error, ModelError) else None


def _text_of(answer: Joiner) -> str:
    choices = answer.answer()["choices"]
    content = choices[0].get("message", {}).get("content") if choices else None
    return content if isinstance(content, str) else ""


def _name(person: Person) -> str:
    return f"{len(person.tenant)}:{person.tenant}{person.user}"


def _is_of(exchange: Exchange, person: Person) -> bool:
    return exchange.has("person") and exchange.person == person
