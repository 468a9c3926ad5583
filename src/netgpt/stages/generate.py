"""generate: the answer, from where the decision says; from the next target, where one fails before its first word."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, cast

from netgpt.adapters.residency import NO_ADAPTER, Choice
from netgpt.errors import (
    ContextTooLong,
    ModelMisconfigured,
    ModelRejected,
    ModelUnavailable,
    NetGPTError,
    StoreError,
)
from netgpt.exchange import Exchange, Request
from netgpt.generation.acting import Acting, JudgedRequest
from netgpt.generation.continuation import can_continue, continued
from netgpt.generation.fallback import (
    FAILS,
    NEVER,
    TRANSIENT,
    Chosen,
    FallbackChain,
    GenerationRequest,
    Hedging,
    Opened,
    added,
    estimate,
    next_or_none,
)
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.models.stream import as_chunk, characters_of
from netgpt.outbound import Outcome
from netgpt.routing.candidates import NOBODY, may_stand_in
from netgpt.settings.routing import Routing
from netgpt.settings.sections import Cloud
from netgpt.store.exchanges import CACHED, CachedAnswer
from netgpt.types import EDGE, Chunk, Decision, Fact, Person, Usage, display_name

OnModelCall = Callable[[str, str], None]  # called with (target, outcome) after each call to a model
Choose = Callable[[Person], Choice]  # whose adapter answers this person
LastAnswer = Callable[[Person, Request, Sequence[Fact]], Awaitable[CachedAnswer | None]]
"""The newest complete answer of this person to the same question with the same facts; None: none, or it is too old."""


def no_adapter(_person: Person) -> Choice:
    """The plain model answers everybody."""
    return NO_ADAPTER


async def nothing_kept(_person: Person, _request: Request, _facts: Sequence[Fact]) -> CachedAnswer | None:
    """No earlier answer is given again."""
    return None


class Generate:
    """Opens the stream and waits for its first word, so that who answers is known before the response begins."""

    name = "generate"
    reads = frozenset({"person", "chosen", "messages", "outbounds", "kept_for", "decision"})
    reads_if_written = frozenset({"kept"})
    writes = frozenset({"stream", "outcome", "continuation"})

    def __init__(
        self,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        *,
        deadline_s: float,
        rules: Routing | None = None,
        prices: Mapping[str, Cloud] | None = None,
        choose: Choose = no_adapter,
        on_model_call: OnModelCall = lambda _target, _outcome: None,
        last_answer: LastAnswer = nothing_kept,
        acting: Acting | None = None,
    ) -> None:
        """`remotes`: the models elsewhere, by their targets' names; `prices`: their settings."""
        self.edge, self.remotes, self.deadline_s = edge, remotes, deadline_s
        self.rules = rules or Routing()
        self.acting = acting or Acting(self.rules)
        self.hedging = Hedging(self.rules, prices or {})
        self.choose, self.on_model_call, self.last_answer = choose, on_model_call, last_answer

    async def __call__(self, exchange: Exchange) -> None:
        exchange.continuation = None
        exchange.outcome = outcome = Outcome(exchange.decision, destination=self._next_destination(exchange))
        fallback, by = self.rules.fallback_by(exchange.request.fallback, exchange.caller.fallback)
        outcome.fallback = f"{fallback} ({by})"
        try:
            if exchange.decision.rule == NOBODY:
                raise ModelUnavailable(exchange.decision.reason, retry_after=2)
            if exchange.request.dry_run:  # an empty answer: no model is asked
                outcome.model_name, outcome.usage = self._model_name(exchange.decision.name), Usage()
                exchange.stream = _one(_empty(exchange))
                return
            hearing = self.acting.hearing(_asked_of(exchange))
            chain = FallbackChain(
                _request_of(exchange, fallback), outcome, self.edge, self.remotes, self.hedging, self._until(exchange),
                self.choose, self.on_model_call, judged=hearing is not None,
                able=partial(may_stand_in, self.acting.prior, exchange.request.body),
            )  # fmt: skip
            chosen = await chain.first_word()
            if hearing is not None and chosen.target == EDGE:
                chosen = await hearing.settled(chain, chosen)
            exchange.note_time("first_token")
            exchange.stream = self._begun(chain, chosen)
            if self._may_continue(chain, chosen.target):
                exchange.continuation = Finishing(chain, chosen.target)
        except FAILS as error:
            if not await self._answered_before(exchange, error, fallback):
                raise

    def _next_destination(self, exchange: Exchange) -> str:
        """Host of the first model elsewhere that would be asked; of any, where none may be."""
        decision = exchange.decision
        may = [target for target in (decision.name, *decision.fallbacks) if target in exchange.outbounds]
        remote = next((self.remotes[target] for target in (*may, *self.remotes) if target in self.remotes), None)
        return remote.destination if remote is not None else ""

    def _until(self, exchange: Exchange) -> float:
        """When the answer has to be whole, in `time.monotonic()` seconds."""
        wanted = exchange.request.deadline_s
        limit_s = self.deadline_s if wanted is None else min(wanted, self.deadline_s)
        return time.monotonic() + limit_s - exchange.elapsed_ms() / 1000

    def _model_name(self, target: str) -> str:
        return self.edge.name if target == EDGE else self.remotes[target].name

    def _begun(self, chain: FallbackChain, chosen: Chosen) -> AsyncIterator[Chunk]:
        """A target has begun to answer: the rest streams."""
        outcome, target = chain.outcome, chosen.target
        outcome.answered_by, outcome.model_name = chain.carried_out(chosen), self._model_name(target)
        if target == EDGE:
            outcome.adapters, outcome.adapter_note = chain.choice.ids, chain.choice.note
        return self._booked(chain, target, chosen.opened)

    def _may_continue(self, chain: FallbackChain, target: str) -> bool:
        """Whether the edge would finish this answer where it breaks off."""
        wanted = target != EDGE and self.rules.on_cut == "edge" and EDGE in chain.request.decision.fallbacks
        return wanted and can_continue(chain.request.body)

    async def _booked(self, chain: FallbackChain, target: str, opened: Opened) -> AsyncIterator[Chunk]:
        """Pass the chunks on, count tokens in every case, and hold the whole to its deadline."""
        outcome, characters, head = chain.outcome, 0, cast(Chunk, {})
        usage: Usage | None = None
        ended = "cancelled"
        try:
            async with aclosing(cast(Any, opened.rest)):
                held = iter(opened.held)
                while (chunk := next(held, None) or await next_or_none(opened.rest, chain.until)) is not None:
                    usage = Usage.from_openai(chunk.get("usage")) or usage
                    characters += characters_of(chunk)
                    head = chunk
                    yield chunk
            wanted = chain.request.stream and (chain.request.body.get("stream_options") or {}).get("include_usage")
            if usage is None and wanted:
                usage = estimate(chain.request.question(), characters)  # the caller wants it, the model counts none
                told: Chunk = {name: head[name] for name in ("id", "object", "created", "model") if name in head}
                yield {**told, "choices": [], "usage": usage.as_openai()}
            ended = "ok"
        except NetGPTError as error:
            ended = error.code
            raise
        finally:
            outcome.usage = usage or estimate(chain.request.question(), characters)
            if target != EDGE:
                outcome.worked[target] = outcome.usage
            self.on_model_call(target, ended)

    async def _answered_before(self, exchange: Exchange, error: NetGPTError, fallback: str) -> bool:
        """Give an earlier answer to the same question again, where there is one; whether there was."""
        mends = isinstance(error, ModelMisconfigured) and fallback not in (NEVER, TRANSIENT)
        refused = isinstance(error, ModelRejected | ContextTooLong) and not mends
        if refused or fallback == NEVER or exchange.request.dry_run:
            return False
        try:
            earlier = await self.last_answer(exchange.person, exchange.request, exchange.chosen)
        except StoreError:
            earlier = None
        if earlier is None:
            return False
        reason = f"{error.message.rstrip('.')}. An earlier answer to the same question is given again"
        outcome = exchange.outcome
        outcome.answered_by = Decision(EDGE, reason, CACHED, target=CACHED)
        outcome.model_name, outcome.cached_age_s, outcome.usage = earlier.model, earlier.age_s, Usage()
        whole = as_chunk({name: value for name, value in earlier.answer.items() if name not in ("netgpt", "usage")})
        exchange.stream = _one({**whole, **_head(exchange), "usage": Usage().as_openai()})
        return True


