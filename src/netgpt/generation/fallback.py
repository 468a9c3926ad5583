"""The targets of one request, asked in the order of the decision until one gives its first word.

`FallbackChain` asks them one after the other; `race` asks two side by side where `Hedging` finds the first one late.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from netgpt.adapters.residency import NO_ADAPTER, Choice
from netgpt.errors import (
    AdapterGone,
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelMisconfigured,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    StoreError,
)
from netgpt.generation.continuation import Given, continuation
from netgpt.judgement import TokenStats
from netgpt.models.base import Adapts, ChatModel, RemoteModel, TellsTokens
from netgpt.models.stream import close
from netgpt.outbound import Outbound, Outcome
from netgpt.routing.candidates import text_of
from netgpt.routing.router import TRIAL
from netgpt.routing.sessions import SESSION
from netgpt.settings.routing import Routing
from netgpt.settings.sections import Cloud
from netgpt.types import CHARACTERS_A_TOKEN, EDGE, Chunk, Decision, Message, Person, Sender, Usage, display_name

_REMEMBERED = 128
_ENOUGH = 20  # with fewer first words nobody knows what is late
_BURST = 5.0  # so many hedges may be saved up while nothing was late


class Hedging:
    """Hedged requests: when the first word is late a second model is asked too, and the first to begin answers.

    After Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): the second request goes out after the 95th
    percentile of the usual wait, and a budget bounds them where all are late. One event loop only: there is no lock.
    """

    def __init__(self, rules: Routing, remotes: Mapping[str, Cloud]) -> None:
        """`remotes`: the settings of every model elsewhere, by its target's name: what they cost."""
        self._rules, self._remotes = rules, remotes
        self._waits: dict[tuple[str, bool], deque[float]] = {}
        self._may = 1.0
        self.hedged = 0  # how many requests were sent twice

    @property
    def on(self) -> bool:
        return self._rules.hedge != "off"

    def began(self, target: str, stream: bool, wait_s: float) -> None:
        """`target` gave its first word after `wait_s` seconds; without streaming, its whole answer."""
        self._waits.setdefault((target, stream), deque(maxlen=_REMEMBERED)).append(wait_s)

    def late_s(self, target: str, stream: bool) -> float | None:
        """Seconds after which the first word of `target` is late; None: not known yet."""
        if self._rules.hedge_after_s:
            return self._rules.hedge_after_s
        waits = self._waits.get((target, stream), ())
        if len(waits) < _ENOUGH:
            return None
        return sorted(waits)[int(0.95 * (len(waits) - 1))]

    def rival(self, target: str, others: Sequence[str]) -> str | None:
        """Which of `others` (those that may have the request) is asked too: the edge, where nothing leaves and nothing
        is paid; else the cheapest, if the settings allow it. None: nobody."""
        if EDGE in others:
            return EDGE
        if self._rules.hedge != "any" or not others:
            return None
        return min(others, key=self._price)

    def seen(self) -> None:
        """A request that might be hedged: each adds its share to the budget."""
        self._may = min(_BURST, self._may + self._rules.hedge_share)

    def take(self) -> bool:
        """Whether the budget allows one more; then it counts."""
        if self._may < 1.0:
            return False
        self._may -= 1.0
        self.hedged += 1
        return True

    def _price(self, target: str) -> float:
        remote = self._remotes.get(target)
        return remote.price_prompt + remote.price_completion if remote is not None else 0.0


