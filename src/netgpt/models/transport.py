"""HTTP to one model server: a pool of connections, a timeout per phase, retries before the first byte.

It uses httpx's transport without httpx's client: no redirect, cookie, proxy or log line, and less time per call.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import httpx

from netgpt.errors import BrokenStream, SettingsError
from netgpt.models.connections import Connections, NoneFree
from netgpt.models.endpoint import Endpoint
from netgpt.models.failures import Failure, Peer, busy, failed_status, failed_transport
from netgpt.models.retry import RetryPolicy

__all__ = ["MAX_ANSWER_BYTES", "Target", "Transport"]

_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name, an IPv4 or an IPv6 address. Names in other scripts are IDNA-encoded by now."""
MAX_ANSWER_BYTES = 32_000_000
_MAX_ERROR_BYTES = 64_000


class Target:
    """One endpoint made ready for calls: its URL and headers, worked out once. `repr` shows no key."""

    def __init__(self, name: str, section: str, endpoint: Endpoint) -> None:
        """Raises SettingsError when the address is no HTTP URL or the key cannot stand in a header."""
        url = _http_url(section, endpoint.base_url)
        self.url = url.copy_with(path=url.path.rstrip("/"))
        self.peer = Peer(name, url.netloc.decode("ascii"), section)
        self.headers = _headers(section, endpoint.api_key)
        self._paths: dict[str, httpx.URL] = {}

    def __repr__(self) -> str:
        return f"<Target {self.peer}>"

    def request(self, path: str, content: bytes, timeouts: dict[str, float]) -> httpx.Request:
        url = self._paths.get(path)
        if url is None:
            url = self._paths[path] = self.url.copy_with(path=self.url.path + path)
        return httpx.Request("POST", url, headers=self.headers, content=content, extensions={"timeout": timeouts})


def _http_url(section: str, base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host):
        raise SettingsError(f'{section}.base_url must be an HTTP address, such as "https://cloud.example/v1"')
    return url


def _headers(section: str, key: str | None) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Accept", b"text/event-stream, application/json"),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", b"netgpt"),
    ]
    if key:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise SettingsError(f"{section}.api_key holds characters that an HTTP header cannot carry")
        headers.append((b"Authorization", b"Bearer " + key.encode("ascii")))
    return headers


class Transport:
    """Posts JSON and gives the answer once its headers say 2xx. Made of nothing until the first call."""

    def __init__(self, *, timeout_s: float, connect_timeout_s: float, max_connections: int, retry: RetryPolicy) -> None:
        """`timeout_s`: seconds without a byte; `connect_timeout_s`: seconds to open a connection."""
        self.timeout_s = timeout_s
        self._timeouts = {"connect": connect_timeout_s, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        self._max_connections = max_connections
        self._retry = retry
        self._pool: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def post(self, target: Target, path: str, content: bytes) -> AsyncGenerator[httpx.Response, None]:
        """The open answer, status 2xx, closed at the end of the block. The connection is held while retries wait.

        Raises ModelError and its children, ContextTooLong.
        """
        try:
            async with self._connections().one(self.timeout_s) as connection:
                response = await self._answer(connection, target, path, content)
                try:
                    yield response
                finally:
                    await response.aclose()
        except NoneFree:
            raise busy(target.peer) from None

    async def _answer(
        self, connection: httpx.AsyncHTTPTransport, target: Target, path: str, content: bytes
    ) -> httpx.Response:
        for tried in itertools.count():
            result = await self._try(connection, target, path, content)
            if isinstance(result, httpx.Response):
                return result
            wait_s = self._retry.wait_s(tried, result.error.retry_after) if result.again else None
            if wait_s is None:
                raise result.error
            await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _try(
        self, connection: httpx.AsyncHTTPTransport, target: Target, path: str, content: bytes
    ) -> httpx.Response | Failure:
        request = target.request(path, content, self._timeouts)
        try:
            response = await connection.handle_async_request(request)
        except httpx.HTTPError as error:
            return failed_transport(target.peer, error, timeout_s=self.timeout_s, answering=False)
        if response.is_success:
            return response
        try:
            return failed_status(target.peer, response, await _beginning(response))
        finally:
            await response.aclose()

    def _connections(self) -> Connections:
        """The pool of the running loop: sockets of a loop that has ended are of no use."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._pool, self._loop = Connections(self._max_connections), loop
        return self._pool

    async def pieces(self, target: Target, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer as they come.

        Raises BrokenStream (cut, or larger than 32 MB in all) and ModelTimeout.
        """
        total = 0
        coded = "content-encoding" in response.headers
        source = response.aiter_bytes() if coded else response.aiter_raw()
        try:
            async with aclosing(source):  # type: ignore[type-var]
                async for piece in source:
                    total += len(piece)
                    if total > MAX_ANSWER_BYTES:
                        raise BrokenStream(f"the answer of {target.peer} is larger than {MAX_ANSWER_BYTES} bytes")
                    yield piece
        except httpx.DecodingError:
            raise BrokenStream(f"{target.peer} sent an answer whose compression is damaged") from None
        except httpx.HTTPError as error:
            failure = failed_transport(target.peer, error, timeout_s=self.timeout_s, answering=True)
            raise failure.error from None

    async def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.close()
        self._loop = None


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error's body as is worth reading; what fails to arrive is done without."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _MAX_ERROR_BYTES:
                break
    except httpx.HTTPError:
        return b""
    return bytes(body)
