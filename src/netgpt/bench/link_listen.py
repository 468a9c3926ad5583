"""Where a shaped link listens: its connections, and how new ones fare while the link is cut.

A program cannot stop the kernel from completing the handshakes of a listening socket. What it can do is keep the queue
of waiting connections full: then the kernel (Linux) drops each SYN, and who connects waits and tries again after one,
three and seven seconds, just as with a radio link that is gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["Listener"]

BACKLOG = 128
PLUGS = 8
"""At most so many connections of its own fill the queue; a backlog of 0 takes one or two."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Accepts connections on a free port of 127.0.0.1 and serves each in a task of its own."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._port: int | None = None
        self._socket: socket.socket | None = None
        self._plugs: dict[object, socket.socket] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._blocked = False

    @property
    def port(self) -> int:
        """Where to connect. RuntimeError before `start`."""
        if self._port is None:
            raise RuntimeError("the link was not started")
        return self._port

    def start(self) -> None:
        """Listen, or not yet where `block` came first."""
        self._listen()
        if self._blocked:
            self._blocked = False
            self.block()

    def block(self, *, refuse: bool = False) -> None:
        """New connections hang, or are refused. Safe to call twice."""
        if self._blocked:
            return
        self._blocked = True
        if self._socket is None:
            return
        self._stop_accepting()
        if refuse:
            self._socket.close()
            self._socket = None
        else:
            self._socket.listen(0)
            self._plug()

    def unblock(self) -> None:
        """Take connections again, those that hang among them. Safe to call twice."""
        if not self._blocked:
            return
        self._blocked = False
        for plug in self._plugs.values():
            plug.close()
        if self._port is None:
            return
        if self._socket is None:
            self._listen()
        else:
            self._socket.listen(BACKLOG)
            self._accept()

    def abort(self) -> None:
        """End all connections at once."""
        for connection in self._connections:
            connection.cancel()

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self._stop_accepting()
        for plug in self._plugs.values():
            plug.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _listen(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self._port or 0), backlog=BACKLOG)
        self._socket.setblocking(False)
        self._port = int(self._socket.getsockname()[1])
        self._accept()

    def _plug(self) -> None:
        """Fill the queue with connections of our own until the kernel takes no more."""
        assert self._socket is not None
        self._plugs = {}
        for _ in range(PLUGS):
            plug = socket.socket()
            plug.setblocking(False)
            with suppress(BlockingIOError):
                plug.connect(("127.0.0.1", self.port))
                self._plugs[plug.getsockname()] = plug
                continue
            plug.close()  # this one waits: the queue is full
            return

    def _accept(self) -> None:
        self._accepting = asyncio.get_running_loop().create_task(self._accept_all())

    def _stop_accepting(self) -> None:
        accepting, self._accepting = self._accepting, None
        if accepting is not None:
            accepting.cancel()

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._socket is not None:
            connection, peer = await loop.sock_accept(self._socket)
            if self._plugs.pop(peer, None) is not None:
                connection.close()
                continue
            task = loop.create_task(self._served(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _served(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            with suppress(OSError, asyncio.CancelledError):  # either side's end is the other side's end
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
