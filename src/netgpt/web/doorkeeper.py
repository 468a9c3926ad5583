"""Nobody's body is read before it is known who comes: the framework would parse it first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.errors import NetGPTError
from netgpt.web.auth import caller_of
from netgpt.web.errors import error_response, unforeseen_response

__all__ = ["Doorkeeper"]


class Doorkeeper:
    """Stands before the framework and lets nobody without a key to anything under /v1, whether it exists or not.

    The endpoints ask `caller_of` again, which remembers what it answered for this request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            scope["app"] = self.app
            try:
                await caller_of(Request(scope))
            except NetGPTError as error:
                await error_response(error)(scope, receive, send)
                return
            except Exception as error:  # noqa: BLE001 - outside of the framework: nobody else answers the caller
                await unforeseen_response(error, f"{scope['method']} {scope['path']}")(scope, receive, send)
                return
        await self.app(scope, receive, send)
