"""Doors: each is one API's way to ask. What runs them is here: one line, one vault, one policy, one receipt for all."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, cast

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt import exchange as travelling
from netgpt.app.gateway import Gateway
from netgpt.dialects import EventWriter
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange
from netgpt.models.base import HOPS_HEADER, arrive
from netgpt.models.stream import Joiner
from netgpt.routing.candidates import AUTO
from netgpt.routing.names import ModelNames
from netgpt.types import CHARACTERS_A_TOKEN, Caller, Chunk
from netgpt.web.admission import Permit, Who
from netgpt.web.auth import authenticated
from netgpt.web.deferred import Deferred
from netgpt.web.errors import error_response, unforeseen_response
from netgpt.web.exchanges import accepted
from netgpt.web.rights import may_ask
from netgpt.web.streams import CallerGone, EventStream, NoResponse, stopped, until_hangup
from netgpt.web.told import headers_of, summary


class Door(Protocol):
    """`parse` makes the dialect's body a chat `Request` (its own path in `door`, what it needs again in `said`); then
    `whole` makes the chat answer the dialect's, or `writer` its chunks events. Errors: `SHAPES` in web/errors.py.

    A door stands in `DOORS` (web/app.py), has a row in `RIGHTS` (web/rights.py) and the first word of its path in
    `SCOPE_OF` (types.py). It holds nothing of a request: all of that is in the exchange.
    """

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str:
        """Of the operation, in the OpenAPI document; its text is the class's own docstring."""
        ...

    @property
    def body(self) -> type[BaseModel]:
        """The request's schema, for the OpenAPI document."""
        ...

    def parse(self, raw: bytes, known_models: ModelNames) -> travelling.Request:
        """From bytes to the checked request. Raises RequestError, NotFound (unknown model) and PayloadTooLarge. A long
        body is parsed in a thread."""
        ...

    async def prepared(self, gateway: Gateway, caller: Caller, asked: travelling.Request) -> travelling.Request:
        """The request with what the box keeps for it, once the caller is known to be allowed to ask; most have none."""
        ...

    def whole(self, exchange: Exchange, answer: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's `chat.completion` with `netgpt`, as the dialect's answer."""
        ...

    def writer(self, exchange: Exchange) -> EventWriter:
        """Makes the events of a streamed answer, from its first word on."""
        ...


HOLD = "netgpt.hold"
PERMIT = "netgpt.permit"
"""Keys of a request's scope: the estimate of its answer, and its permit, both released at the answer's end."""
INSUFFICIENT_QUOTA = "insufficient_quota"
_LONG_BODY = 100_000
"""Bytes of a body that is not checked on the event loop."""
GRACE_S = 1.0
"""Past server.deadline_s a caller that does not read keeps its permit for this long, in seconds."""


class Doors:
    """Answers at all doors before the framework; everything else goes on to `others`.

    The framework's way to the same function (the routes of `declared`, for the OpenAPI document) takes four more layers
    and a resolver of dependencies, and adds nothing here.
    """

    def __init__(self, app: FastAPI, doors: Mapping[str, Door], others: ASGIApp) -> None:
        """`doors`: by their paths."""
        self.app, self.doors, self.others = app, doors, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = None
        if scope["type"] == "http" and scope["method"] == "POST":
            door = self.doors.get(scope["path"].rstrip("/"))
            scope["path"] = door.path if door is not None else scope["path"]  # also with a slash at its end
        if door is None:
            await self.others(scope, receive, send)
            return
        scope["app"] = self.app
        try:
            response = await self._response(door, scope, receive)
            await response(scope, receive, send)
        finally:  # also where the server cancels the request
            for held in (scope.get(PERMIT), scope.get(HOLD)):
                if held is not None:
                    held.release()

    @staticmethod
    async def _response(door: Door, scope: Scope, receive: Receive) -> Response:
        try:
            return await asked_at(door, Request(scope, receive))
        except NetGPTError as error:
            return error_response(error, path=door.path)
        except ClientDisconnect:
            return NoResponse()
        except asyncio.CancelledError:
            if not scope["app"].state.gateway.is_stopping:
                raise
            return error_response(stopped(), path=door.path)
        except Exception as error:  # noqa: BLE001 - the outermost border: nobody else answers the caller
            return unforeseen_response(error, f"POST {door.path}", door.path)


def declare(app: FastAPI, doors: Iterable[Door]) -> None:
    """Let the OpenAPI document, and who reads its paths, know the doors."""
    for door in doors:
        app.add_api_route(door.path, _operation(door), methods=["POST"], tags=["chat"], response_class=Response)


def _operation(door: Door) -> Callable[[Request], Awaitable[Response]]:
    async def operation(request: Request) -> Response:
        return await asked_at(door, request)

    operation.__name__, operation.__doc__ = door.name, type(door).__doc__
    return operation


async def asked_at(door: Door, request: Request) -> Response:
    """One request at one door, from its bytes through the line to the answer, whole or streamed."""
    gateway, caller = await authenticated(request)
    arrive(gateway.box_id, ",".join(request.headers.getlist(HOPS_HEADER)))
    raw = await request.body()
    if len(raw) <= _LONG_BODY:
        asked = door.parse(raw, gateway.model_names)
    else:
        asked = await asyncio.to_thread(door.parse, raw, gateway.model_names)
    await may_ask(request, asked.user)
    asked, limiter = await door.prepared(gateway, caller, asked), request.app.state.access.limiter
    hold = request.scope[HOLD] = await limiter.hold(caller.key_id, len(raw), asked.body)
    if hold is not None:  # of a crowd, each sees what the others hold
        caller = replace(caller, budget_left=hold.money_left)
    exchange = Exchange(asked, caller)
    try:
        if exchange.request.stream:
            late = await until_hangup(request.receive, _begun(request, exchange, len(raw)))
            # The model's deadline is reported in-band, so it comes first.
            limit_s = max(0.0, gateway.settings.server.deadline_s - exchange.elapsed_ms() / 1000) + GRACE_S

            def broken() -> dict[str, Any]:
                return {"exchange": exchange.id, "partial": exchange.given}

            return EventStream(
                _with_netgpt(exchange, late),
                door.writer(exchange),
                headers_of(gateway, exchange, decided=late is None),
                limit_s=limit_s,
                comment_s=gateway.settings.server.comment_s,
                broken=broken,
                is_stopping=lambda: gateway.is_stopping,
            )
        whole = await until_hangup(request.receive, _until_end(door, request, exchange, len(raw)))
    except CallerGone:
        return NoResponse()
    except NetGPTError as error:
        if error.code == INSUFFICIENT_QUOTA:
            error = limiter.spent(caller.key_id) or error
        return await _refusal(request, exchange, error)
    return Response(orjson.dumps(whole), media_type="application/json", headers=headers_of(gateway, exchange))


async def _admitted(request: Request, exchange: Exchange, size: int) -> Permit:
    """Wait for a permit. Raises RateLimited and Overloaded."""
    gateway: Gateway = request.app.state.gateway
    deferred: Deferred = request.app.state.deferred
    if away := deferred.cloud_is_away(exchange):
        raise away
    caller, asked = exchange.caller, exchange.request
    who = Who(caller.key_id or caller.tenant, caller.bound_user or asked.user or "")
    pool = gateway.target_names.get(asked.model, AUTO)
    within_s = min(asked.deadline_s or math.inf, gateway.settings.server.deadline_s) - exchange.elapsed_ms() / 1000
    permit: Permit = await request.app.state.admission.enter(pool, who, size, within_s)
    request.scope[PERMIT] = permit
    if permit.waited_s:
        exchange.note_time("queue", permit.waited_s * 1000)
    return permit


async def _begun(request: Request, exchange: Exchange, size: int) -> asyncio.Task[None] | None:
    """Wait for the first word of a stream: None. Where it takes longer than `server.comment_s` from the permit on, the
    stream begins without it: the task that still waits for it. Raises what comes before either."""
    comment_s = request.app.state.gateway.settings.server.comment_s
    work = asyncio.ensure_future(_until_first_word(request, exchange, size))
    try:
        while not work.done():
            await asyncio.wait((work,), timeout=None if exchange.request.may_wait else comment_s)
            if PERMIT in request.scope and not work.done():
                return work
    except asyncio.CancelledError:
        work.cancel()
        await asyncio.wait((work,))
        raise
    await work
    return None


async def _until_first_word(request: Request, exchange: Exchange, size: int) -> None:
    """Run the pipeline until the first word of a stream."""
    permit = await _admitted(request, exchange, size)
    await request.app.state.gateway.workflow.run(exchange)
    if counts(exchange):
        permit.answers(exchange.outcome.answered_by.name, size=size // CHARACTERS_A_TOKEN, stream=True)


async def _until_end(door: Door, request: Request, exchange: Exchange, size: int) -> dict[str, Any]:
    """Run the pipeline to the end of the answer."""
    permit = await _admitted(request, exchange, size)
    answer = await whole_of(request.app.state.gateway, door, exchange)
    if counts(exchange):
        outcome = exchange.outcome
        tokens = outcome.usage.completion_tokens if outcome.usage else 0
        permit.answers(outcome.answered_by.name, size=tokens, stream=False)
    return answer


def counts(exchange: Exchange) -> bool:
    """Whether a model worked on it, so that its time counts for the limit of its pool."""
    return not exchange.request.dry_run and exchange.outcome.cached_age_s is None


async def _refusal(request: Request, exchange: Exchange, error: NetGPTError) -> Response:
    """The error; or 202, where the request may wait and waiting helps."""
    deferred: Deferred = request.app.state.deferred
    path = exchange.request.door
    if not deferred.may_park(exchange, error):
        return error_response(error, exchange.id, path)
    try:
        return accepted(await deferred.park(exchange), error.message)
    except NetGPTError as full:
        return error_response(full, exchange.id, path)


async def whole_of(gateway: Gateway, door: Door, exchange: Exchange) -> dict[str, Any]:
    """Run the pipeline, join the answer, and say it in the door's words."""
    await gateway.workflow.run(exchange)
    joiner = Joiner()
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            joiner.add(chunk)
    answer = joiner.answer()
    usage = exchange.outcome.usage
    if usage is not None and not answer.get("usage"):
        answer["usage"] = usage.as_openai()
    return door.whole(exchange, {**answer, "netgpt": summary(exchange)})


async def _with_netgpt(exchange: Exchange, late: asyncio.Task[None] | None = None) -> AsyncIterator[Chunk]:
    """The chunks, the first and the finishing ones with `netgpt`. `late`: what they have to wait for."""
    if late is not None:
        await late
    first = True
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            if first or any(choice.get("finish_reason") for choice in chunk.get("choices") or ()):
                chunk = {**chunk, "netgpt": summary(exchange)}
                first = False
            yield chunk