TOO_LATE = "deadline_exceeded"  # code of the error of an answer that took longer than its caller or the settings allow
_MOST_HELD = 8  # chunks without a word that are waited through: a server may send its role, then signs of life


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun."""

    held: list[Chunk]  # its chunks up to the first that says something
    rest: AsyncIterator[Chunk]


async def opened(chunks: AsyncIterator[Chunk], until: float) -> Opened:
    """Wait for the first word, until `until` (`time.monotonic()`). A call that gives none is closed.

    Raises ModelError and its children: then nothing of the answer was handed on.
    """
    held: list[Chunk] = []
    try:
        while len(held) < _MOST_HELD:
            chunk = await next_or_none(chunks, until)
            if chunk is None:
                break
            held.append(chunk)
            if _says_something(chunk):
                break
        if not held:
            raise ModelUnavailable("the model closed its answer before the first word")
        return Opened(held, chunks)
    except BaseException:
        await close(chunks)
        raise


async def next_or_none(chunks: AsyncIterator[Chunk], until: float) -> Chunk | None:
    """The next chunk, None at the end. Raises ModelTimeout past `until`, also where the caller took the time."""
    left = until - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await anext(chunks, None)
    except TimeoutError:
        text = "the answer took longer than the request's deadline_s or server.deadline_s allows"
        raise ModelTimeout(text, code=TOO_LATE) from None


def _says_something(chunk: Chunk) -> bool:
    return any(choice.get("finish_reason") or _has_words(choice.get("delta") or {}) for choice in chunk["choices"])


def _has_words(delta: Mapping[str, Any]) -> bool:
    return any(value for name, value in delta.items() if name != "role")


Ask = Callable[[], Awaitable[Opened]]
FAILS = (ModelError, ContextTooLong)  # what may let another model answer
NEVER, TRANSIENT = "never", "transient"  # of `routing.fallback`
_TOO_MANY = 429


def passes(error: Exception) -> bool:
    """Whether a failure is one of the moment: not the caller's mistake, nor one in the owner's settings."""
    if isinstance(error, ModelRejected):
        return error.status == _TOO_MANY
    return not isinstance(error, ContextTooLong)


def may_follow(left: Sequence[str], failed: Mapping[str, Exception]) -> list[str]:
    """Which of the targets `left` may still answer after those failures.

    What a model elsewhere refused for good never becomes the words of the box: a mistake of the caller goes back to
    the caller, and where the owner has to mend something, or the text is too long, only another model elsewhere may do.
    The box's own refusals bar nobody: its engine has narrower bounds than others.
    """
    lasting = [error for target, error in failed.items() if target != EDGE and not passes(error)]
    if any(isinstance(error, ModelRejected) and not isinstance(error, ModelMisconfigured) for error in lasting):
        return []
    return [target for target in left if target != EDGE] if lasting else list(left)


@dataclass(frozen=True, slots=True)
class Race:
    """How a race ended."""

    winner: int | None  # 0: the first asked; 1: the second; None: both failed
    opened: Opened | None
    errors: dict[int, ModelError | ContextTooLong]
    started: bool  # whether the second was asked at all


async def race(
    first: Ask,
    second: Ask,
    late_s: float,
    may_start: Callable[[], bool],
    settles: Callable[[Exception], bool] = lambda _error: False,
) -> Race:
    """Ask `first`; where it gave no word within `late_s` seconds and `may_start` agrees, ask `second` too. The first to
    begin wins, the other is cancelled.

    A first that fails before that is not raced: the caller decides who is next; one that fails later with what
    `settles` it ends the race without a winner. Raises unforeseen errors (a receipt
    that cannot be written) after both were ended.
    """
    tasks = [asyncio.ensure_future(first())]
    errors: dict[int, ModelError | ContextTooLong] = {}
    won: asyncio.Task[Opened] | None = None
    try:
        done, _ = await asyncio.wait(tasks, timeout=late_s)
        if not done and may_start():
            tasks.append(asyncio.ensure_future(second()))
        waiting = set(tasks)
        while waiting and won is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=tasks.index):
                error = task.exception()
                if error is None:
                    won = won or task
                elif isinstance(error, FAILS):
                    errors[tasks.index(task)] = error
                    if task is tasks[0] and settles(error):
                        return Race(None, None, errors, len(tasks) > 1)
                else:
                    won = None  # it is closed with the others
                    raise error
        winner = tasks.index(won) if won is not None else None
        return Race(winner, won.result() if won is not None else None, errors, len(tasks) > 1)
    finally:
        await _end(tasks, won)


async def _end(tasks: list[asyncio.Task[Opened]], won: asyncio.Task[Opened] | None) -> None:
    """Cancel what is under way and close what had begun; the winner too where the caller leaves at this moment."""
    others = [task for task in tasks if task is not won]
    for task in others:
        task.cancel()
    try:
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, Opened):
                await close(outcome.rest)
    except asyncio.CancelledError:
        if won is not None:
            await close(won.result().rest)
        raise


NOTHING_LEFT = frozenset({"unreachable", "breaker_open", "too_many_connections"})
"""Codes of failures in which no connection was made, so that not one byte of the request has left."""


def estimate(texts: Iterable[str], characters: int) -> Usage:
    """Four characters a token, where the model did not say (a cut stream); marked as estimated.

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
        first.cached_tokens + second.cached_tokens,
    )


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completed request with its decision and what may leave to whom: all that generation knows of an exchange."""

    id: str  # the exchange's
    person: Person = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)  # OpenAI's request as it was received
    messages: list[Message] = field(repr=False)  # the completed conversation, for the model on the box alone
    decision: Decision
    outbounds: Mapping[str, Outbound]  # what may leave, made safe, by the target's name
    kept_for: Mapping[str, str] = field(default_factory=dict)  # why a target gets nothing, by its name
    stream: bool = False
    fallback: str = TRANSIENT
    """After which failures another target may answer: "never", "transient", "always"."""
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
"""Fields of llama.cpp's own that touch its cache, slots, adapters and bounds. No caller sets them."""
ROOM = 1.4
"""So many times what it is expected to take is left for who comes next: nine of ten answers are there by then."""
CASCADE = "cascade"  # added to the rule of a decision for the box that another answers after all
ASKED = "asked"  # rule of a decision that the caller made: who asks for a target gets it, late or not, unless it fails
AGAIN_S = 2.0  # after so many seconds asking again may help, where no model says anything else


