"""The HTTP door: one FastAPI app around one box."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from netgpt import __version__
from netgpt.build import Box
from netgpt.web import adapters, chat, errors, exchanges, health, models, openapi, profiles, receipts, rights
from netgpt.web.access import Access
from netgpt.web.doorkeeper import Doorkeeper
from netgpt.web.guard import Guard

__all__ = ["create_app"]


def create_app(box: Box) -> ASGIApp:
    """The app. It starts the box when the server starts and closes it, drained, when the server stops."""

    access = Access(box)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            await box.start()
            yield
        finally:
            await access.close()
            await box.close()

    app = FastAPI(title="NetGPT", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.box, app.state.access = box, access
    for module in (chat, exchanges, receipts, profiles, rights, adapters, models, health):
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app)
    return Guard(chat.ChatDoor(app, Doorkeeper(app)), box.settings.server, box.metrics)
