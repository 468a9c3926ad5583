"""The HTTP door: one FastAPI app around one box."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp

from netgpt import __version__
from netgpt.build import Box
from netgpt.web import (
    adapters,
    chat,
    errors,
    exchanges,
    health,
    models,
    openapi,
    profiles,
    receipts,
    rights,
    signals,
    waiting,
)
from netgpt.web.access import Access
from netgpt.web.deferred import Deferred
from netgpt.web.doorkeeper import Doorkeeper
from netgpt.web.guard import Guard
from netgpt.web.lanes import admission_of

__all__ = ["create_app"]


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
    for module in (chat, waiting, exchanges, receipts, profiles, rights, adapters, models, signals, health):
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app)
    return Guard(chat.ChatDoor(app, Doorkeeper(app)), box.settings.server, box.metrics)
