"""The access log: one line a request, without a word that anybody wrote.

    POST /v1/chat/completions 200 412 ms key=key_9f2c exchange=ex_0193 route=cloud

Paths are shown as the API declares them, so that neither a person's name nor a query is in them.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt.types import SCOPE_OF
from netgpt.web.auth import CALLER
from netgpt.web.rights import RIGHTS

log = logging.getLogger("netgpt.access")

HUNG_UP: Final = 499
"""Logged where the caller left before any answer (nginx's number)."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FIXED: Final = frozenset(
    {"/", "/mcp", "/openapi.json", *(path for path in (each.partition(" ")[2] for each in RIGHTS) if "{" not in path)}
)
"""Paths that name nothing of anybody's."""


class AccessLog:
    """Logs each request when its answer has ended. A plain ASGI layer, the outermost: refusals pass it too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not log.isEnabledFor(logging.INFO):
            await self.app(scope, receive, send)
            return
        began, start = time.perf_counter(), list[Message]()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            told = start[0] if start else {}
            level = logging.DEBUG if _is_quiet(scope, told.get("status", HUNG_UP)) else logging.INFO
            log.log(level, "%s", _line(scope, told, time.perf_counter() - began))


def _is_quiet(scope: Scope, status: int) -> bool:
    """Whether who reads the log learns nothing of it: the console's files, and the very look at the log."""
    return status < 400 and scope["method"] == "GET" and (scope["path"] == "/v1/logs" or _of_console(scope["path"]))


def _of_console(path: str) -> bool:
    return path == "/console" or path.startswith("/console/")


def _line(scope: Scope, start: Message, took_s: float) -> str:
    headers = dict(start.get("headers") or ())
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    caller = scope.get(CALLER)
    parts = [method, shown_path(scope), str(start.get("status", HUNG_UP)), f"{took_s * 1000:.0f} ms"]
    parts.append(f"key={caller.key_id or '-' if caller is not None else '-'}")
    told = ((name, headers.get(f"x-netgpt-{name}".encode())) for name in ("exchange", "route"))
    return " ".join([*parts, *(f"{name}={value.decode('latin-1')}" for name, value in told if value is not None)])


def shown_path(scope: Scope) -> str:
    """The path as the API declares it: `/v1/profiles/{user}`. What it does not know is shown as far as it does."""
    path, declared = scope["path"], getattr(scope.get("route"), "path", None)
    if isinstance(declared, str):
        return declared
    if path in _FIXED:
        return str(path)
    if _of_console(path):
        return "/console/..."
    word = path.removeprefix("/v1/").partition("/")[0] if path.startswith("/v1/") else ""
    return f"/v1/{word}/..." if word in SCOPE_OF else "(no such path)"
