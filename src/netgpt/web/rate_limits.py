"""Rate limits and budgets of keys: requests and tokens by the minute, tokens and money by the day and the month.

Minutes are token buckets in this process's memory. Days and months are what the database has booked (by every process),
read again when older than `_READ_AGAIN_S`, plus what ended here since. What is being answered counts by an estimate
until its end, so a crowd of requests cannot overrun a budget together. Where several processes answer, all of this is
in the database, and asked there (`SharedCount`): nothing is older than the transaction that counts the request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from netgpt.errors import RateLimited, StoreError
from netgpt.exchange import Exchange
from netgpt.settings.sections import Cloud
from netgpt.stages.record import cost_of, cost_of_all
from netgpt.store.schema import KeyLimits, KeyUse
from netgpt.store.sharing import AnswerHold, KeyState, SharedLimits
from netgpt.types import CHARACTERS_A_TOKEN, Caller, Usage

log = logging.getLogger(__name__)

_SETTLES_S: Final = 0.02
_SETTLES_AFTER: Final = 3
"""So often, after so long, a refusal is asked again that an answer which just ended may have caused."""
_READ_AGAIN_S: Final = 2.0
"""Seconds: other processes' use is seen this late at most."""
_KEYS: Final = 10_000
"""Keys with limits that are remembered; a forgotten one starts with full minutes."""
_ANSWER_TOKENS: Final = 256
"""Estimate of an answer whose request names no bound."""
_MOST_TOKENS: Final = 100_000
"""No answer is taken to be longer, whatever its request allows."""

Headers = list[tuple[bytes, bytes]]
ReadUse = Callable[[str, datetime], Awaitable[KeyUse]]


class Bucket:
    """`limit` a minute: full at first, refilled evenly. May go below zero, for what is known only afterwards."""

    __slots__ = ("at", "level", "limit")

    def __init__(self, limit: int, now: float) -> None:
        self.limit, self.level, self.at = limit, float(limit), now

    def refill(self, now: float) -> None:
        self.level = min(self.limit, self.level + (now - self.at) * self.limit / 60)
        self.at = now

    def wait_s(self, wanted: float) -> float:
        """Seconds until `wanted` is there; 0 when it is."""
        return max(0.0, (wanted - self.level) * 60 / self.limit)

    def reset_s(self) -> float:
        """Seconds until it is full."""
        return self.wait_s(self.limit)


