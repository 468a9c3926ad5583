"""The HTTP door: one FastAPI app around one box."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp

from netgpt import __version__
from netgpt.app.gateway import Box
from netgpt.routing.candidates import AUTO
from netgpt.web import admin, chat, errors, exchanges, openapi, profiles
from netgpt.web.admission import Admission, Lane
from netgpt.web.deferred import Deferred
from netgpt.web.middleware import Doorkeeper, Guard
from netgpt.web.oidc import Access

# --- The places of a box: what its lanes begin with, and what is counted of them.

UNKNOWN = (8, 2)
"""What a lane begins with, and its lowest, where nothing is known of the server behind it."""
ELSEWHERE = (32, 16)
"""The same for a server elsewhere: few answer less than this at once."""


def admission_of(box: Box) -> Admission:
    """Places as the settings say, told to the metrics."""
    server, edge = box.settings.server, box.settings.edge

    def first(lane: str) -> tuple[int, int]:
        if lane != "edge" and box.remotes:
            return ELSEWHERE
        if lane in ("edge", AUTO) and edge.base_url is None:
            return edge.slots + 1, edge.slots
        return UNKNOWN

    admission = Admission(
        at_once=server.max_concurrency,
        waiting=server.max_waiting,
        max_wait_s=server.max_wait_s,
        first=first,
        refused=lambda code: box.metrics.refused.labels(code).inc(),
    )

    def counted(lane: Lane) -> None:
        places = box.metrics.places
        places.labels(lane.name, "at_work").set_function(lambda: lane.at_work)
        places.labels(lane.name, "waiting").set_function(lambda: len(lane.turns))
        places.labels(lane.name, "limit").set_function(lambda: lane.limit.value)

    admission.opened.append(counted)
    return admission


def create_app(box: Box) -> ASGIApp:
    """The app. It starts the box when the server starts and closes it, drained, when the server stops."""

    access = Access(box)
    deferred = Deferred(box, access, partial(chat.whole_of, box))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await box.start()
            deferred.start()
            yield
        finally:
            await deferred.close()
            await access.close()
            await box.close()

    app = FastAPI(title="NetGPT", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.box, app.state.access = box, access
    app.state.admission, app.state.deferred = admission_of(box), deferred
    for module in (chat, exchanges, profiles, admin):
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app)
    return Guard(chat.ChatDoor(app, Doorkeeper(app)), box.settings.server, box.metrics)
