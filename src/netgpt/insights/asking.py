"""One short HTTP question to the operator's network. No redirects, cookies, proxies or log lines."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from netgpt.errors import SettingsError

__all__ = ["NO_TOKEN", "Asker", "Reply", "Token", "Unheard"]

MAX_BYTES = 1_000_000
"""An answer beyond this is not read to its end."""
_CURES = {
    400: "it does not accept this question; check the identifiers in [insights]",
    401: "the token was refused; check it in [insights]",
    403: "the token may not ask this; check it in [insights]",
    404: "no such address, cell or device; check [insights]",
    422: "the device cannot be told from the token and the identifiers; check [insights]",
    429: "too many questions; raise insights.every_s",
}

Reply = Mapping[str, Any]
"""A JSON object."""


class Unheard(Exception):
    """No answer that can be used; the text says why, in one safe sentence without the answer's own words."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is shown as the bearer: as it is set, or the text of a file that somebody else may renew."""

    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self) -> str | None:
        """For one question. Raises Unheard: the file cannot be read, or holds no token."""
        shown = self.value
        if self.file is not None:
            try:
                shown = self.file.expanduser().read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise Unheard("the file with its token cannot be read; check [insights]") from None
        if shown and not (shown.isascii() and shown.isprintable()):
            raise Unheard("its token holds characters that an HTTP header cannot carry; check [insights]")
        return shown


NO_TOKEN = Token()


class Asker:
    """Asks with a time limit, in seconds for all of a question. One client for all, made at the first."""

    def __init__(self, *, timeout_s: float, ca_file: Path | None = None) -> None:
        """Raises SettingsError: `ca_file` holds no certificates."""
        self._timeout_s = timeout_s
        self._trust = None if ca_file is None else _trust(ca_file)
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, query: Sequence[tuple[str, str]], token: Token) -> Reply:
        """A JSON object. Raises Unheard."""
        return await self._ask("GET", url, token, params=list(query))

    async def post(self, url: str, body: Mapping[str, Any], token: Token) -> Reply:
        """As `get`, with a JSON body."""
        return await self._ask("POST", url, token, content=orjson.dumps(body))

    async def _ask(self, method: str, url: str, token: Token, **sent: Any) -> Reply:
        headers = {"Accept": "application/json", "User-Agent": "netgpt"}
        if shown := token.read():
            headers["Authorization"] = f"Bearer {shown}"
        if "content" in sent:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._open().stream(method, url, headers=headers, **sent) as answer,
            ):
                return _object(answer.status_code, await _body(answer))
        except TimeoutError:
            raise Unheard(f"it said nothing for {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise Unheard(f"it cannot be reached ({type(error).__name__})") from None

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=self._timeout_s,
                verify=self._trust or httpx.create_ssl_context(trust_env=False),
            )
        return self._client

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file.expanduser())
    except OSError:  # ssl.SSLError is one
        raise SettingsError(f"insights.ca_file: {ca_file} holds no certificate that can be read") from None


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise Unheard(f"its answer is larger than {MAX_BYTES} bytes")
    return bytes(body)


def _object(status: int, body: bytes) -> Reply:
    if status != 200:
        cure = _CURES.get(status, "its own fault" if status >= 500 else "not what was expected")
        raise Unheard(f"it answered {status}: {cure}")
    try:
        told = orjson.loads(body)
    except ValueError:
        raise Unheard("its answer is not JSON") from None
    if not isinstance(told, dict):
        raise Unheard("its answer is not a JSON object")
    return told
