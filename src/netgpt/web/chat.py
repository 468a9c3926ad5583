"""POST /v1/chat/completions: from the request through the pipeline to the answer, whole or streamed."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.app.gateway import Gateway
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange
from netgpt.models.base import HOPS_HEADER, arrive
from netgpt.models.stream import Joiner
from netgpt.routing.candidates import AUTO
from netgpt.stages.record import confidence_as_dict, private_of
from netgpt.types import CHARACTERS_A_TOKEN, EDGE, LOAD_HEADER, Chunk, Load
from netgpt.web.admission import Permit, Who
from netgpt.web.auth import authenticated
from netgpt.web.deferred import Deferred
from netgpt.web.errors import error_response, unforeseen, unforeseen_response
from netgpt.web.exchanges import accepted
from netgpt.web.requests import parse_chat
from netgpt.web.rights import may_ask

T = TypeVar("T")

LOOK_AFTER_S = 0.1
"""Seconds of work before the first look whether the caller hung up: most answers are there before."""


class CallerGone(Exception):
    """The caller hung up; the work was cancelled."""


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; when the caller hangs up first, cancel it (which closes the upstream call) and raise CallerGone."""
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
        """`limit_s`: a caller that has not taken the whole answer within these seconds is cut off. `broken`: what
        goes beside the error, as `netgpt`, where it breaks."""
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        self.chunks, self.broken, self.limit_s = chunks, broken, limit_s
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_hangup(receive, self._pump(send))
        except (CallerGone, OSError):
            return  # the exchange records it as cancelled

    async def _pump(self, send: Send) -> None:
        """Sending waits for the caller to read: one that does not must not keep its permit for ever."""
        async with asyncio.timeout(self.limit_s):  # its TimeoutError is an OSError: like a caller that is gone
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
        details = {"netgpt": self.broken()} if self.broken is not None else {}
        return _event(orjson.dumps({**error.as_openai(), **details}))


def _event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True}


_EXPLAINED = {
    "facts": ("text", "kind", "source"),
    "hidden": ("placeholder", "kind", "rule", "policy_rule"),
    "generalised": ("kind", "was", "now", "rule", "policy_rule"),
}
"""The fields of each entry that an answer shows; the record has all of them."""


def explained(exchange: Exchange) -> dict[str, Any]:
    """`netgpt.explain` of an answer that has begun. A dry run shows what would leave, byte for byte."""
    record = private_of(exchange, Joiner())
    shown = {name: record[name] for name in ("completion", "outbound", "adapter_note", "fallback", "decision")}
    shown |= {name: [{key: one[key] for key in keys} for one in record[name]] for name, keys in _EXPLAINED.items()}
    shown |= {"kept_because": exchange.block_reason, "timings_ms": dict(exchange.timings)}
    return shown | _would_leave(exchange) if exchange.request.dry_run else shown


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbounds = exchange.decision, exchange.outbounds
    going = [target for target in (decision.name, *decision.fallbacks) if target in outbounds]
    shown = outbounds[going[0]] if going else None
    body, host = orjson.loads(shown.content) if shown else None, exchange.outcome.destination
    return {
        "leaves": "no" if not going else "yes" if decision.name == going[0] else "only if the edge fails",
        "destination": {"host": host, "model": body.get("model"), "arm": going[0]} if body else None,
        "would_send": body,
        "left_out": list(shown.left_out) if shown else [],
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "if_that_fails": {target: hashlib.sha256(outbounds[target].content).hexdigest() for target in going[1:]},
    }


PATH = "/v1/chat/completions"
HOLD = "netgpt.hold"
PERMIT = "netgpt.permit"
"""Keys of a request's scope: the estimate of its answer, and its permit, both released at the answer's end."""
_LONG_BODY = 100_000
"""Bytes of a body that is not checked on the event loop."""
GRACE_S = 1.0
"""Past server.deadline_s a caller that does not read keeps its permit for this long, in seconds."""
router = APIRouter()


class ChatEndpoint:
    """Answers chat before the framework; everything else goes on to `others`.

    The framework's way to the same function (the route below, for the OpenAPI document) takes four more layers and a
    resolver of dependencies, and adds nothing here.
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
        finally:  # also where the server cancels the request
            for held in (scope.get(PERMIT), scope.get(HOLD)):
                if held is not None:
                    held.release()

    @staticmethod
    async def _response(scope: Scope, receive: Receive) -> Response:
        try:
            return await chat_completions(Request(scope, receive))
        except NetGPTError as error:
            return error_response(error)
        except ClientDisconnect:
            return NoResponse()
        except Exception as error:  # noqa: BLE001 - the outermost border: nobody else answers the caller
            return unforeseen_response(error, f"POST {PATH}")


class NoResponse(Response):
    """The caller has gone: nothing is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return None


