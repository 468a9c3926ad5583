"""ASGI middleware before the framework: limits on bodies and on requests at once, and authentication."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt.app.metrics import Metrics
from netgpt.errors import NetGPTError, PayloadTooLarge, RateLimited
from netgpt.settings.sections import Server
from netgpt.web.auth import HEADERS, caller_of
from netgpt.web.errors import error_response, unforeseen_response

NOT_CHATS = 64
"""Requests in work beside the chats that work or wait: those that need no permit, and those about to be refused one."""
ALWAYS_OPEN = ("/healthz", "/readyz", "/metrics")


class LimitsMiddleware:
    """Limits on the body and on requests at once. A plain ASGI layer: streams and hang-ups pass through untouched."""

    def __init__(self, app: ASGIApp, server: Server, metrics: Metrics) -> None:
        self.app, self.server, self.metrics = app, server, metrics
        self.in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
        except NetGPTError as error:
            self.metrics.refused.labels(error.code).inc()
            await error_response(error)(scope, receive, send)
            return
        self.in_work += 1
        try:
            await self.app(scope, self._limited(receive), _with_headers(scope, send))
        finally:
            self.in_work -= 1

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.server.max_body_bytes:
            raise self._too_large()
        most = self.server.max_concurrency + self.server.max_waiting + NOT_CHATS
        if self.in_work >= most and scope["path"] not in ALWAYS_OPEN:
            raise RateLimited(
                f"{most} requests are in work or wait; try again soon (server.max_concurrency, server.max_waiting)",
                code="too_many_requests",
                retry_after=1,
            )

    def _limited(self, receive: Receive) -> Receive:
        """Count the bytes of a body that came without a length."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.server.max_body_bytes:
                    raise self._too_large()
            return message

        return counted

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"the body is larger than {self.server.max_body_bytes} bytes (server.max_body_bytes); shorten the request"
        )


def _with_headers(scope: Scope, send: Send) -> Send:
    """Add the headers that the scope holds by then: the rate limits of the key."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and (added := scope.get(HEADERS)):
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sent


class AuthMiddleware:
    """Lets nobody without a key to anything under /v1, whether it exists or not.

    It runs before the framework, which would read the body first. `caller_of` keeps its answer for the endpoints.
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