@dataclass(frozen=True, slots=True)
class Chosen:
    """The target that answers."""

    target: str
    opened: Opened
    hedged: bool = False  # another was asked beside the first
    instead: bool = False  # of the box, which had begun and was not sure of its words


class FallbackChain:
    """One request on its way through the targets. `outcome` keeps what left, and to whom."""

    def __init__(
        self,
        request: GenerationRequest,
        outcome: Outcome,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        hedging: Hedging,
        until: float,
        choose: Callable[[Person], Choice],
        on_model_call: Callable[[str, str], None],
        judged: bool = False,
        able: Callable[[str], bool] = lambda _target: True,
    ) -> None:
        """`until`: when the answer has to be whole, in `time.monotonic()` seconds. `judged`: the box's answer comes as
        a stream, whatever the caller asked for, and `stats` gets what its model tells of its tokens. `able`: whether a
        target may stand in for another that failed."""
        self.request, self.outcome, self.edge, self.remotes = request, outcome, edge, remotes
        self.hedging, self.until, self.choose, self.on_model_call = hedging, until, choose, on_model_call
        self.judged, self.able = judged, able
        self.stats: TokenStats | None = None  # of the box's answer that was begun last; None: its model tells none
        self.failed: dict[str, ModelError | ContextTooLong] = {}
        self.choice = NO_ADAPTER  # the adapters of the edge's answer
        self._handed: dict[str, str] = {}
        self._refused: list[tuple[str, str]] = []  # bodies that were put otherwise and sent again
        self._sent: dict[str, Outbound] = {}

    async def first_word(self) -> Chosen:
        """Raises what the targets raised (one error that names them all where several failed), or StoreError."""
        decision = self.request.decision
        alone = self.request.fallback == NEVER or (self.request.may_wait and decision.rule == ASKED)
        target, left = decision.name, [] if alone else list(decision.fallbacks)
        while True:
            left = [each for each in left if self._may_have(each)]
            if (chosen := await self._try(target, left)) is not None:
                break
            left = self._may_follow([each for each in left if self._may_have(each)])
            if not left:
                raise self._nobody()
            target = left.pop(0)
        self._note_sent(chosen.target)
        return chosen

    def carried_out(self, chosen: Chosen) -> Decision:
        """The decision as it was carried out."""
        decision, target = self.request.decision, chosen.target
        if chosen.instead:
            reason = f"{decision.reason}; the box began and was not sure of it, so {display_name(target)} answers"
            return replace(
                decision, route="cloud", target=target, rule=f"{decision.rule}+{CASCADE}", reason=reason, fallbacks=()
            )
        others = "; ".join(f"{display_name(other)} failed ({error.message})" for other, error in self.failed.items())
        if target == decision.name:
            if not chosen.hedged:
                return decision if not others else replace(decision, reason=f"{decision.reason}; {others}")
            reason = f"{decision.reason}; it was late, another was asked too and was later still"
            return replace(decision, rule=f"{decision.rule}+hedge", reason=reason)
        rule, reason = "fallback", f"{others}: {display_name(target)} answers"
        if chosen.hedged and decision.name not in self.failed:
            rule = "hedge"
            reason = f"{display_name(decision.name)} was late: {display_name(target)} was asked too, and began first"
        route = EDGE if target == EDGE else "cloud"
        return replace(
            decision, route=route, target=target, rule=f"{decision.rule}+{rule}", reason=reason, fallbacks=()
        )

    async def instead(self, targets: Sequence[str]) -> Chosen | None:
        """Ask the targets in the place of the box, whose answer is kept meanwhile. None: none of them gave a word."""
        for target in targets:
            try:
                answer = await self._ask(target, self._patience(target, [EDGE]))
            except FAILS as error:
                self.fails(target, error)
                continue
            self._note_sent(target)
            return Chosen(target, answer, instead=True)
        return None

    async def again(self, messages: list[Message], until: float) -> Opened:
        """The box's answer to these messages. Raises ModelError, ContextTooLong."""
        return await self._open_edge({**self._edge_body(), "messages": messages}, until)

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
            self.on_model_call(EDGE, outcome)

    async def _try(self, target: str, left: list[str]) -> Chosen | None:
        """Ask one target, and a second beside it where the first is late. None: all that were asked failed."""
        until = self._patience(target, left)
        rival, late_s = self._rival(target, left)
        if rival is None or late_s is None:
            try:
                return Chosen(target, await self._ask(target, until))
            except FAILS as error:
                self.fails(target, error)
                return None
        both = (target, rival)
        end = await race(
            partial(self._ask, target, until), partial(self._ask, rival, self.until), late_s, self.hedging.take,
            lambda error: not self._may_follow([rival], {target: error}),
        )  # fmt: skip
        for place in sorted(end.errors):
            self.fails(both[place], end.errors[place])
        if end.started:
            left.remove(rival)
        if end.winner is None or end.opened is None:
            if end.started and 1 not in end.errors:
                self._came_second(rival)
            return None
        if end.started:
            self._came_second(both[1 - end.winner])
        return Chosen(both[end.winner], end.opened, end.started)

    def _rival(self, target: str, left: list[str]) -> tuple[str | None, float | None]:
        request = self.request
        if not self.hedging.on or request.fallback == NEVER or request.decision.rule in (ASKED, SESSION):
            return None, None
        self.hedging.seen()
        others = left if request.claim is None else [EDGE] if EDGE in left else []
        return self.hedging.rival(target, others), self.hedging.late_s(target, request.stream)

    def _patience(self, target: str, left: list[str]) -> float:
        """Until when the first word of `target` is waited for: its fallbacks need time as well."""
        if not left:
            return self.until
        room, decision = max(0.0, self.until - time.monotonic()), self.request.decision
        expected = {one.target: one.latency_s for one in decision.expected}
        needed = expected.get(left[0], 0.0)
        late = left[0] != EDGE and needed > room  # the next would be late in any case: rather wait for this one
        until = self.until - (room / 4 if late else min(max(ROOM * needed, room / 2), room * 2 / 3))
        if decision.rule == TRIAL and target == decision.name:  # no longer than a good link would need
            return min(until, self.until - room + expected.get(target, room))
        return until

    async def _ask(self, target: str, until: float) -> Opened:
        began = time.monotonic()
        if target == EDGE:
            answer = await self.again(self.request.messages, until)
        else:
            answer = await self._open_remote(target, until)
        if self.hedging.on:
            self.hedging.began(target, self.request.stream, time.monotonic() - began)
        return answer

    def _edge_body(self) -> dict[str, Any]:
        request = self.request
        body = {key: value for key, value in request.body.items() if key not in ENGINE_FIELDS}
        body.pop("user", None)
        if self.judged:
            body["stream"] = True
        if body.get("stream"):
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return body

    async def _open_edge(self, body: Mapping[str, Any], until: float) -> Opened:
        choice = self.choose(self.request.person)
        try:
            answer = await opened(self._of_edge(body, choice), until)
        except AdapterGone:  # it was unloaded at this moment
            choice = self.choose(self.request.person)
            answer = await opened(self._of_edge(body, choice), until)
        self.choice = choice
        return answer

    def _of_edge(self, body: Mapping[str, Any], choice: Choice) -> AsyncIterator[Chunk]:
        tools = body.get("tools") or body.get("functions")  # llama.cpp tells nothing where there are any
        if not self.judged or tools or not isinstance(self.edge, TellsTokens):
            return self.edge.chat(body, adapters=choice.ids)
        self.stats = TokenStats()
        return self.edge.chat(body, adapters=choice.ids, stats=self.stats)

    def _may_have(self, target: str) -> bool:
        """Whether the target may be asked. A request that waited leaves once: nobody else gets it after that."""
        gone = self.request.claim is not None and bool(self._handed)
        return target == EDGE or (target in self.remotes and target in self.request.outbounds and not gone)

    async def _open_remote(self, target: str, until: float) -> Opened:
        request = self.request
        if not self._may_have(target):
            raise ModelUnavailable(f"nothing may leave, so {display_name(target)} cannot answer")
        remote, outbound = self.remotes[target], request.outbounds[target]
        sender = Sender(request.person, request.id, claim=request.claim)
        try:
            if isinstance(remote, Adapts):
                return await opened(remote.send(outbound, sender=sender, leaves=partial(self._leaves, target)), until)
            self._leaves(target, outbound)
            return await opened(remote.send(outbound, sender=sender), until)
        except StoreError:  # no receipt, so not one byte has left
            self._take_back(target)
            raise
        except FAILS as error:
            if error.code in NOTHING_LEFT:
                self._take_back(target)
            elif isinstance(error, ModelTimeout | BrokenStream):
                self._book_estimate(target)
            self.outcome.refused |= isinstance(error, ModelRejected) and error.not_begun
            raise
        except asyncio.CancelledError:
            self._book_estimate(target)
            raise

    def _leaves(self, target: str, outbound: Outbound) -> None:
        """This body is about to be posted to the target; one that it refused before is kept in the account."""
        if target in self._handed:
            self._refused.append((target, self._handed[target]))
        self._sent[target] = outbound
        self._handed[target] = hashlib.sha256(outbound.content).hexdigest()
        self._note_sent(target)

    def _came_second(self, target: str) -> None:
        """It was asked beside another and is not needed."""
        if target in self.failed:
            return
        self.on_model_call(target, "hedge_lost")
        if target in self._handed and target not in self.outcome.worked:
            self._book_estimate(target)

    def _book_estimate(self, target: str) -> None:
        """It was at work without an answer, and may bill for it; a refusal costs nothing."""
        self.outcome.usage = self.outcome.worked[target] = estimate(self.request.question(), 0)

    def _take_back(self, target: str) -> None:
        self._handed.pop(target, None)
        self._note_sent(next(reversed(self._handed), ""))

    def _note_sent(self, target: str) -> None:
        """Write down what left: for `target` where it got something, else for the last that did."""
        outcome = self.outcome
        outcome.sent_to = (*self._refused, *self._handed.items())
        receiver = target if target in self._handed else next(reversed(self._handed), None)
        outcome.sent = self._sent[receiver] if receiver is not None else None
        if receiver is not None:
            outcome.destination = self.remotes[receiver].destination

    def fails(self, target: str, error: ModelError | ContextTooLong) -> None:
        """Note that this target gives no answer."""
        self.failed[target] = error
        self.on_model_call(target, error.code)

    def _may_follow(self, left: list[str], failed: Mapping[str, Exception] | None = None) -> list[str]:
        if self.request.fallback != TRANSIENT:
            return left
        may = may_follow(left, {**self.failed, **(failed or {})})
        able = [each for each in may if self.able(each)]
        if len(able) < len(left) and failed is None:
            others = " and ".join(map(display_name, (each for each in left if each not in able)))
            why = "the refusal does not pass" if len(may) < len(left) else "not measured to call tools or keep a schema"
            self.outcome.fallback += f"; not asked in its place: {others} ({why})"
        return able

    def _nobody(self) -> ModelError | ContextTooLong:
        """Why no target answers. An error of the request itself is passed on as the last model gave it."""
        errors = list(self.failed.values())
        last = errors[-1]
        owners = next((error for error in errors if isinstance(error, ModelMisconfigured)), None)
        if owners is not None and len(errors) > 1 and not isinstance(last, ContextTooLong):
            each = " ".join(
                f"{target.capitalize()}: {error.message.rstrip('.')}." for target, error in self.failed.items()
            )
            return ModelMisconfigured(f"nobody could answer. {each}", kind=owners.kind, fault=owners.fault)
        others = self._ruled_out()
        if isinstance(last, ContextTooLong) and others and self.request.decision.rule != ASKED:
            also = "".join(
                f" {display_name(target).capitalize()}: {why.rstrip('.')}." for target, why in others.items()
            )
            return ContextTooLong(f"{last.message}.{also}", param=last.param, status=last.status)
        if isinstance(last, ContextTooLong | ModelRejected):
            return last
        broke = isinstance(last, ModelTimeout | BrokenStream)
        if len(errors) == 1 and (broke or not others or self.request.fallback == NEVER):
            if (
                isinstance(last, ModelUnavailable)
                and last.retry_after is None
                and last.status == ModelUnavailable.status
            ):
                last.retry_after = AGAIN_S
            return last
        again_s = min((error.retry_after for error in errors if error.retry_after is not None), default=AGAIN_S)
        kind = ModelTimeout if all(isinstance(error, ModelTimeout) for error in errors) else ModelUnavailable
        whys = {target: error.message for target, error in self.failed.items()} | others
        each = " ".join(f"{target.capitalize()}: {why.rstrip('.')}." for target, why in whys.items())
        return kind(f"nobody could answer. {each}", retry_after=again_s)

    def _ruled_out(self) -> dict[str, str]:
        """Why the other targets could not be asked, as the decision saw it."""
        whys = {one.target: one.ruled_out for one in self.request.decision.expected if one.ruled_out is not None}
        return {target: why for target, why in {**self.request.kept_for, **whys}.items() if target not in self.failed}
