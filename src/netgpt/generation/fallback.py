"""The arms of one request, asked in the order of the decision until one gives its first word."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from netgpt.adapters.residency import NO_ADAPTER, Choice
from netgpt.errors import (
    AdapterGone,
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    StoreError,
)
from netgpt.generation.continuation import Given, continuation
from netgpt.generation.hedging import FAILS, Hedging, Opened, close, next_or_none, opened, race
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.outbound import Outbound, Outcome
from netgpt.routing.features import text_of
from netgpt.routing.router import TRIAL
from netgpt.types import CHARACTERS_A_TOKEN, EDGE, Chunk, Decision, Message, Person, Sender, Usage, display_name

# --- What an answer cost in tokens: as the model says, else estimated, in every case.

NOTHING_LEFT = frozenset({"unreachable", "breaker_open", "too_many_connections"})
"""Codes of failures in which no connection was made, so that not one byte of the request has left."""


def estimate(texts: Iterable[str], characters: int) -> Usage:
    """Four characters a token, when the model did not say (a cut stream): booked, and marked as estimated.

    `texts`: of the question; `characters`: of the answer.
    """
    asked = sum(len(text) for text in texts)
    return Usage(-(-asked // CHARACTERS_A_TOKEN), -(-characters // CHARACTERS_A_TOKEN), estimated=True)


def added(first: Usage, second: Usage) -> Usage:
    """What two models counted for one answer."""
    return Usage(
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.estimated or second.estimated,
    )


# --- What is to be answered, in plain values: all that the models' side knows of an exchange.


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completed request with its decision and what may leave to whom."""

    id: str
    """The exchange's."""
    person: Person = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    """OpenAI's request as it was received."""
    messages: list[Message] = field(repr=False)
    """The completed conversation, for the model on the box alone."""
    decision: Decision
    outbounds: Mapping[str, Outbound]
    """What may leave, made safe, by the target's name."""
    kept_for: Mapping[str, str] = field(default_factory=dict)
    """Why a target gets nothing, by its name."""
    stream: bool = False
    may_wait: bool = False
    """It may be kept and sent later: who asked for one target would rather wait for it than have another's answer."""
    claim: str | None = field(default=None, repr=False)
    """Of a request that waited: the claim under which it may leave, once."""

    def question(self) -> Iterator[str]:
        """The texts of the conversation."""
        return (text_of(message.get("content")) for message in self.messages)


ENGINE_FIELDS = frozenset(
    {
        "__verbose", "cache_prompt", "id_slot", "lora", "n_cache_reuse", "n_cmpl", "n_discard", "n_keep", "n_predict",
        "response_fields", "return_progress", "return_tokens", "timings_per_token", "verbose",
    }
)  # fmt: skip
"""Fields of llama.cpp's own: they reach into its cache, its slots, its adapters and its bounds. No caller sets them."""
ROOM = 1.4
"""So many times what it is expected to take is left for who comes next: nine of ten answers are there by then."""
ASKED = "asked"
"""Rule of a decision that the caller made: who asks for an arm gets it, late or not, unless it fails."""
AGAIN_S = 2.0
"""After so many seconds asking again may help, where no model says anything else."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The arm that answers."""

    arm: str
    opened: Opened
    hedged: bool = False
    """Another was asked beside the first."""


