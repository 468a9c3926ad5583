"""Connections from one listening socket that several processes take from.

A loop's own server takes all that wait at once, so one process would get a whole crowd. Here each takes one, turns to
its other work, and comes back: who has more to do comes back later, and leaves the next to another.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from netgpt.web.lifecycle import Drained

log = logging.getLogger(__name__)

_REST_S: Final = 1.0
"""After an error that lasts, such as too many open files: until then the other processes take what comes."""
_LASTS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class SharedSocket:
    """Takes connections until it is closed; with what uvicorn asks of a server of its own."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        """`listener` listens already."""
        listener.setblocking(False)
        self._listener, self._protocol = listener, protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._closed = False

    def open(self) -> None:
        """Begin to take connections."""
        self._loop.add_reader(self._listener.fileno(), self._take)

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or its caller has left
        except OSError as error:
            if error.errno not in _LASTS:
                raise
            log.error("no connection can be taken for %g s: %s", _REST_S, error.strerror)
            self._loop.remove_reader(self._listener.fileno())
            self._resting = self._loop.call_later(_REST_S, self.open)
            return
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opening = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[Any]) -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and (error := opening.exception()) is not None:
            log.debug("a connection ended before it began: %s", type(error).__name__)

    def close(self) -> None:
        """Take no more; what was taken goes on."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener.fileno())
            if self._resting is not None:
                self._resting.cancel()
            self._listener.close()

    async def wait_closed(self) -> None:
        """Those that were just taken have begun."""
        await asyncio.gather(*self._opening, return_exceptions=True)


class DrainedWorker(Drained):
    """`Drained` on a socket that other processes take from, too."""

    listener: socket.socket

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        config: Any = self.config
        make = partial(
            config.http_protocol_class, config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        shared: Any = SharedSocket(self.listener, make)
        shared.open()
        self.servers.append(shared)
