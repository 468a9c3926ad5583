"""POST /v1/chat/completions: the door to the line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.build import Box
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange
from netgpt.models.answers import join_chunks
from netgpt.types import Chunk
from netgpt.web.auth import allow, caller_of
from netgpt.web.errors import error_response, unforeseen_response
from netgpt.web.explain import explained
from netgpt.web.requests import parse_chat
from netgpt.web.stream import CallerGone, EventStream, until_hangup

__all__ = ["ChatDoor", "router"]

PATH = "/v1/chat/completions"
HOLD = "netgpt.hold"
"""Where in a request's scope the estimate of its answer waits for the answer's end."""
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
        response: Response
        try:
            response = await chat_completions(Request(scope, receive))
        except NetGPTError as error:
            response = error_response(error)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the outermost border: nobody else answers the caller
            response = unforeseen_response(error, f"POST {PATH}")
        try:
            await response(scope, receive, send)
        finally:
            if (hold := scope.get(HOLD)) is not None:
                hold.release()


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
            await until_hangup(request.receive, box.workflow.run(exchange))
            return EventStream(_marked(exchange), _headers(exchange), limit_s=_patience_s(box, exchange))
        whole = await until_hangup(request.receive, _whole(box, exchange))
    except CallerGone:
        return Hungup()
    except NetGPTError as error:
        return error_response(error, exchange.id)
    return Response(orjson.dumps(whole), media_type="application/json", headers=_headers(exchange))


async def _whole(box: Box, exchange: Exchange) -> dict[str, Any]:
    await box.workflow.run(exchange)
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        answer = join_chunks([chunk async for chunk in chunks])
    if exchange.usage is not None and not answer.get("usage"):
        answer["usage"] = exchange.usage.as_openai()
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
    told: dict[str, Any] = {
        "exchange": exchange.id,
        "route": exchange.answered_by.route,
        "reason": exchange.answered_by.reason,
        "adapters": list(exchange.adapters_used()),
    }
    if exchange.request.dry_run:
        told["dry_run"] = True
    if exchange.request.explain or exchange.request.dry_run:
        told["explain"] = explained(exchange)
    return told


def _headers(exchange: Exchange) -> dict[str, str]:
    headers = {
        "x-netgpt-exchange": exchange.id,
        "x-netgpt-route": exchange.answered_by.route,
        "x-netgpt-rule": exchange.answered_by.rule,
    }
    if used := exchange.adapters_used():
        headers["x-netgpt-adapter"] = ",".join(used)
    return headers


def _patience_s(box: Box, exchange: Exchange) -> float:
    """Seconds that sending may still take. The model's deadline is told in-band, so it comes first."""
    return max(0.0, box.settings.server.deadline_s - exchange.elapsed_ms() / 1000) + GRACE_S