class Asking:
    """One request on its way through the arms. Keeps the account of what left, and to whom, in `outcome`."""

    def __init__(
        self,
        request: GenerationRequest,
        outcome: Outcome,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        hedging: Hedging,
        until: float,
        choose: Callable[[Person], Choice],
        observe: Callable[[str, str], None],
    ) -> None:
        """`until`: when the answer has to be whole, in `time.monotonic()` seconds."""
        self.request, self.outcome, self.edge, self.remotes = request, outcome, edge, remotes
        self.hedging, self.until, self.choose, self.observe = hedging, until, choose, observe
        self.failed: dict[str, ModelError | ContextTooLong] = {}
        self.choice = NO_ADAPTER
        """The adapters of the edge's answer."""
        self._handed: dict[str, str] = {}

    async def first_word(self) -> Chosen:
        """Raises what the arms raised: one error that names them all where several failed; StoreError."""
        decision = self.request.decision
        waits = self.request.may_wait and decision.rule == ASKED
        arm, left = decision.name, [] if waits else list(decision.fallbacks)
        while True:
            left = [each for each in left if self._may_have(each)]
            if (chosen := await self._try(arm, left)) is not None:
                break
            left = [each for each in left if self._may_have(each)]
            if not left:
                raise self._nobody()
            arm = left.pop(0)
        self._tell_sent(chosen.arm)
        return chosen

    def carried_out(self, chosen: Chosen) -> Decision:
        """The decision as it was carried out."""
        decision, arm = self.request.decision, chosen.arm
        others = "; ".join(f"{display_name(other)} failed ({error.message})" for other, error in self.failed.items())
        if arm == decision.name:
            if not chosen.hedged:
                return decision
            reason = f"{decision.reason}; it was late, another was asked too and was later still"
            return replace(decision, rule=f"{decision.rule}+hedge", reason=reason)
        rule, reason = "fallback", f"{others}: {display_name(arm)} answers"
        if chosen.hedged and decision.name not in self.failed:
            rule = "hedge"
            reason = f"{display_name(decision.name)} was late: {display_name(arm)} was asked too, and began first"
        route = EDGE if arm == EDGE else "cloud"
        return replace(decision, route=route, arm=arm, rule=f"{decision.rule}+{rule}", reason=reason, fallbacks=())

    async def rest(self, given: Given) -> AsyncIterator[Chunk]:
        """The edge's words after `given`. Raises ModelError."""
        if not self.edge.health().ok:
            raise ModelUnavailable("the edge model is not ready to finish the answer")
        body = continuation(self._edge_body(), self.request.messages, given)
        outcome = "cancelled"
        try:
            answer = await self._open_edge(body, self.until)
            for chunk in answer.held:
                yield chunk
            try:
                while (more := await next_or_none(answer.rest, self.until)) is not None:
                    yield more
            finally:
                await close(answer.rest)
            outcome = "ok"
        except FAILS as error:
            outcome = error.code
            raise
        finally:
            self.observe(EDGE, outcome)

    async def _try(self, arm: str, left: list[str]) -> Chosen | None:
        """One arm, and beside it a second where the first is late. None: it failed, and those asked beside it."""
        until = self._patience(arm, left)
        rival, late_s = self._rival(arm, left)
        if rival is None or late_s is None:
            try:
                return Chosen(arm, await self._ask(arm, until))
            except FAILS as error:
                self._fails(arm, error)
                return None
        both = (arm, rival)
        end = await race(
            partial(self._ask, arm, until), partial(self._ask, rival, self.until), late_s, self.hedging.take
        )
        for place in sorted(end.errors):
            self._fails(both[place], end.errors[place])
        if end.started:
            left.remove(rival)
        if end.winner is None or end.opened is None:
            return None
        if end.started:
            self._came_second(both[1 - end.winner])
        return Chosen(both[end.winner], end.opened, end.started)

    def _rival(self, arm: str, left: list[str]) -> tuple[str | None, float | None]:
        request = self.request
        if not self.hedging.on or request.decision.rule == ASKED:
            return None, None
        self.hedging.seen()
        others = left if request.claim is None else [EDGE] if EDGE in left else []
        return self.hedging.rival(arm, others), self.hedging.late_s(arm, request.stream)

    def _patience(self, arm: str, left: list[str]) -> float:
        """Until when the first word of `arm` is waited for: whoever comes next needs time as well."""
        if not left:
            return self.until
        room, decision = max(0.0, self.until - time.monotonic()), self.request.decision
        expected = {one.arm: one.latency_s for one in decision.expected}
        needed = expected.get(left[0], 0.0)
        late = left[0] != EDGE and needed > room  # it would be late in any case: rather wait for this one
        until = self.until - (room / 4 if late else min(max(ROOM * needed, room / 2), room * 2 / 3))
        if decision.rule == TRIAL and arm == decision.name:  # no longer than a good link would need
            return min(until, self.until - room + expected.get(arm, room))
        return until

    async def _ask(self, arm: str, until: float) -> Opened:
        began = time.monotonic()
        if arm == EDGE:
            answer = await self._open_edge({**self._edge_body(), "messages": self.request.messages}, until)
        else:
            answer = await self._open_remote(arm, until)
        if self.hedging.on:
            self.hedging.began(arm, self.request.stream, time.monotonic() - began)
        return answer

    def _edge_body(self) -> dict[str, Any]:
        request = self.request
        body = {key: value for key, value in request.body.items() if key not in ENGINE_FIELDS}
        body.pop("user", None)
        if request.stream:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return body

    async def _open_edge(self, body: Mapping[str, Any], until: float) -> Opened:
        choice = self.choose(self.request.person)
        try:
            answer = await opened(self.edge.chat(body, adapters=choice.ids), until)
        except AdapterGone:  # it was unloaded in this very moment: what is there now?
            choice = self.choose(self.request.person)
            answer = await opened(self.edge.chat(body, adapters=choice.ids), until)
        self.choice = choice
        return answer

    def _may_have(self, arm: str) -> bool:
        """Whether there is something to ask it with. What waited leaves once: nobody else gets it after that."""
        gone = self.request.claim is not None and bool(self._handed)
        return arm == EDGE or (arm in self.remotes and arm in self.request.outbounds and not gone)

    async def _open_remote(self, arm: str, until: float) -> Opened:
        request = self.request
        if not self._may_have(arm):
            raise ModelUnavailable(f"nothing may leave, so {display_name(arm)} cannot answer")
        outbound = request.outbounds[arm]
        self._handed[arm] = hashlib.sha256(outbound.content).hexdigest()
        self._tell_sent(arm)
        try:
            sender = Sender(request.person, request.id, claim=request.claim)
            return await opened(self.remotes[arm].send(outbound, sender=sender), until)
        except StoreError:  # no receipt, so not one byte has left
            self._take_back(arm)
            raise
        except FAILS as error:
            if error.code in NOTHING_LEFT:
                self._take_back(arm)
            elif isinstance(error, ModelTimeout | BrokenStream):
                self._works_for_nothing(arm)
            self.outcome.refused |= isinstance(error, ModelRejected) and error.not_begun
            raise
        except asyncio.CancelledError:
            self._works_for_nothing(arm)
            raise

    def _came_second(self, arm: str) -> None:
        """It was asked beside another and is not needed."""
        if arm in self.failed:
            return
        self.observe(arm, "hedge_lost")
        if arm in self._handed and arm not in self.outcome.worked:
            self._works_for_nothing(arm)

    def _works_for_nothing(self, arm: str) -> None:
        """It was at work, and may send a bill for it; an answer of "no" costs nothing."""
        self.outcome.usage = self.outcome.worked[arm] = estimate(self.request.question(), 0)

    def _take_back(self, arm: str) -> None:
        del self._handed[arm]
        self._tell_sent(next(reversed(self._handed), ""))

    def _tell_sent(self, arm: str) -> None:
        """Write down what left: for `arm` where it got something, else for the last that did."""
        outcome = self.outcome
        outcome.sent_to = tuple(self._handed.items())
        told = arm if arm in self._handed else next(reversed(self._handed), None)
        outcome.sent = self.request.outbounds[told] if told is not None else None
        if told is not None:
            outcome.destination = self.remotes[told].destination

    def _fails(self, arm: str, error: ModelError | ContextTooLong) -> None:
        self.failed[arm] = error
        self.observe(arm, error.code)

    def _nobody(self) -> ModelError | ContextTooLong:
        """Why no arm answers. What is wrong with the request itself is told as the last model told it."""
        errors = list(self.failed.values())
        last = errors[-1]
        if isinstance(last, ContextTooLong | ModelRejected):
            return last
        broke = isinstance(last, ModelTimeout | BrokenStream)
        others = self._ruled_out()
        if len(errors) == 1 and (broke or not others):
            if isinstance(last, ModelUnavailable) and last.retry_after is None:
                last.retry_after = AGAIN_S
            return last
        again_s = min((error.retry_after for error in errors if error.retry_after is not None), default=AGAIN_S)
        kind = ModelTimeout if all(isinstance(error, ModelTimeout) for error in errors) else ModelUnavailable
        whys = {arm: error.message for arm, error in self.failed.items()} | others
        each = " ".join(f"{arm.capitalize()}: {why.rstrip('.')}." for arm, why in whys.items())
        return kind(f"nobody could answer. {each}", retry_after=again_s)

    def _ruled_out(self) -> dict[str, str]:
        """Why the arms that were not asked could not be, as the decision saw it."""
        whys = {one.arm: one.ruled_out for one in self.request.decision.expected if one.ruled_out is not None}
        return {arm: why for arm, why in {**self.request.kept_for, **whys}.items() if arm not in self.failed}
