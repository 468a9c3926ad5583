"""Store and forward: requests that may wait are kept when nobody can answer, and sent once when somebody can.

Sending runs the whole pipeline, so the policy is asked again. `store/queue.py` describes what a crash may leave behind,
and why nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from netgpt.app.gateway import Gateway
from netgpt.errors import (
    ModelError,
    ModelRejected,
    ModelUnavailable,
    NetGPTError,
    Overloaded,
    PermissionDenied,
    StoreError,
)
from netgpt.exchange import Exchange, Request, new_id
from netgpt.models.errors import UNREACHABLE
from netgpt.store.queue import QueueLimits, WaitingRow
from netgpt.types import Caller, Location, Role
from netgpt.web.oidc import Access

_STREAMING = ("stream", "stream_options")
_FIELDS = ("model", "user", "complete", "explain", "conversation", "prefer")
_OF_THE_DOOR = ("door", "said", "keep")
"""Rows of before there were doors have none."""


def serialize(request: Request, caller: Caller) -> dict[str, Any]:
    """All that is needed to ask again later, for a whole answer. JSON values only."""
    return {
        "request": {
            "body": {name: value for name, value in request.body.items() if name not in _STREAMING},
            **{name: getattr(request, name) for name in _FIELDS + _OF_THE_DOOR},
            "location": None if request.location is None else asdict(request.location),
            "consent": sorted(request.consent),
            "on_low_confidence": request.on_low_confidence,
            "fallback": request.fallback,
        },
        "caller": {
            "tenant": caller.tenant, "role": caller.role.value, "key_id": caller.key_id,
            "bound_user": caller.bound_user, "groups": sorted(caller.groups),
        },
    }  # fmt: skip


def deserialize_request(row: WaitingRow) -> Request:
    """The request as it was made, not streamed. Its deadline begins anew."""
    kept = (row.private or {})["request"]
    return Request(
        body=kept["body"],
        **{name: kept[name] for name in _FIELDS},
        **{name: kept[name] for name in _OF_THE_DOOR if name in kept},
        location=None if kept["location"] is None else Location(**kept["location"]),
        consent=frozenset(kept["consent"]),
        may_wait=True,
        on_low_confidence=kept.get("on_low_confidence"),
        fallback=kept.get("fallback"),
    )


def deserialize_caller(row: WaitingRow) -> Caller:
    kept = (row.private or {})["caller"]
    return Caller(kept["tenant"], Role(kept["role"]), kept["key_id"], kept["bound_user"], frozenset(kept["groups"]))


log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Kept requests that are sent at once; of one person, one."""
POLL_S: Final = 1.0
ALIVE_EVERY_S: Final = 5.0
DEAD_AFTER_S: Final = 30.0
"""A sender not seen for so long is dead."""
LONGEST_PAUSE_S: Final = 15.0

Answer = Callable[[Exchange], Awaitable[dict[str, Any]]]
"""Runs the pipeline and gives the whole answer."""


