"""/console: a page of the box's own, a client of the public API like any other. Its files hold nothing of anybody.

They are read once, at the start, and served by name: no path of a request ever reaches the file system. The page runs
under a policy that lets it load and ask nothing but this box, and run no script but its own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from netgpt.errors import NotFound
from netgpt.web.errors import error_response

TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}
HOME: Final = "/console/"


class Asset(NamedTuple):
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """The files of the page by name, "pages/chat.js"; "" is the page itself."""
    found = dict(_read(resources.files("netgpt.web").joinpath("console"), ""))
    return {**found, "": found["index.html"]}


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _read(each, f"{prefix}{each.name}/")
        elif (media_type := TYPES.get(f".{each.name.rpartition('.')[2]}")) is not None:
            content = each.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            yield f"{prefix}{each.name}", Asset(content, media_type, etag)


class Console:
    """Answers GET and HEAD of the page and its files before the framework; everything else goes on to `others`.

    They need no key: they are the same for everybody. What the page shows it asks for, as any client does.
    """

    def __init__(self, others: ASGIApp) -> None:
        self.others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else ""
        if path in ("/", "/console"):
            await RedirectResponse(HOME, 307, HEADERS)(scope, receive, send)
        elif path.startswith(HOME):
            await _answer(path.removeprefix(HOME), Headers(scope=scope))(scope, receive, send)
        else:
            await self.others(scope, receive, send)


def _answer(name: str, asked: Headers) -> Response:
    found = assets().get(name)
    if found is None:
        return error_response(NotFound("the console has no such file; it is at /console/"))
    headers = {**HEADERS, "etag": found.etag}
    if asked.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
