"""A shaped link on loopback: a TCP relay with a rate, a delay, a jitter, losses and cuts, which counts what it carries.

In user space, because a delay in the kernel needs the `netem` module and rights that few machines give. What is
shaped is the stream of bytes: the handshakes of TCP (and of TLS, which the relay does not speak) cost nothing here, and
the kernel's own round trip (TCP_INFO) is loopback's, not the link's. A delivery may come up to 1 ms late: the event
loop's clock is no finer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from netgpt.bench.link_listen import Listener
from netgpt.bench.link_shape import BUFFER_S, Direction, Flow, LinkShape
from netgpt.bench.link_trace import Trace

__all__ = ["Direction", "LinkShape", "ShapedLink"]

Tap = Callable[[Literal["up", "down"], bytes], None]
"""Sees every piece as it enters the link."""


class ShapedLink:
    """Relays connections to `host`:`port` over a link of `shape`; listens on a free port of 127.0.0.1.

    `shape` (both directions) or `up_shape` and `down_shape` may be set at any time: they hold for what enters the link
    from then on. `up` counts the bytes towards the server, `down` those back. `seed` fixes jitter and losses. Use it as
    an async context manager, or `start`/`close`.
    """

    def __init__(
        self,
        port: int,
        shape: LinkShape | None = None,
        *,
        down: LinkShape | None = None,
        host: str = "127.0.0.1",
        seed: int = 0,
        tap: Tap | None = None,
    ) -> None:
        """`down`: the shape of the way back where it differs."""
        self.up_shape = shape or LinkShape()
        self.down_shape = down or self.up_shape
        self._host, self._to_port, self._tap = host, port, tap
        self._up, self._down = Direction(seed), Direction(seed + 1)
        self._listener = Listener(self._serve)
        self._open = asyncio.Event()
        self._open.set()
        self._follower: asyncio.Task[None] | None = None

    @property
    def shape(self) -> LinkShape:
        """The shape towards the server."""
        return self.up_shape

    @shape.setter
    def shape(self, shape: LinkShape) -> None:
        self.up_shape = self.down_shape = shape

    @property
    def up(self) -> int:
        """Bytes that entered towards the server since the start."""
        return self._up.bytes

    @property
    def down(self) -> int:
        """Bytes that entered from the server since the start."""
        return self._down.bytes

    @property
    def lost(self) -> int:
        """Pieces that were lost and came late, both ways."""
        return self._up.lost + self._down.lost

    @property
    def port(self) -> int:
        """Where to connect. RuntimeError before `start`."""
        return self._listener.port

    @property
    def is_open(self) -> bool:
        """Whether anything passes now."""
        return self._open.is_set()

    async def start(self) -> None:
        """Listen."""
        self._listener.start()

    async def close(self) -> None:
        """Stop listening and following, and cut what is under way."""
        self.unfollow()
        await self._listener.close()

    def cut(self, *, reset: bool = False, refuse: bool = False) -> None:
        """From now on nothing passes: what was on its way waits, and new connections hang as on a dead radio link.

        `reset` ends the connections that are open; `refuse` refuses new ones at once. Safe to call twice.
        """
        self._open.clear()
        self._listener.block(refuse=refuse)
        if reset:
            self._listener.abort()

    def restore(self) -> None:
        """End a cut: what waited goes on at once. Safe to call without one.

        Real TCP tries a dead connection again after doubling pauses, so it may take as long again as the cut lasted.
        """
        self._open.set()
        self._listener.unblock()

    def follow(self, trace: Trace, *, loop: bool = True, start_s: float = 0.0) -> None:
        """Take the trace's rate, delay, loss and cuts from `start_s` on, second by second; from its start again at its
        end, or stay as it ended. A trace followed before is left."""
        self.unfollow()
        self._follower = asyncio.get_running_loop().create_task(self._follow(trace, loop, start_s))

    def unfollow(self) -> None:
        """Stay as it is now."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.cancel()

    async def __aenter__(self) -> ShapedLink:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _follow(self, trace: Trace, loop: bool, start_s: float) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for at_s, point in trace.schedule(start_s=start_s, loop=loop):
            await asyncio.sleep(max(0.0, began + at_s - clock()))
            if point.open:
                self.up_shape, self.down_shape = point.up, point.down
                self.restore()
            else:
                self.cut()

    async def _serve(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        await self._open.wait()
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
        flow = Flow(self._up if name == "up" else self._down)
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(queue, writer))
            while True:
                piece = await reader.read((self.up_shape if name == "up" else self.down_shape).piece_bytes)
                await self._open.wait()
                if self._tap is not None and piece:
                    self._tap(name, piece)
                shape = self.up_shape if name == "up" else self.down_shape
                leaves, arrives = flow.schedule(len(piece), clock(), shape, self._rtt_s())
                queue.put_nowait((arrives, piece))  # the end (an empty piece) travels like the rest
                if not piece:
                    return
                await asyncio.sleep(max(0.0, leaves - clock() - BUFFER_S))

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """Write each piece when it arrives; an empty one closes this direction."""
        clock = asyncio.get_running_loop().time
        while True:
            arrives, piece = await queue.get()
            await asyncio.sleep(max(0.0, arrives - clock()))
            await self._open.wait()
            if not piece:
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    def _rtt_s(self) -> float:
        both = (self.up_shape, self.down_shape)
        return sum(shape.delay_ms + shape.jitter_ms for shape in both) / 1000
