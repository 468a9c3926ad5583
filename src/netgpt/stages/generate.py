"""generate: the answer, from where the decision says; from the next arm, where one fails before its first word."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from netgpt.adapters.residency import NO_ADAPTER, Choice
from netgpt.answering.asking import Asking, Chosen
from netgpt.answering.booking import added, estimate
from netgpt.answering.continuing import can_carry_on, carried_on
from netgpt.answering.hedging import Hedging
from netgpt.answering.opening import Opened, characters_of, next_or_none
from netgpt.answering.racing import FAILS
from netgpt.errors import ContextTooLong, ModelRejected, ModelUnavailable, NetGPTError, StoreError
from netgpt.exchange import Exchange
from netgpt.models.answers import as_chunk
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.routing.names import NOBODY
from netgpt.settings import Cloud, Routing
from netgpt.store.answers import CACHED, CachedAnswer
from netgpt.types import EDGE, Chunk, Decision, Person, Usage, display_name

__all__ = ["Generate"]

Observe = Callable[[str, str], None]
"""Told (arm, outcome) of every call to a model."""
Choose = Callable[[Person], Choice]
"""Whose adapter answers this person."""
LastAnswer = Callable[[Exchange], Awaitable[CachedAnswer | None]]
"""An earlier answer of the same person to the same question, or None."""


def no_adapter(_person: Person) -> Choice:
    """The plain model answers everybody."""
    return NO_ADAPTER


async def nothing_kept(_exchange: Exchange) -> CachedAnswer | None:
    """No earlier answer is given again."""
    return None


class Generate:
    """Opens the stream and waits for its first word, so that the door knows who answers before it says so."""

    name = "generate"
    reads = frozenset({"person", "messages", "outbound", "outbounds", "kept_for", "decision"})
    writes = frozenset(
        {
            "stream", "answered_by", "model_name", "destination", "sent", "sent_to", "adapters", "adapter_note",
            "carry_on",
        }
    )  # fmt: skip

    def __init__(
        self,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        *,
        deadline_s: float,
        rules: Routing | None = None,
        prices: Mapping[str, Cloud] | None = None,
        choose: Choose = no_adapter,
        observe: Observe = lambda _r, _o: None,
        last_answer: LastAnswer = nothing_kept,
    ) -> None:
        """`remotes`: the models elsewhere, by their arms' names; `prices`: their settings."""
        self.edge, self.remotes, self.deadline_s = edge, remotes, deadline_s
        self.rules = rules or Routing()
        self.hedging = Hedging(self.rules, prices or {})
        self.choose, self.observe, self.last_answer = choose, observe, last_answer

    async def __call__(self, exchange: Exchange) -> None:
        exchange.sent, exchange.sent_to, exchange.carry_on = None, (), None
        exchange.adapters, exchange.adapter_note = (), None
        exchange.destination = self._next_destination(exchange)
        try:
            if exchange.decision.rule == NOBODY:
                raise ModelUnavailable(exchange.decision.reason, retry_after=2)
            if exchange.request.dry_run:
                self._pretend(exchange)
                return
            asking = Asking(
                exchange, self.edge, self.remotes, self.hedging, self._until(exchange), self.choose, self.observe
            )
            self._hand_on(asking, await asking.first_word())
        except FAILS as error:
            if not await self._answered_before(exchange, error):
                raise

    def _next_destination(self, exchange: Exchange) -> str:
        """Host of the first model elsewhere that would be asked; of any, where none may be."""
        decision = exchange.decision
        may = [arm for arm in (decision.name, *decision.fallbacks) if arm in exchange.outbounds]
        remote = next((self.remotes[arm] for arm in (*may, *self.remotes) if arm in self.remotes), None)
        return remote.destination if remote is not None else ""

    def _until(self, exchange: Exchange) -> float:
        """When the answer has to be whole, in `time.monotonic()` seconds."""
        wanted = exchange.request.deadline_s
        limit_s = self.deadline_s if wanted is None else min(wanted, self.deadline_s)
        return time.monotonic() + limit_s - exchange.elapsed_ms() / 1000

    def _pretend(self, exchange: Exchange) -> None:
        """An empty answer in place of one: nobody is asked, nothing is booked."""
        exchange.answered_by = exchange.decision
        exchange.model_name = self._model_name(exchange.decision.name)
        exchange.usage = Usage()
        exchange.stream = _one(_empty(exchange))

    def _model_name(self, arm: str) -> str:
        return self.edge.name if arm == EDGE else self.remotes[arm].name

    def _hand_on(self, asking: Asking, chosen: Chosen) -> None:
        """An arm has begun to answer: the rest streams."""
        exchange, arm = asking.exchange, chosen.arm
        exchange.timings["first_token"] = round(exchange.elapsed_ms(), 3)
        exchange.answered_by, exchange.model_name = asking.carried_out(chosen), self._model_name(arm)
        if arm == EDGE:
            exchange.adapters, exchange.adapter_note = asking.choice.ids, asking.choice.note
        exchange.stream = self._booked(asking, arm, chosen.opened)
        if (
            arm != EDGE
            and self.rules.on_cut == "edge"
            and EDGE in exchange.decision.fallbacks
            and can_carry_on(exchange.request.body)
        ):
            exchange.carry_on = Finishing(asking, arm)

    async def _booked(self, asking: Asking, arm: str, opened: Opened) -> AsyncIterator[Chunk]:
        """Pass the chunks on, keep count, and hold the whole to its deadline. Usage is booked in every case."""
        exchange, told, characters = asking.exchange, None, 0
        outcome = "cancelled"
        try:
            async with aclosing(cast(Any, opened.rest)):
                held = iter(opened.held)
                while (chunk := next(held, None) or await next_or_none(opened.rest, asking.until)) is not None:
                    told = Usage.from_openai(chunk.get("usage")) or told
                    characters += characters_of(chunk)
                    yield chunk
            outcome = "ok"
        except NetGPTError as error:
            outcome = error.code
            raise
        finally:
            exchange.usage = told or estimate(asking.question(), characters)
            if arm != EDGE:
                exchange.worked[arm] = exchange.usage
            self.observe(arm, outcome)

    async def _answered_before(self, exchange: Exchange, error: NetGPTError) -> bool:
        """Whether nobody can answer, and an earlier answer to the same question was found: it is given again."""
        if isinstance(error, ModelRejected | ContextTooLong) or exchange.request.dry_run:
            return False
        try:
            earlier = await self.last_answer(exchange)
        except StoreError:
            return False
        if earlier is None:
            return False
        reason = f"{error.message.rstrip('.')}. An earlier answer to the same question is given again"
        exchange.answered_by = Decision(EDGE, reason, CACHED, arm=CACHED)
        exchange.model_name, exchange.cached_age_s, exchange.usage = earlier.model, earlier.age_s, Usage()
        whole = as_chunk({name: value for name, value in earlier.answer.items() if name not in ("netgpt", "usage")})
        exchange.stream = _one({**whole, **_head(exchange), "usage": Usage().as_openai()})
        return True


