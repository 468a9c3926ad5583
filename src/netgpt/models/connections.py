"""A pool of connections with constant cost per call.

httpx's own pool looks at every connection at every call, and at each of them again: with 100 connections that is most
of the time of a call. Here each connection is an httpx transport of its own, and the one used last is used next.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

__all__ = ["Connections", "NoneFree"]

_KEEP_IDLE_S = 60.0
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_IDLE_S)


class NoneFree(Exception):
    """Every connection stayed busy."""


class Connections:
    """At most `limit` connections, opened when needed. Belongs to the event loop that first uses it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()
        """Oldest first, with the time when each was given back."""
        self._busy: set[httpx.AsyncHTTPTransport] = set()
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def one(self, wait_s: float) -> AsyncGenerator[httpx.AsyncHTTPTransport, None]:
        """One connection for the time of a call. Raises NoneFree when none is free within `wait_s` seconds."""
        if self._free.locked():
            try:
                await asyncio.wait_for(self._free.acquire(), wait_s)
            except TimeoutError:
                raise NoneFree from None
        else:
            await self._free.acquire()
        connection = self._idle.pop()[1] if self._idle else self._new()
        self._busy.add(connection)
        try:
            yield connection
        finally:
            self._busy.discard(connection)
            self._idle.append((time.monotonic(), connection))
            self._free.release()
            await self._drop_old()

    def _new(self) -> httpx.AsyncHTTPTransport:
        if self._tls is None:
            self._tls = trusted_certificates()
        return httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=_ONE)

    async def _drop_old(self) -> None:
        while self._idle and time.monotonic() - self._idle[0][0] > _KEEP_IDLE_S:
            await self._idle.popleft()[1].aclose()

    async def close(self) -> None:
        """Close every connection, also those at work."""
        connections = [*(each for _, each in self._idle), *self._busy]
        self._idle.clear()
        for connection in connections:
            await connection.aclose()


def trusted_certificates() -> ssl.SSLContext:
    """The system's certificates (OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR itself), else certifi's."""
    context = ssl.create_default_context()
    folder = ssl.get_default_verify_paths().capath
    if not context.cert_store_stats()["x509_ca"] and not (folder and any(Path(folder).iterdir())):
        import certifi

        context.load_verify_locations(certifi.where())
    return context
