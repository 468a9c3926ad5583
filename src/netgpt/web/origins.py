"""Pages and extensions of browsers that may call the API (CORS): those that `server.origins` names, nobody else.

A browser asks first (a preflight, answered here before anything else), and hides an answer, whole, streamed or an
error, that does not say whose page may read it. Cookies are no part of it: there are none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from netgpt.app.gateway import Gateway
from netgpt.errors import PermissionDenied
from netgpt.web.errors import error_response

ORIGIN: Final = b"origin"
_METHODS: Final = "GET, HEAD, POST, PATCH, PUT, DELETE"
_MAX_AGE_S: Final = 600
_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_ALWAYS_READ: Final = frozenset({"content-length", "content-type", "cache-control", "vary", "date", "connection"})
"""Headers that a page may read anyway (Fetch, section 2.2.2), or that say nothing."""


@lru_cache(maxsize=64)
def _pattern(origins: tuple[str, ...]) -> re.Pattern[str]:
    """`*` stands for names or a port, never for a scheme: `vscode-webview://*`, `https://*.example`."""
    written = (re.escape(each.lower()).replace(r":\*", r":\d{1,5}").replace(r"\*", "[^/:]+") for each in origins)
    return re.compile("|".join(written) or r"(?!)")


def allows(origins: tuple[str, ...], origin: str) -> bool:
    """Whether the owner named this origin. `null`, which any page can be, is never allowed."""
    return origin != "null" and _pattern(origins).fullmatch(origin.lower()) is not None


def not_allowed() -> PermissionDenied:
    return PermissionDenied(
        "a web page of another site may not call this box unless server.origins names its origin, such as "
        '["https://chat.example", "chrome-extension://..."]',
        code="cross_site",
    )


class CorsMiddleware:
    """A plain ASGI layer around everything that answers: refusals are read by pages too."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self.app, self.gateway = app, gateway

    @property
    def origins(self) -> tuple[str, ...]:
        return self.gateway.settings.server.origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.getlist("origin")
        origin = given[0] if len(given) == 1 and allows(self.origins, given[0]) else None
        if scope["method"] == "OPTIONS" and given and "access-control-request-method" in headers:
            await self._preflight(headers, origin)(scope, receive, send)
        else:
            await self.app(scope, receive, self._marked(send, origin))

    @staticmethod
    def _preflight(asked: Headers, origin: str | None) -> Response:
        if origin is None:
            return error_response(not_allowed())
        told = {
            "access-control-allow-origin": origin, "access-control-allow-methods": _METHODS,
            "access-control-max-age": str(_MAX_AGE_S), "vary": "Origin, Access-Control-Request-Headers",
        }  # fmt: skip
        wanted = asked.get("access-control-request-headers", "")
        if _NAMES.fullmatch(wanted):
            told["access-control-allow-headers"] = wanted
        if asked.get("access-control-request-private-network") == "true":
            told["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers=told)

    def _marked(self, send: Send, origin: str | None) -> Send:
        """Mark the answer for its page; for caches, that it depends on who asked."""
        if not self.origins:
            return send

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"vary", b"Origin")]
                if origin is not None:
                    names = {name.decode("latin-1").lower() for name, _ in message["headers"]} - _ALWAYS_READ
                    added.append((b"access-control-allow-origin", origin.encode("latin-1")))
                    added.append((b"access-control-expose-headers", ", ".join(sorted(names)).encode("latin-1")))
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return marked
