"""POST /v1/chat/completions: the door to the line."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.app.gateway import Gateway
from netgpt.calls import LOAD_HEADER, Load
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange
from netgpt.models.stream import join_chunks
from netgpt.routing.candidates import AUTO
from netgpt.stages.record import private_of
from netgpt.types import CHARACTERS_A_TOKEN, Chunk
from netgpt.web.admission import Permit, Who
from netgpt.web.auth import allow, caller_of
from netgpt.web.deferred import Deferred
from netgpt.web.errors import error_response, unforeseen, unforeseen_response
from netgpt.web.exchanges import accepted
from netgpt.web.requests import parse_chat

# --- Answers on the wire: server-sent events, whole answers, and what happens when the caller hangs up.

T = TypeVar("T")

LOOK_AFTER_S = 0.1
"""Seconds of work before a hang-up is looked for."""


class CallerGone(Exception):
    """The caller hung up; the work was cancelled."""


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; when the caller hangs up first, cancel it (which closes the upstream call) and raise CallerGone.

    A hang-up is looked for after `LOOK_AFTER_S` only: most answers are there before, and need no second task.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and watch.task.uncancel() == 0:
            raise CallerGone from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the task that made it when the caller hangs up."""

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task: asyncio.Task[Any] = task
        self.gone = False
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(LOOK_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()


class EventStream(Response):
    """A response that sends chunks as server-sent events and ends by the stream contract.

    A clean answer ends with `data: [DONE]`. One that broke ends with an in-band `{"error": ...}` and no `[DONE]`.
    """

    def __init__(
        self,
        chunks: AsyncIterator[Mapping[str, Any]],
        headers: Mapping[str, str],
        *,
        limit_s: float | None = None,
        broken: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """`limit_s`: a caller that has not taken the whole answer within these seconds is cut off. `broken`: what is
        told beside the error, as `netgpt`, where it breaks."""
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        self.chunks, self.broken = chunks, broken
        self.limit_s = limit_s
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_hangup(receive, self._timely(send))
        except (CallerGone, OSError):
            return  # nobody is left to tell; the exchange records it as cancelled

    async def _timely(self, send: Send) -> None:
        """Sending waits for the caller to read: one that does not must not keep its place for ever."""
        async with asyncio.timeout(self.limit_s):  # its TimeoutError is an OSError: like a caller that is gone
            await self._pump(send)

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(cast(Any, self.chunks)) as chunks:
            try:
                async for chunk in chunks:
                    await send(_event(orjson.dumps(chunk)))
                last = _event(b"[DONE]")
            except NetGPTError as error:
                last = self._error(error)
            except OSError:
                raise  # the caller's socket
            except Exception as error:  # noqa: BLE001 - a stream that breaks says so in-band, whatever broke it
                last = self._error(unforeseen(error, "a stream"))
        await send({**last, "more_body": False})

    def _error(self, error: NetGPTError) -> dict[str, Any]:
        told = {"netgpt": self.broken()} if self.broken is not None else {}
        return _event(orjson.dumps({**error.as_openai(), **told}))


def _event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True}


# --- What an answer tells of itself when it is asked to: the facts, what left or would leave, what was hidden, and why.

_TOLD = {
    "facts": ("text", "kind", "source"),
    "hidden": ("placeholder", "kind", "rule", "policy_rule"),
    "generalised": ("kind", "was", "now", "rule", "policy_rule"),
}
"""So much of each entry stands in an answer; the record has all of it."""


def explained(exchange: Exchange) -> dict[str, Any]:
    """`netgpt.explain` of an answer that has begun. A dry run tells what would leave, byte for byte."""
    record = private_of(exchange, [])
    told = {name: record[name] for name in ("completion", "outbound", "adapter_note", "decision")}
    told |= {name: [{key: one[key] for key in keys} for one in record[name]] for name, keys in _TOLD.items()}
    told |= {"kept_because": exchange.block_reason, "timings_ms": dict(exchange.timings)}
    return told | _would_leave(exchange) if exchange.request.dry_run else told


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbounds = exchange.decision, exchange.outbounds
    going = [target for target in (decision.name, *decision.fallbacks) if target in outbounds]
    shown = outbounds[going[0]] if going else None
    body, host = orjson.loads(shown.content) if shown else None, exchange.outcome.destination
    return {
        "leaves": "no" if not going else "yes" if decision.name == going[0] else "only if the edge fails",
        "destination": {"host": host, "model": body.get("model"), "arm": going[0]} if body else None,
        "would_send": body,
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "if_that_fails": {target: hashlib.sha256(outbounds[target].content).hexdigest() for target in going[1:]},
    }


PATH = "/v1/chat/completions"
HOLD = "netgpt.hold"
"""Where in a request's scope the estimate of its answer waits for the answer's end."""
PLACE = "netgpt.place"
"""Where in a request's scope its place among the requests at work waits for the answer's end."""
GRACE_S = 1.0
"""Past server.deadline_s a caller that does not read keeps its place for this long, in seconds."""
router = APIRouter()


class ChatDoor:
    """Stands before the framework and answers chat itself; everything else goes on to `others`.

    The framework's own way to the same function (the route below, which the OpenAPI document describes) takes four
    more layers and a resolver of dependencies, and has nothing to add here.
    """

    def __init__(self, app: FastAPI, others: ASGIApp) -> None:
        self.app, self.others = app, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.others(scope, receive, send)
            return
        scope["app"] = self.app
        try:
            response = await self._response(scope, receive)
            await response(scope, receive, send)
        finally:  # also where the server cancels what is at work
            for held in (scope.get(PLACE), scope.get(HOLD)):
                if held is not None:
                    held.release()

    @staticmethod
    async def _response(scope: Scope, receive: Receive) -> Response:
        try:
            return await chat_completions(Request(scope, receive))
        except NetGPTError as error:
            return error_response(error)
        except ClientDisconnect:
            return Hungup()
        except Exception as error:  # noqa: BLE001 - the outermost border: nobody else answers the caller
            return unforeseen_response(error, f"POST {PATH}")


class Hungup(Response):
    """The caller has gone: nothing is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return None


@router.post(PATH, tags=["chat"], response_class=Response)
async def chat_completions(request: Request) -> Response:
    """OpenAI's chat completions, streamed or whole, with the extra field `netgpt`."""
    gateway: Gateway = request.app.state.gateway
    caller = await caller_of(request)
    raw = await request.body()
    exchange = Exchange(parse_chat(raw, gateway.model_names), caller)
    allow(request, caller, "ask", exchange.request.user)
    request.scope[HOLD] = request.app.state.access.limiter.hold(caller.key_id, len(raw), exchange.request.body)
    try:
        if exchange.request.stream:
            await until_hangup(request.receive, _begun(request, exchange, len(raw)))
            limit_s = _patience_s(gateway, exchange)
            broken = partial(_broken, exchange)
            return EventStream(_marked(exchange), _headers(gateway, exchange), limit_s=limit_s, broken=broken)
        whole = await until_hangup(request.receive, _ended(request, exchange, len(raw)))
    except CallerGone:
        return Hungup()
    except NetGPTError as error:
        return await _refused(request, exchange, error)
    return Response(orjson.dumps(whole), media_type="application/json", headers=_headers(gateway, exchange))


async def _placed(request: Request, exchange: Exchange, size: int) -> Permit:
    """Wait for a place among the requests at work. Raises RateLimited and Overloaded."""
    gateway: Gateway = request.app.state.gateway
    deferred: Deferred = request.app.state.deferred
    if away := deferred.cloud_is_away(exchange):
        raise away
    caller, asked = exchange.caller, exchange.request
    who = Who(caller.key_id or caller.tenant, caller.bound_user or asked.user or "")
    pool = gateway.target_names.get(asked.model, AUTO)
    within_s = min(asked.deadline_s or math.inf, gateway.settings.server.deadline_s) - exchange.elapsed_ms() / 1000
    place: Permit = await request.app.state.admission.enter(pool, who, size, within_s)
    request.scope[PLACE] = place
    if place.waited_s:
        exchange.note_time("queue", place.waited_s * 1000)
    return place


async def _begun(request: Request, exchange: Exchange, size: int) -> None:
    """Walk the line until the first word of a stream."""
    place = await _placed(request, exchange, size)
    await request.app.state.gateway.workflow.run(exchange)
    if counts(exchange):
        place.answers(exchange.outcome.answered_by.name, size=size // CHARACTERS_A_TOKEN, stream=True)


async def _ended(request: Request, exchange: Exchange, size: int) -> dict[str, Any]:
    """Walk the line to the end of the answer."""
    place = await _placed(request, exchange, size)
    answer = await whole_of(request.app.state.gateway, exchange)
    if counts(exchange):
        usage = exchange.outcome.usage
        tokens = usage.completion_tokens if usage else 0
        place.answers(exchange.outcome.answered_by.name, size=tokens, stream=False)
    return answer


def counts(exchange: Exchange) -> bool:
    """Whether a model was at work on it, so that its time tells of the box."""
    return not exchange.request.dry_run and exchange.outcome.cached_age_s is None


async def _refused(request: Request, exchange: Exchange, error: NetGPTError) -> Response:
    """The error; or 202, where the request may wait and waiting helps."""
    deferred: Deferred = request.app.state.deferred
    if not deferred.may_park(exchange, error):
        return error_response(error, exchange.id)
    try:
        return accepted(await deferred.park(exchange), error.message)
    except NetGPTError as full:
        return error_response(full, exchange.id)


async def whole_of(gateway: Gateway, exchange: Exchange) -> dict[str, Any]:
    """Walk the line and join the answer."""
    await gateway.workflow.run(exchange)
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        answer = join_chunks([chunk async for chunk in chunks])
    usage = exchange.outcome.usage
    if usage is not None and not answer.get("usage"):
        answer["usage"] = usage.as_openai()
    return {**answer, "netgpt": _told(exchange)}


async def _marked(exchange: Exchange) -> AsyncIterator[Chunk]:
    """The chunks, the first and the finishing ones marked with `netgpt`; usage only when it was asked for."""
    wants_usage = bool((exchange.request.body.get("stream_options") or {}).get("include_usage"))
    first = True
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            if not wants_usage and "usage" in chunk:
                chunk = {key: value for key, value in chunk.items() if key != "usage"}
                if not chunk.get("choices"):
                    continue
            if first or any(choice.get("finish_reason") for choice in chunk.get("choices") or ()):
                chunk = {**chunk, "netgpt": _told(exchange)}
                first = False
            yield chunk


def _told(exchange: Exchange) -> dict[str, Any]:
    """The body's `netgpt` object: which exchange, which route, why; and all of it when `explain` was asked."""
    outcome = exchange.outcome
    told: dict[str, Any] = {
        "exchange": exchange.id,
        "route": outcome.answered_by.route,
        "arm": outcome.answered_by.name,
        "reason": outcome.answered_by.reason,
        "adapters": list(exchange.adapters_used()),
    }
    if outcome.finished_by is not None:
        told["finished_by"] = outcome.finished_by
    if outcome.cached_age_s is not None:
        told |= {"cached": True, "age_s": round(outcome.cached_age_s, 3)}
    if exchange.request.dry_run:
        told["dry_run"] = True
    if exchange.request.explain or exchange.request.dry_run:
        told["explain"] = explained(exchange)
    return told


def _headers(gateway: Gateway, exchange: Exchange) -> dict[str, str]:
    answered_by = exchange.outcome.answered_by
    headers = {
        "x-netgpt-exchange": exchange.id,
        "x-netgpt-route": answered_by.route,
        "x-netgpt-arm": answered_by.name,
        "x-netgpt-rule": answered_by.rule,
        LOAD_HEADER: _load(gateway).text,
    }
    if used := exchange.adapters_used():
        headers["x-netgpt-adapter"] = ",".join(used)
    return headers


def _load(gateway: Gateway) -> Load:
    """How busy the model on this box is, this answer among its work: for a neighbour that thinks of asking again."""
    now = gateway.signals.view().system
    return Load(now.engine_slots, now.engine_busy, now.engine_waiting)


def _broken(exchange: Exchange) -> dict[str, Any]:
    """What stands beside the error of a stream that broke off."""
    return {"exchange": exchange.id, "partial": exchange.given}


def _patience_s(gateway: Gateway, exchange: Exchange) -> float:
    """Seconds that sending may still take. The model's deadline is told in-band, so it comes first."""
    return max(0.0, gateway.settings.server.deadline_s - exchange.elapsed_ms() / 1000) + GRACE_S
