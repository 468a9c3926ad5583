"""POST /v1/chat/completions: the door to the line."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.build import Box
from netgpt.calls import LOAD_HEADER, Load
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange
from netgpt.models.answers import join_chunks
from netgpt.routing.names import AUTO
from netgpt.types import CHARACTERS_A_TOKEN, Chunk
from netgpt.web.admission import Permit
from netgpt.web.auth import allow, caller_of
from netgpt.web.deferred import Deferred
from netgpt.web.errors import error_response, unforeseen_response
from netgpt.web.explain import explained
from netgpt.web.fairness import Who
from netgpt.web.requests import parse_chat
from netgpt.web.stream import CallerGone, EventStream, until_hangup
from netgpt.web.waiting import accepted

__all__ = ["ChatDoor", "router", "whole_of"]

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
    box: Box = request.app.state.box
    caller = await caller_of(request)
    raw = await request.body()
    exchange = Exchange(parse_chat(raw, box.model_names), caller)
    allow(request, caller, "ask", exchange.request.user)
    request.scope[HOLD] = request.app.state.access.limiter.hold(caller.key_id, len(raw), exchange.request.body)
    try:
        if exchange.request.stream:
            await until_hangup(request.receive, _begun(request, exchange, len(raw)))
            limit_s = _patience_s(box, exchange)
            broken = partial(_broken, exchange)
            return EventStream(_marked(exchange), _headers(box, exchange), limit_s=limit_s, broken=broken)
        whole = await until_hangup(request.receive, _ended(request, exchange, len(raw)))
    except CallerGone:
        return Hungup()
    except NetGPTError as error:
        return await _refused(request, exchange, error)
    return Response(orjson.dumps(whole), media_type="application/json", headers=_headers(box, exchange))


async def _placed(request: Request, exchange: Exchange, size: int) -> Permit:
    """Wait for a place among the requests at work. Raises RateLimited and Overloaded."""
    box: Box = request.app.state.box
    deferred: Deferred = request.app.state.deferred
    if away := deferred.cloud_is_away(exchange):
        raise away
    caller, asked = exchange.caller, exchange.request
    who = Who(caller.key_id or caller.tenant, caller.bound_user or asked.user or "")
    lane = box.arm_names.get(asked.model, AUTO)
    within_s = min(asked.deadline_s or math.inf, box.settings.server.deadline_s) - exchange.elapsed_ms() / 1000
    place: Permit = await request.app.state.admission.enter(lane, who, size, within_s)
    request.scope[PLACE] = place
    if place.waited_s:
        exchange.note_time("queue", place.waited_s * 1000)
    return place


async def _begun(request: Request, exchange: Exchange, size: int) -> None:
    """Walk the line until the first word of a stream."""
    place = await _placed(request, exchange, size)
    await request.app.state.box.workflow.run(exchange)
    if counts(exchange):
        place.answers(exchange.outcome.answered_by.name, size=size // CHARACTERS_A_TOKEN, stream=True)


async def _ended(request: Request, exchange: Exchange, size: int) -> dict[str, Any]:
    """Walk the line to the end of the answer."""
    place = await _placed(request, exchange, size)
    answer = await whole_of(request.app.state.box, exchange)
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


async def whole_of(box: Box, exchange: Exchange) -> dict[str, Any]:
    """Walk the line and join the answer."""
    await box.workflow.run(exchange)
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


def _headers(box: Box, exchange: Exchange) -> dict[str, str]:
    answered_by = exchange.outcome.answered_by
    headers = {
        "x-netgpt-exchange": exchange.id,
        "x-netgpt-route": answered_by.route,
        "x-netgpt-arm": answered_by.name,
        "x-netgpt-rule": answered_by.rule,
        LOAD_HEADER: _load(box).text,
    }
    if used := exchange.adapters_used():
        headers["x-netgpt-adapter"] = ",".join(used)
    return headers


def _load(box: Box) -> Load:
    """How busy the model on this box is, this answer among its work: for a neighbour that thinks of asking again."""
    now = box.signals.view().box
    return Load(now.engine_slots, now.engine_busy, now.engine_waiting)


def _broken(exchange: Exchange) -> dict[str, Any]:
    """What stands beside the error of a stream that broke off."""
    return {"exchange": exchange.id, "partial": exchange.given}


def _patience_s(box: Box, exchange: Exchange) -> float:
    """Seconds that sending may still take. The model's deadline is told in-band, so it comes first."""
    return max(0.0, box.settings.server.deadline_s - exchange.elapsed_ms() / 1000) + GRACE_S