class _State:
    """What is known of one key."""

    def __init__(self, limits: KeyLimits, now: float) -> None:
        self.limits = limits
        self.requests = Bucket(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self.tokens = Bucket(limits.tokens_per_minute, now) if limits.tokens_per_minute else None
        self.has_budget = any((limits.tokens_per_day, limits.cost_per_day, limits.cost_per_month))
        self.use = KeyUse()
        """As last read from the database."""
        self.read_at = -math.inf
        self.reading: asyncio.Task[None] | None = None
        self.ended_tokens, self.ended_cost = 0, 0.0
        """What ended here since the last reading began: it may not be in that reading."""
        self.held_tokens, self.held_cost = 0, 0.0

    def take(self, known: KeyState, now: float) -> None:
        """What all processes know of the key at this moment stands for what this one knew."""
        self.use, self.held_tokens, self.held_cost = known.use, known.held_tokens, known.held_cost
        for bucket, left in ((self.requests, known.requests_left), (self.tokens, known.tokens_left)):
            if bucket is not None:
                bucket.level, bucket.at = left, now


@dataclass(slots=True)
class Hold:
    """The estimate of one answer under way. `release` it at the end; twice does no harm."""

    state: _State | None
    tokens: int
    cost: float
    money_left: float | None = None
    """What the key could still spend before this; None: as much as it likes."""
    settle: Callable[[], None] | None = None
    """Where it is counted elsewhere: drops it there."""

    def release(self) -> None:
        state, self.state = self.state, None
        if state is None:
            return
        if self.settle is not None:
            self.settle()
        else:
            state.held_tokens -= self.tokens
            state.held_cost -= self.cost


class SharedCount:
    """Limits that are counted in the database, for all workers. Writes that no request waits for go together."""

    def __init__(self, limits: SharedLimits, owner: str, longest_s: float) -> None:
        """`owner`: this worker; `longest_s`: no answer takes longer."""
        self._limits, self._owner, self._longest_s = limits, owner, longest_s
        self._ended: list[str] = []
        self._used: Counter[str] = Counter()
        self._writing: asyncio.Task[None] | None = None

    async def admit(self, key_id: str, state: _State, now: float) -> None:
        """Raises RateLimited, StoreError."""
        known = await self._decided(
            lambda decide: self._limits.admit(key_id, state.limits, datetime.now(UTC), decide), state, now
        )
        state.take(known, now)
        if state.requests is not None:
            state.requests.level -= 1

    async def hold(self, key_id: str, state: _State, tokens: int, cost: float, now: float) -> str:
        """Raises RateLimited, StoreError."""
        mine = AnswerHold(secrets.token_hex(12), key_id, self._owner, tokens, cost)
        known = await self._decided(
            lambda decide: self._limits.hold(mine, state.limits, self._longest_s, datetime.now(UTC), decide),
            state, now, minute=False,
        )  # fmt: skip
        state.take(known, now)
        return mine.id

    async def _decided(
        self, ask: Callable[[Callable[[KeyState], None]], Awaitable[KeyState]], state: _State, now: float,
        *, minute: bool = True,
    ) -> KeyState:  # fmt: skip
        """Ask; again for a moment, where only an estimate stands in the way: its answer may just have ended."""
        tries = 0
        while True:
            held = 0

            def decide(known: KeyState) -> None:  # within the transaction, in the store's thread: of a copy
                nonlocal held
                held, copy = known.held_tokens, _State(state.limits, now)
                copy.take(known, now)
                _check_day(copy, datetime.now(UTC))
                if minute:
                    _check_minute(copy)

            try:
                return await ask(decide)
            except RateLimited:
                tries += 1
                if not held or tries > _SETTLES_AFTER:
                    raise
            await asyncio.sleep(_SETTLES_S)

    def settle(self, key_id: str, hold: str | None = None, tokens: int = 0) -> None:
        """Drop a hold, and count tokens that were used; soon."""
        if hold is not None:
            self._ended.append(hold)
        if tokens:
            self._used[key_id] += tokens
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while self._ended or self._used:
            ended, used = self._ended, dict(self._used)
            self._ended, self._used = [], Counter()
            try:
                await self._limits.settle(ended, used)
            except StoreError as error:  # a hold ends by itself when its time is over
                log.error("limits: what was used could not be counted: %s", error.message)


class Limiter:
    """Admits requests by the limits of their key. One a process; not for more than one event loop at a time."""

    def __init__(
        self,
        read_use: ReadUse,
        remotes: Mapping[str, Cloud],
        clock: Callable[[], float] = time.monotonic,
        counted: SharedCount | None = None,
    ) -> None:
        """`counted`: where several processes answer."""
        self._read_use, self._remotes, self._clock, self._counted = read_use, remotes, clock, counted
        self._states: OrderedDict[str, _State] = OrderedDict()

    async def admit(self, key_id: str, limits: KeyLimits) -> None:
        """Count one request.

        Raises RateLimited (a minute's or a day's tokens, a minute's requests). Who has no money left is admitted: what
        costs nothing may answer, see `money_left` and `spent`.
        """
        state, now = self._state(key_id, limits), self._clock()
        if self._counted is not None:
            await self._counted.admit(key_id, state, now)
            return
        if state.has_budget:
            if now - state.read_at > _READ_AGAIN_S:
                await self._fresh(key_id, state)
            _check_day(state, datetime.now(UTC))
        for bucket in (state.requests, state.tokens):
            if bucket is not None:
                bucket.refill(now)
        _check_minute(state)
        if state.requests is not None:
            state.requests.level -= 1

    def money_left(self, key_id: str) -> float | None:
        """What a key may still spend today and this month, less what is being spent; None: as much as it likes."""
        state = self._states.get(key_id)
        if state is None or not state.has_budget:
            return None
        use, spent = _today(state.use, datetime.now(UTC)), state.ended_cost + state.held_cost
        limits = state.limits
        day = limits.cost_per_day and limits.cost_per_day - use.cost - spent
        month = limits.cost_per_month and limits.cost_per_month - use.cost_month - spent
        return min((left for left in (day, month) if left is not None), default=None)

    def spent(self, key_id: str | None) -> RateLimited | None:
        """What a key is told that no model without a price can answer; None: it has money left, or no such limit."""
        state, now = self._states.get(key_id or ""), datetime.now(UTC)
        if state is None:
            return None
        limits, use, cost = state.limits, _today(state.use, now), state.ended_cost + state.held_cost
        if limits.cost_per_day and use.cost + cost >= limits.cost_per_day:
            return _spent(f"{limits.cost_per_day:g} a day", _tomorrow(now) - now)
        if limits.cost_per_month and use.cost_month + cost >= limits.cost_per_month:
            next_month = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
            return _spent(f"{limits.cost_per_month:g} a month", next_month - now)
        return None

    def headers(self, key_id: str) -> Headers:
        """What a key has left, as OpenAI's `x-ratelimit-*`."""
        state = self._states.get(key_id)
        return _headers(state) if state is not None else []

    async def hold(self, key_id: str | None, chars: int, body: Mapping[str, Any]) -> Hold | None:
        """Count the estimate of an answer to `body` (`chars` long) until it ends; None for a key without limits.

        Raises RateLimited: a crowd was admitted together, and those before this one hold what there is."""
        state = self._states.get(key_id) if key_id is not None else None
        if state is None or key_id is None:
            return None
        answer = body.get("max_completion_tokens") or body.get("max_tokens") or _ANSWER_TOKENS
        guess = Usage(chars // CHARACTERS_A_TOKEN, min(answer, _MOST_TOKENS) * (body.get("n") or 1))
        tokens, cost = guess.total_tokens, self._dearest(guess)
        if self._counted is not None:
            id = await self._counted.hold(key_id, state, tokens, cost, self._clock())
            settle = partial(self._counted.settle, key_id, id)
            return Hold(state, tokens, cost, self.money_left(key_id), settle)
        if state.has_budget:  # a crowd was admitted together: the later ones of it find the others' holds here
            _check_day(state, datetime.now(UTC))
        hold = Hold(state, tokens, cost, self.money_left(key_id))
        state.held_tokens += hold.tokens
        state.held_cost += hold.cost
        return hold

    def _dearest(self, guess: Usage) -> float:
        """Money for an answer whose target is not decided yet: as if by the dearest, so that no budget is overdrawn."""
        return max((cost_of(guess, remote) for remote in self._remotes.values()), default=0.0)

    def exchange_ended(self, exchange: Exchange) -> None:
        """Count what an exchange really used. The database has booked it with the exchange itself."""
        outcome = exchange.get("outcome")
        tokens = outcome.usage.total_tokens if outcome and outcome.usage else 0
        self.used(exchange.caller, tokens, cost_of_all(outcome.worked, self._remotes) if outcome else 0.0)

    def used(self, caller: Caller, tokens: int, cost: float = 0.0) -> None:
        """Count tokens and money that `caller` has used."""
        state = self._states.get(caller.key_id) if caller.key_id is not None else None
        if state is None or caller.key_id is None:
            return
        if self._counted is not None:  # days and months are booked with the exchange
            if state.tokens is not None:
                self._counted.settle(caller.key_id, tokens=tokens)
            return
        if state.tokens is not None:
            state.tokens.refill(self._clock())
            state.tokens.level -= tokens
        state.ended_tokens += tokens
        state.ended_cost += cost

    def _state(self, key_id: str, limits: KeyLimits) -> _State:
        state = self._states.get(key_id)
        if state is None or state.limits != limits:  # new here, or changed by `netgpt keys limits`
            state = self._states[key_id] = _State(limits, self._clock())
            while len(self._states) > _KEYS:
                self._states.popitem(last=False)
        self._states.move_to_end(key_id)
        return state

    async def _fresh(self, key_id: str, state: _State) -> None:
        """Read once for all who ask meanwhile. Raises StoreError."""
        if state.reading is None:
            state.reading = asyncio.ensure_future(self._read(key_id, state))
        await asyncio.shield(state.reading)

    async def _read(self, key_id: str, state: _State) -> None:
        tokens, cost, now = state.ended_tokens, state.ended_cost, self._clock()
        try:
            state.use = await self._read_use(key_id, datetime.now(UTC))
        finally:
            state.reading = None
        state.read_at = now
        # An exchange is counted here after its row is committed: what was counted before the reading is in it.
        state.ended_tokens -= tokens
        state.ended_cost -= cost


def _check_minute(state: _State) -> None:
    limits = state.limits
    if state.requests is not None and (wait_s := state.requests.wait_s(1)):
        raise _refused(f"{limits.requests_per_minute} requests a minute", wait_s)
    if state.tokens is not None and (wait_s := state.tokens.wait_s(1 + state.held_tokens)):
        raise _refused(f"{limits.tokens_per_minute} tokens a minute", wait_s)


def _check_day(state: _State, now: datetime) -> None:
    limits, use = state.limits, _today(state.use, now)
    tokens = state.ended_tokens + state.held_tokens
    if limits.tokens_per_day and use.tokens + tokens >= limits.tokens_per_day:
        raise _refused(f"{limits.tokens_per_day} tokens a day", (_tomorrow(now) - now).total_seconds())


def _tomorrow(now: datetime) -> datetime:
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)


def _today(use: KeyUse, now: datetime) -> KeyUse:
    """What was used on this day and in its month: what was read before midnight is yesterday's."""
    if use.day == now.date().isoformat():
        return use
    same_month = use.day[:7] == now.date().isoformat()[:7]
    return KeyUse(cost_month=use.cost_month if same_month else 0.0)


def _refused(limit: str, wait_s: float) -> RateLimited:
    return RateLimited(f"this key may use {limit}; try again in {_duration(wait_s)}", retry_after=wait_s)


def _spent(limit: str, wait: timedelta) -> RateLimited:
    wait_s = wait.total_seconds()
    text = f"the money of this key is spent ({limit}); it may go on in {_duration(wait_s)}"
    return RateLimited(text, code="insufficient_quota", retry_after=wait_s)


def _headers(state: _State) -> Headers:
    """Tokens are the minute's, or the day's where only the day has a limit."""
    headers: Headers = []
    if (requests := state.requests) is not None:
        headers += _header_set(b"requests", requests.limit, requests.level, requests.reset_s())
    if (tokens := state.tokens) is not None:
        headers += _header_set(b"tokens", tokens.limit, tokens.level - state.held_tokens, tokens.reset_s())
    elif (limit := state.limits.tokens_per_day) is not None:
        now = datetime.now(UTC)
        left = limit - _today(state.use, now).tokens - state.ended_tokens - state.held_tokens
        headers += _header_set(b"tokens", limit, left, 86_400 - (now.hour * 3600 + now.minute * 60 + now.second))
    return headers


def _header_set(what: bytes, limit: int, left: float, reset_s: float) -> Headers:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % max(0, math.floor(left))),
        (b"x-ratelimit-reset-" + what, _duration(reset_s).encode()),
    ]


def _duration(seconds: float) -> str:
    """As OpenAI writes it: 120ms, 1.5s, 6m0s, 1h2m3s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
