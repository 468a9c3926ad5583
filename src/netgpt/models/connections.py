"""A pool of connections with constant cost per call: the one used last is used next."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque

from netgpt.models.connecting import PoolKey, connect
from netgpt.models.endpoint import SYSTEM_TRUST, Trust
from netgpt.models.http1 import Http1
from netgpt.models.tls import trusted_certificates

__all__ = ["Connections", "NoneFree"]


class NoneFree(Exception):
    """Every connection stayed busy."""


class Connections:
    """At most `limit` calls at once. Belongs to the event loop that first uses it.

    A call takes its turn (`enter`, `leave`), and within it a connection for each try (`take`, `give_back`).
    """

    def __init__(self, limit: int, *, connect_timeout_s: float, timeout_s: float, trust: Trust = SYSTEM_TRUST) -> None:
        self._connect_timeout_s, self._timeout_s = connect_timeout_s, timeout_s
        self._turns = asyncio.Semaphore(limit)
        self._idle: deque[tuple[float, PoolKey, Http1]] = deque()
        """In the order in which they were given back, each with the time until which it may be used."""
        self._busy: dict[Http1, PoolKey] = {}
        self._trust = trust
        self._tls: ssl.SSLContext | None = None

    async def enter(self) -> None:
        """Wait for one's turn. Raises NoneFree when none is free in time."""
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            await asyncio.wait_for(self._turns.acquire(), self._timeout_s)
        except TimeoutError:
            raise NoneFree from None

    def leave(self) -> None:
        """End of a turn."""
        self._turns.release()

    async def take(self, origin: PoolKey, *, fresh: bool = False) -> Http1:
        """A connection to `origin`: the one used last, or a new one. Raises httpx.ConnectTimeout and ConnectError."""
        connection = None if fresh else self._kept(origin)
        if connection is None:
            tls = self._certificates() if origin.tls else None
            connection = await connect(origin, tls, limit_s=self._connect_timeout_s, timeout_s=self._timeout_s)
        self._busy[connection] = origin
        return connection

    def _kept(self, origin: PoolKey) -> Http1 | None:
        while self._idle:
            until, where, connection = self._idle.pop()
            if where == origin and not connection.closed and time.monotonic() < until:
                return connection
            connection.abort()  # gone, too old, or to a server that has moved
        return None

    def give_back(self, connection: Http1) -> None:
        """Keep it for the next call, or close it when its answer was not read to the end."""
        origin = self._busy.pop(connection, None)
        if origin is None or not connection.release():
            connection.abort()
            return
        now = time.monotonic()
        self._idle.append((now + connection.idle_s, origin, connection))
        while self._idle and now > self._idle[0][0]:
            self._idle.popleft()[2].abort()

    def _certificates(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = trusted_certificates(self._trust)
        return self._tls

    async def close(self) -> None:
        """Close every connection, also those at work."""
        connections = [*(each for _, _, each in self._idle), *self._busy]
        self._idle.clear()
        self._busy.clear()
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