class Finishing:
    """The edge writes the rest of an answer that broke off: see `generation.continuation`."""

    def __init__(self, chain: FallbackChain, target: str) -> None:
        self.chain, self.target = chain, target

    def __call__(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        return continued(chunks, self.chain.rest, self._begins, self._counted)

    def _begins(self) -> None:
        outcome, choice = self.chain.outcome, self.chain.choice
        outcome.finished_by = EDGE
        outcome.adapters, outcome.adapter_note = choice.ids, choice.note
        reason = f"{outcome.answered_by.reason}; {display_name(self.target)} broke off, and the box wrote the rest"
        outcome.answered_by = replace(outcome.answered_by, reason=reason)

    def _counted(self, second: Usage | None, characters: int) -> Usage:
        outcome = self.chain.outcome
        first = outcome.worked.get(self.target) or Usage()
        outcome.usage = both = added(first, second or estimate((), characters))
        return both


def _request_of(exchange: Exchange, fallback: str) -> GenerationRequest:
    request = exchange.request
    return GenerationRequest(
        exchange.id, exchange.person, request.body, exchange.messages, exchange.decision, exchange.outbounds,
        exchange.kept_for, request.stream, fallback, request.may_wait, exchange.claim,
    )  # fmt: skip


def _asked_of(exchange: Exchange) -> JudgedRequest:
    request, kept = exchange.request, exchange.get("kept", ())
    return JudgedRequest(
        request.body, exchange.messages, exchange.decision, tuple(fact.text for fact in exchange.chosen),
        next((each.policy_rule for each in kept if each.policy_rule), ""), request.stream, request.on_low_confidence,
    )  # fmt: skip


def _head(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{exchange.id}",
        "object": "chat.completion.chunk",
        "created": int(exchange.received.timestamp()),
        "model": exchange.outcome.model_name,
    }


def _empty(exchange: Exchange) -> Chunk:
    """A whole answer without a word, in the shape that every client reads."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    return {**_head(exchange), "choices": [choice], "usage": Usage().as_openai()}


async def _one(chunk: Chunk) -> AsyncIterator[Chunk]:
    yield chunk
