"""Messages between the processes of one gateway: a topic and JSON values, whole and in order, over a pair of sockets.

What is said here counts at once and is kept nowhere: whoever starts later asks the store.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import orjson

log = logging.getLogger(__name__)

_LONGEST: Final = 32_000_000
"""Bytes of one message: figures of thousands of links."""
_MOST_BEHIND: Final = 16_000_000
"""Bytes that may wait for a process that does not listen; what comes then is dropped, so that it costs no memory."""

Hear = Callable[[str, Any], None]


class Channel:
    """One end. `hear` gets each message in the running loop; what fails in it is logged and ends nothing."""

    def __init__(self, line: socket.socket, hear: Hear) -> None:
        line.setblocking(False)
        self._line, self._hear = line, hear
        self._writer: asyncio.StreamWriter | None = None
        self._early: list[bytes] = []
        self._reader: asyncio.StreamReader | None = None

    async def open(self) -> None:
        """Connect it with the running loop, and send what was said before."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._line, limit=_LONGEST)
        for message in self._early:
            self._writer.write(message)
        self._early.clear()

    async def listen(self) -> None:
        """Hear until the other end is gone."""
        assert self._reader is not None, "open it first"
        with suppress(OSError, ValueError):  # the other process died, or speaks nonsense
            while message := await self._reader.readline():
                topic, data = orjson.loads(message)
                try:
                    self._hear(topic, data)
                except Exception as error:  # noqa: BLE001 - one message must not end all others
                    log.error("a message between workers (%s) failed: unforeseen %s", topic, type(error).__name__)

    def say(self, topic: str, data: Any = None) -> None:
        """Send; never waits. What the other end is too far behind to hear is dropped."""
        message = orjson.dumps([topic, data]) + b"\n"
        if self._writer is None:
            self._early.append(message)
        elif not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < _MOST_BEHIND:
            self._writer.write(message)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        else:
            self._line.close()