@router.post(PATH, tags=["chat"], response_class=Response)
async def chat_completions(request: Request) -> Response:
    """OpenAI's chat completions, streamed or whole, with the extra field `netgpt`."""
    gateway, caller = await authenticated(request)
    arrive(gateway.box_id, ",".join(request.headers.getlist(HOPS_HEADER)))
    raw = await request.body()
    if len(raw) <= _LONG_BODY:
        asked = parse_chat(raw, gateway.model_names)
    else:
        asked = await asyncio.to_thread(parse_chat, raw, gateway.model_names)
    exchange = Exchange(asked, caller)
    await may_ask(request, exchange.request.user)
    request.scope[HOLD] = request.app.state.access.limiter.hold(caller.key_id, len(raw), exchange.request.body)
    try:
        if exchange.request.stream:
            await until_hangup(request.receive, _until_first_word(request, exchange, len(raw)))
            # The model's deadline is reported in-band, so it comes first.
            limit_s = max(0.0, gateway.settings.server.deadline_s - exchange.elapsed_ms() / 1000) + GRACE_S

            def broken() -> dict[str, Any]:
                return {"exchange": exchange.id, "partial": exchange.given}

            return EventStream(_with_netgpt(exchange), _headers(gateway, exchange), limit_s=limit_s, broken=broken)
        whole = await until_hangup(request.receive, _until_end(request, exchange, len(raw)))
    except CallerGone:
        return NoResponse()
    except NetGPTError as error:
        return await _refusal(request, exchange, error)
    return Response(orjson.dumps(whole), media_type="application/json", headers=_headers(gateway, exchange))


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


async def _until_first_word(request: Request, exchange: Exchange, size: int) -> None:
    """Run the pipeline until the first word of a stream."""
    permit = await _admitted(request, exchange, size)
    await request.app.state.gateway.workflow.run(exchange)
    if counts(exchange):
        permit.answers(exchange.outcome.answered_by.name, size=size // CHARACTERS_A_TOKEN, stream=True)


async def _until_end(request: Request, exchange: Exchange, size: int) -> dict[str, Any]:
    """Run the pipeline to the end of the answer."""
    permit = await _admitted(request, exchange, size)
    answer = await whole_of(request.app.state.gateway, exchange)
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
    if not deferred.may_park(exchange, error):
        return error_response(error, exchange.id)
    try:
        return accepted(await deferred.park(exchange), error.message)
    except NetGPTError as full:
        return error_response(full, exchange.id)


async def whole_of(gateway: Gateway, exchange: Exchange) -> dict[str, Any]:
    """Run the pipeline and join the answer."""
    await gateway.workflow.run(exchange)
    joiner = Joiner()
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            joiner.add(chunk)
    answer = joiner.answer()
    usage = exchange.outcome.usage
    if usage is not None and not answer.get("usage"):
        answer["usage"] = usage.as_openai()
    return {**answer, "netgpt": _summary(exchange)}


async def _with_netgpt(exchange: Exchange) -> AsyncIterator[Chunk]:
    """The chunks, the first and the finishing ones with `netgpt`; usage only when the request asks for it."""
    wants_usage = bool((exchange.request.body.get("stream_options") or {}).get("include_usage"))
    first = True
    async with aclosing(cast(Any, exchange.chunks)) as chunks:
        async for chunk in chunks:
            if not wants_usage and "usage" in chunk:
                chunk = {key: value for key, value in chunk.items() if key != "usage"}
                if not chunk.get("choices"):
                    continue
            if first or any(choice.get("finish_reason") for choice in chunk.get("choices") or ()):
                chunk = {**chunk, "netgpt": _summary(exchange)}
                first = False
            yield chunk


def _summary(exchange: Exchange) -> dict[str, Any]:
    """The body's `netgpt` object: which exchange, which route, why; and all of it when `explain` is set."""
    outcome, by = exchange.outcome, exchange.outcome.answered_by
    summary: dict[str, Any] = {"exchange": exchange.id, "route": by.route, "arm": by.name, "reason": by.reason}
    summary["adapters"] = list(exchange.adapters_used())
    if outcome.finished_by is not None:
        summary["finished_by"] = outcome.finished_by
    if outcome.cached_age_s is not None:
        summary |= {"cached": True, "age_s": round(outcome.cached_age_s, 3)}
    if left_out := _left_out(exchange):
        summary["left_out"] = left_out
    if (confidence := confidence_as_dict(outcome)) is not None:
        summary["confidence"] = confidence
    account = exchange.get("restoring")
    if account and (account.withheld or account.beyond):
        summary["placeholders_kept"] = {"address_or_name": account.withheld, "too_much": account.beyond}
    choosing = exchange.get("choosing")
    if choosing and (choosing.taken_out or choosing.corrected or choosing.unknown or not choosing.fits):
        summary["choosing"] = choosing.as_dict(with_kinds=exchange.request.explain)
    if exchange.request.dry_run:
        summary["dry_run"] = True
    if exchange.request.explain or exchange.request.dry_run:
        summary["explain"] = explained(exchange)
    return summary


def _left_out(exchange: Exchange) -> list[str]:
    """Fields of the request that the model elsewhere that answers does not take, so that it answers without them."""
    outcome = exchange.outcome
    return list(outcome.sent.left_out) if outcome.sent is not None and outcome.answered_by.route != EDGE else []


def _headers(gateway: Gateway, exchange: Exchange) -> dict[str, str]:
    by = exchange.outcome.answered_by
    headers = {
        "x-netgpt-exchange": exchange.id, "x-netgpt-route": by.route, "x-netgpt-arm": by.name,
        "x-netgpt-rule": by.rule, LOAD_HEADER: _load(gateway).text,
    }  # fmt: skip
    if left_out := _left_out(exchange):
        headers["x-netgpt-left-out"] = ", ".join(left_out)
    if (confidence := exchange.outcome.confidence) is not None:
        headers["x-netgpt-confidence"] = f"{confidence.chance:.2f}"
    if used := exchange.adapters_used():
        headers["x-netgpt-adapter"] = ",".join(used)
    return headers


def _load(gateway: Gateway) -> Load:
    """How busy the model on this box is, this answer included: for neighbours that route by load."""
    now = gateway.signals.view().system
    return Load(now.engine_slots, now.engine_busy, now.engine_waiting)
