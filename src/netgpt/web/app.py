"""The HTTP front end: one FastAPI app around one gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt import __version__
from netgpt.app.gateway import Gateway
from netgpt.exchange import Exchange
from netgpt.routing.candidates import AUTO
from netgpt.web import (
    admin,
    caller,
    conversations,
    doctor,
    errors,
    exchanges,
    fleet,
    keys,
    live,
    logs,
    messages,
    openapi,
    peers,
    policy,
    profiles,
    reports,
    responses,
    routing,
    settings,
    training,
    usage,
    what_if,
)
from netgpt.web.access_log import AccessLog
from netgpt.web.admission import LEAST_WAIT_ELSEWHERE_S, Admission, Pool, PoolStart
from netgpt.web.auth import AuthMiddleware, LimitsMiddleware
from netgpt.web.chat import ChatDoor
from netgpt.web.completions import CompletionsDoor, SeveralPrompts
from netgpt.web.console import Console
from netgpt.web.deferred import Deferred
from netgpt.web.doors import Door, Doors, declare, whole_of
from netgpt.web.mcp import AgentsDoor
from netgpt.web.messages import MessagesDoor
from netgpt.web.oidc import Access
from netgpt.web.origins import CorsMiddleware
from netgpt.web.responses import ResponsesDoor
from netgpt.web.rights import RIGHTS, Right, entered

DOORS: Final[tuple[Door, ...]] = (ChatDoor(), ResponsesDoor(), MessagesDoor(), CompletionsDoor())
"""The APIs in which this box may be asked."""
UNKNOWN = PoolStart(8, 2)
"""A pool when nothing is known of the server behind it."""
ELSEWHERE = PoolStart(256, 16, LEAST_WAIT_ELSEWHERE_S)
"""A server elsewhere: hundreds at once are usual, and few answer fewer than sixteen."""


def admission_of(gateway: Gateway) -> Admission:
    """Admission as the settings say, with its metrics."""
    server, edge = gateway.settings.server, gateway.settings.edge
    slots = edge.slots if gateway.crew is None else gateway.crew.post.share(edge.slots, 1)

    def first(pool: str) -> PoolStart:
        if pool != "edge" and gateway.remotes:
            return ELSEWHERE
        if pool in ("edge", AUTO) and edge.base_url is None:
            return PoolStart(slots + 1, slots)
        return UNKNOWN

    admission = Admission(
        at_once=server.max_concurrency,
        waiting=server.max_waiting,
        max_wait_s=server.max_wait_s,
        first=first,
        refused=lambda code: gateway.metrics.refused.labels(code).inc(),
    )

    def counted(pool: Pool) -> None:
        places = gateway.metrics.places
        places.labels(pool.name, "at_work").set_function(lambda: pool.at_work)
        places.labels(pool.name, "waiting").set_function(lambda: len(pool.turns))
        places.labels(pool.name, "limit").set_function(lambda: pool.limit.value)

    admission.opened.append(counted)
    return admission


class Signed:
    """Says which worker answered: `x-netgpt-worker`. Only where there are several."""

    def __init__(self, app: ASGIApp, number: int) -> None:
        self.app, self._header = app, (b"x-netgpt-worker", b"%d" % number)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self._header]}
            await send(message)

        await self.app(scope, receive, signed)


class AnswersHead:
    """HEAD as GET without the body (RFC 9110, section 9.3.2), which the framework leaves to each operation."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self.state = app, app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server's own still says HEAD, and sends no body
        await self.app(scope, receive, send)


def create_app(gateway: Gateway, rights: Mapping[str, Right] = RIGHTS, owner: peers.Owner | None = None) -> ASGIApp:
    """The app. It starts the gateway when the server starts and closes it, drained, when the server stops.

    `owner`: whose program is at the other end of a connection; None: the kernel is asked, where it can tell.
    """
    access = Access(gateway, owner)
    doors = {door.path: door for door in DOORS}

    async def answer(exchange: Exchange) -> dict[str, Any]:
        return await whole_of(gateway, doors[exchange.request.door], exchange)

    deferred, examiner = Deferred(gateway, access, answer), doctor.Examiner(gateway)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            if access.owner is None and peers.can_tell():
                access.owner = peers.owner
            await gateway.start()
            deferred.start()
            if gateway.crew is not None:
                gateway.crew.ready()
            yield
        finally:
            await app.state.live.close()
            await deferred.close()
            await examiner.close()
            await agents.close()
            await access.close()
            await gateway.close()

    app = FastAPI(
        title="NetGPT", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False,
        dependencies=[Depends(entered)],
    )  # fmt: skip
    app.state.gateway, app.state.access, app.state.rights = gateway, access, rights
    app.state.examiner = examiner
    app.state.admission, app.state.deferred = admission_of(gateway), deferred
    app.state.live = live.LiveRows(gateway)
    declare(app, DOORS)
    for module in (
        responses, messages, live, exchanges, what_if, reports, usage, profiles, conversations, policy, admin, caller,
        settings, doctor, logs, fleet, keys, routing, training,
    ):  # fmt: skip
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app, {door.path: door.body for door in DOORS})
    inner: ASGIApp = AuthMiddleware(AnswersHead(app))
    inner = Console(inner) if gateway.settings.server.console else inner
    agents = AgentsDoor(gateway, app, SeveralPrompts(app, Doors(app, doors, inner)))
    limited = LimitsMiddleware(agents, gateway)
    reached: ASGIApp = CorsMiddleware(limited, gateway)
    if gateway.crew is not None:
        reached = Signed(reached, gateway.crew.post.number)
    return AccessLog(reached) if gateway.settings.server.access_log else reached
