"""A shaped link on loopback: a TCP relay with a rate, a delay and a jitter, which counts what it carries.

In user space, because a delay in the kernel needs the `netem` module and rights that few machines give. What is
shaped is the stream of bytes: the handshakes of TCP (and of TLS, which the relay does not speak) cost nothing here,
and nothing is lost on the way. A delivery may come up to 1 ms late: the event loop's clock is no finer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

__all__ = ["Direction", "Shape", "ShapedLink"]

BUFFER_S = 0.25
"""Seconds of traffic that may wait for the rate; then the sender is made to wait (a full buffer, without loss)."""
PACKET_BYTES = 1500
PIECE_S = 0.001
"""Bytes travel in pieces of a packet, or of a millisecond of the rate where that is more: fewer wake-ups."""
LARGEST_PIECE = 65_536

Tap = Callable[[Literal["up", "down"], bytes], None]
"""Sees every piece as it enters the link."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a link is like, the same in both directions."""

    rate_mbit: float | None = None
    """Megabits (10^6 bits) per second, shared by all connections; None: as fast as loopback is."""
    delay_ms: float = 0.0
    """One way."""
    jitter_ms: float = 0.0
    """Up to this much is added to each piece, evenly spread; the order within a connection stays."""
    burst_bytes: int = 0
    """So many bytes may pass at once after silence (the depth of the token bucket)."""

    @property
    def bytes_per_s(self) -> float | None:
        return None if self.rate_mbit is None else self.rate_mbit * 125_000

    def __str__(self) -> str:
        rate = "no limit" if self.rate_mbit is None else f"{self.rate_mbit:g} Mbit/s"
        return f"{rate}, {self.delay_ms:g} ms"


class Direction:
    """One direction of a link: a token bucket in front of a delay, and a count of the bytes that entered it."""

    def __init__(self, seed: int) -> None:
        self.bytes = 0
        self._full_at = 0.0
        """When the bucket is empty again, written as the time by which all traffic so far is through."""
        self._random = random.Random(seed)

    def schedule(self, size: int, now: float, shape: Shape) -> tuple[float, float]:
        """When a piece that enters at `now` has left the bucket, and when it arrives (seconds of one clock)."""
        self.bytes += size
        leaves = now
        if shape.bytes_per_s is not None:
            credit = shape.burst_bytes / shape.bytes_per_s
            self._full_at = max(self._full_at, now - credit) + size / shape.bytes_per_s
            leaves = max(now, self._full_at)
        jitter = self._random.uniform(0, shape.jitter_ms) if shape.jitter_ms else 0.0
        return leaves, leaves + (shape.delay_ms + jitter) / 1000


class ShapedLink:
    """Relays connections to `host`:`port` over a link of `shape`; listens on a free port of 127.0.0.1.

    `shape` may be set at any time: it holds for what enters the link from then on. `up` counts the bytes towards
    the server, `down` those back. `seed` fixes the jitter. Use it as an async context manager, or `start`/`close`.
    """

    def __init__(
        self, port: int, shape: Shape | None = None, *, host: str = "127.0.0.1", seed: int = 0, tap: Tap | None = None
    ) -> None:
        self.shape = shape or Shape()
        self._host, self._to_port, self._tap = host, port, tap
        self._up, self._down = Direction(seed), Direction(seed + 1)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> int:
        """Bytes that entered towards the server since the start."""
        return self._up.bytes

    @property
    def down(self) -> int:
        """Bytes that entered from the server since the start."""
        return self._down.bytes

    @property
    def port(self) -> int:
        """Where to connect. RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the link was not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        """Stop listening and cut what is under way."""
        if self._server is not None:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def __aenter__(self) -> ShapedLink:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            with suppress(OSError, asyncio.CancelledError):  # either side's end is the other side's end
                await self._relay(reader, writer)
        finally:
            self._relays.discard(relay)
            writer.transport.abort()

    async def _relay(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection(self._host, self._to_port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(near, far_writer, "up"))
                group.create_task(self._carry(far, near_writer, "down"))
        except* OSError:
            pass
        finally:
            far_writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: Literal["up", "down"]
    ) -> None:
        """Read, schedule, deliver: one direction of one connection."""
        direction = self._up if name == "up" else self._down
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(_deliver(queue, writer))
            last = 0.0
            while True:
                piece = await reader.read(self._piece_bytes())
                if self._tap is not None and piece:
                    self._tap(name, piece)
                leaves, arrives = direction.schedule(len(piece), clock(), self.shape)
                last = max(last, arrives)
                queue.put_nowait((last, piece))  # the end (an empty piece) travels like the rest
                if not piece:
                    return
                await asyncio.sleep(max(0.0, leaves - clock() - BUFFER_S))

    def _piece_bytes(self) -> int:
        rate = self.shape.bytes_per_s
        return LARGEST_PIECE if rate is None else min(LARGEST_PIECE, max(PACKET_BYTES, int(rate * PIECE_S)))


async def _deliver(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """Write each piece when it arrives; an empty one closes this direction."""
    clock = asyncio.get_running_loop().time
    while True:
        arrives, piece = await queue.get()
        await asyncio.sleep(max(0.0, arrives - clock()))
        if not piece:
            writer.write_eof()
            return
        writer.write(piece)
        await writer.drain()