class Finishing:
    """The model on the box writes the rest of an answer that broke off: see `answering.continuing`."""

    def __init__(self, asking: Asking, arm: str) -> None:
        self.asking, self.arm = asking, arm

    def __call__(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        return carried_on(chunks, self.asking.rest, self._begins, self._counted)

    def _begins(self) -> None:
        exchange, choice = self.asking.exchange, self.asking.choice
        exchange.finished_by = EDGE
        exchange.adapters, exchange.adapter_note = choice.ids, choice.note
        reason = f"{exchange.answered_by.reason}; {display_name(self.arm)} broke off, and the box wrote the rest"
        exchange.answered_by = replace(exchange.answered_by, reason=reason)

    def _counted(self, told: Usage | None, characters: int) -> Usage:
        exchange = self.asking.exchange
        first = exchange.worked.get(self.arm) or Usage()
        exchange.usage = both = added(first, told or estimate((), characters))
        return both


def _head(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{exchange.id}",
        "object": "chat.completion.chunk",
        "created": int(exchange.received.timestamp()),
        "model": exchange.model_name,
    }


def _empty(exchange: Exchange) -> Chunk:
    """A whole answer without a word, in the shape that every client reads."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    return {**_head(exchange), "choices": [choice], "usage": Usage().as_openai()}


async def _one(chunk: Chunk) -> AsyncIterator[Chunk]:
    yield chunk