class Deferred:
    """Parks requests, and sends them. One a process; several may share a database."""

    def __init__(self, gateway: Gateway, access: Access, answer: Answer) -> None:
        self.gateway, self.access, self.answer = gateway, access, answer
        self.settings = gateway.settings.waiting
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._pause_s = 0.0
        self._not_before = 0.0

    def may_park(self, exchange: Exchange, error: NetGPTError) -> bool:
        """Whether waiting helps: nobody can answer now, and nothing of it has left."""
        if not exchange.request.may_wait or exchange.request.dry_run or self.settings.max_requests == 0:
            return False
        if exchange.claim is not None or (exchange.has("outcome") and exchange.outcome.sent is not None):
            return False
        return isinstance(error, ModelUnavailable | Overloaded) and error.code != "not_sent_again"

    def cloud_is_away(self, exchange: Exchange) -> ModelUnavailable | None:
        """Why the model elsewhere that the caller named, and would rather wait for, cannot be asked now."""
        if not exchange.request.may_wait:
            return None
        remote = self.gateway.remotes.get(self.gateway.target_names.get(exchange.request.model, ""))
        health = remote.health() if remote is not None else None
        return None if health is None or health.ok else ModelUnavailable(health.detail)

    async def park(self, exchange: Exchange) -> WaitingRow:
        """Keep the request. Raises RateLimited: this person has as many waiting as may."""
        request, settings = exchange.request, self.settings
        person = exchange.caller.person(request.user)
        assert person is not None, "who asks was checked before"
        bounds = QueueLimits(settings.max_requests, settings.max_bytes, timedelta(hours=settings.max_age_h))
        payload = serialize(request, exchange.caller)
        row = await self.gateway.store.waiting.park(person, exchange.caller.key_id, payload, bounds, datetime.now(UTC))
        self._wake.set()
        return row

    def start(self) -> None:
        """Begin to send what waits."""
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Send nothing more; what is under way may end."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=self.gateway.drain_left_s())
        for task in self._sending.values():
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _run(self) -> None:
        looked = alive = -DEAD_AFTER_S
        while True:
            if not self.gateway.owns_jobs:  # one worker sends what all have kept
                await self._rest(POLL_S)
                continue
            try:
                now = time.monotonic()
                if now - looked >= DEAD_AFTER_S / 3:
                    looked = now
                    wall = datetime.now(UTC)
                    await self.gateway.store.waiting.recover(wall - timedelta(seconds=DEAD_AFTER_S), wall)
                if self._sending and now - alive >= ALIVE_EVERY_S:
                    alive = now
                    await self.gateway.store.waiting.still_here(list(self._sending), datetime.now(UTC))
                sent = await self._send_next(now)
            except StoreError as error:
                log.error("requests that wait: %s", error.message)
                sent = False
            await self._rest(60 / self.settings.per_minute if sent else POLL_S)

    async def _rest(self, seconds: float) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # `wait_for` may lose a cancellation (before Python 3.12)
                await self._wake.wait()

    async def _send_next(self, now: float) -> bool:
        """Begin to send the next one, if one waits and somebody may answer it."""
        if now < self._not_before or len(self._sending) >= AT_ONCE or not self._somebody_answers():
            return False
        if not await self.gateway.store.waiting.count():
            return False
        exchange = new_id()
        claimed = await self.gateway.store.waiting.claim(exchange, datetime.now(UTC))
        if claimed is None:
            return False
        row, claim = claimed
        task = self._sending[claim] = asyncio.create_task(self._send(row, claim, exchange))
        task.add_done_callback(partial(self._sent, claim))
        return True

    def _sent(self, claim: str, _task: asyncio.Task[None]) -> None:
        self._sending.pop(claim, None)
        self._wake.set()

    def _somebody_answers(self) -> bool:
        """Whether it is worth a try; asks no network."""
        remotes = self.gateway.remotes.values()
        return not remotes or any(remote.health().ok for remote in remotes)

    async def _send(self, row: WaitingRow, claim: str, id: str) -> None:
        exchange: Exchange | None = None
        try:
            request = deserialize_request(row)
            exchange = Exchange(request, await self._caller_now(row, request.user), id=id, claim=claim)
            if away := self.cloud_is_away(exchange):
                raise away
            answer = await self.answer(exchange)
        except asyncio.CancelledError:
            await self._stopped(claim)
            raise
        except NetGPTError as error:
            refused = exchange is not None and exchange.has("outcome") and exchange.outcome.refused
            await self._failed(row, claim, error, refused=refused)
        except Exception as error:  # noqa: BLE001 - nobody else would end this claim
            log.error("request %s that waited: unforeseen %s", row.id, type(error).__name__)
            await self._failed(row, claim, NetGPTError("an internal error; the log of the box tells its type"))
        else:
            self._pause_s = 0.0
            await self._end(claim, "answered", {"answer": answer})

    async def _caller_now(self, row: WaitingRow, user: str | None) -> Caller:
        """Who asked, with what the key says now. Raises PermissionDenied (the right was lost), RateLimited."""
        caller = deserialize_caller(row)
        if caller.key_id is not None and not caller.key_id.startswith("oidc_"):
            key = next((key for key in await self.gateway.store.keys() if key.id == caller.key_id), None)
            if key is None or not key.usable(datetime.now(UTC)):
                raise PermissionDenied("the key that asked was revoked or has expired meanwhile")
            await self.access.limiter.admit(key.id, key.limits)
            left = self.access.limiter.money_left(key.id)
            caller = replace(caller, prefer=key.prefer, fallback=key.fallback, budget_left=left)
        self.access.allow(caller, "ask", user)
        return caller

    async def _failed(self, row: WaitingRow, claim: str, error: NetGPTError, *, refused: bool = False) -> None:
        """Back among those that wait, when nothing left and waiting may help; else this is its end.

        `refused`: it left, and was turned away as if it had never come. An error that only says so does not count: the
        model on the box may be too busy after a model elsewhere broke off.
        """
        waits = isinstance(error, ModelError | StoreError | Overloaded) or error.status in (429, 503)
        if isinstance(error, ModelRejected) and error.status != 429 and error.code != UNREACHABLE:
            waits = False  # it would be rejected again
        try:
            if waits and await self.gateway.store.waiting.put_back(claim, self._due(row, error), departed=refused):
                return
        except StoreError as fault:
            log.error("request %s that waits: %s", row.id, fault.message)
            return  # its claim is not renewed any more: `recover` sees to it
        outcome = {"error": {"code": error.code, "message": error.message}}
        await self._end(claim, "unknown" if waits else "failed", outcome)

    def _due(self, row: WaitingRow, error: NetGPTError) -> datetime:
        """When to try again. The link being away stops the others too, so that their order stays."""
        wait_s = error.retry_after or min(LONGEST_PAUSE_S, 0.5 * 2.0 ** min(row.tries, 10))
        if isinstance(error, ModelUnavailable):
            self._pause_s = min(LONGEST_PAUSE_S, max(0.5, 2 * self._pause_s))
            self._not_before = time.monotonic() + self._pause_s
            wait_s = min(wait_s, self._pause_s)
        return datetime.now(UTC) + timedelta(seconds=wait_s)

    async def _stopped(self, claim: str) -> None:
        with suppress(StoreError):
            if not await self.gateway.store.waiting.put_back(claim, datetime.now(UTC)):
                error = {"code": "outcome_unknown", "message": "the box stopped while it was being answered"}
                await self._end(claim, "unknown", {"error": error})

    async def _end(self, claim: str, state: str, outcome: dict[str, Any]) -> None:
        expires = datetime.now(UTC) + timedelta(days=self.settings.keep_days)
        try:
            await self.gateway.store.waiting.end(claim, state, outcome, expires)
        except StoreError as error:
            log.error("what became of a request that waited could not be kept: %s", error.message)
