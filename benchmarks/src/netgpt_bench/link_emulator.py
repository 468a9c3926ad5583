"""A shaped link on loopback: a TCP relay with a rate, a delay, a jitter, losses and cuts, which counts what it carries.

In user space, because a delay in the kernel needs the `netem` module and rights that few machines give. What is
shaped is the stream of bytes: the handshakes of TCP (and of TLS, which the relay does not speak) cost nothing here, and
the kernel's own round trip (TCP_INFO) is loopback's, not the link's. A delivery may come up to 1 ms late: the event
loop's clock is no finer.
"""

from __future__ import annotations

import asyncio
import bisect
import math
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

# --- When a piece of bytes passes a link, as plain arithmetic. Loss acts as on TCP, not on packets: a lost piece comes
# one retransmission later, what follows waits behind it (the order stays), and its connection sends at half the rate
# for a while (the multiplicative decrease of RFC 5681, without its exact curve).

BUFFER_S = 0.25
"""Seconds of traffic that may wait for the rate; then the sender is made to wait (a full buffer, without loss)."""
PACKET_BYTES = 1500
PIECE_S = 0.001
"""Bytes travel in pieces of a packet, or of a millisecond of the rate where that is more: fewer wake-ups."""
LARGEST_PIECE = 65_536
RETRANSMIT_S = 0.2
"""The least retransmission timeout, Linux's (RFC 6298 asks for a second, which no one keeps)."""
SLOWED_RTTS = 10.0
"""A connection that lost a piece sends at half the rate for so many round trips."""


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What one direction of a link is like."""

    rate_mbit: float | None = None
    """Megabits (10^6 bits) per second, shared by all connections; None: as fast as loopback is. Above 0: a link on
    which nothing passes is cut."""
    delay_ms: float = 0.0
    """One way."""
    jitter_ms: float = 0.0
    """Up to this much is added to each piece, evenly spread; the order within a connection stays."""
    burst_bytes: int = 0
    """So many bytes may pass at once after silence (the depth of the token bucket)."""
    loss: float = 0.0
    """The chance that a packet is lost, 0 to 1."""

    @property
    def bytes_per_s(self) -> float | None:
        return None if self.rate_mbit is None else self.rate_mbit * 125_000

    @property
    def piece_bytes(self) -> int:
        """How much is read at once."""
        rate = self.bytes_per_s
        return LARGEST_PIECE if rate is None else min(LARGEST_PIECE, max(PACKET_BYTES, int(rate * PIECE_S)))

    def loses(self, size: int, rng: random.Random) -> bool:
        """Whether any packet of a piece is lost."""
        if not self.loss or not size:
            return False
        packets = -(-size // PACKET_BYTES)
        return rng.random() < 1 - (1 - self.loss) ** packets

    def __str__(self) -> str:
        rate = "no limit" if self.rate_mbit is None else f"{self.rate_mbit:g} Mbit/s"
        return f"{rate}, {self.delay_ms:g} ms" + (f", {self.loss:.2%} lost" if self.loss else "")


class Direction:
    """One direction of a link: a token bucket in front of a delay, and a count of the bytes that entered it."""

    def __init__(self, seed: int) -> None:
        self.bytes = 0
        self.lost = 0
        """Pieces that came late because they were lost."""
        self._full_at = 0.0
        """When the bucket is empty again, written as the time by which all traffic so far is through."""
        self.random = random.Random(seed)

    def schedule(self, size: int, now: float, shape: LinkShape) -> tuple[float, float]:
        """When a piece that enters at `now` has left the bucket, and when it arrives (seconds of one clock)."""
        self.bytes += size
        leaves = now
        if shape.bytes_per_s is not None:
            credit = shape.burst_bytes / shape.bytes_per_s
            self._full_at = max(self._full_at, now - credit) + size / shape.bytes_per_s
            leaves = max(now, self._full_at)
        jitter = self.random.uniform(0, shape.jitter_ms) if shape.jitter_ms else 0.0
        return leaves, leaves + (shape.delay_ms + jitter) / 1000


class Flow:
    """One direction of one connection: what it sends passes the direction's bucket, in order, slowed after a loss."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._last = 0.0
        self._slow_until = 0.0
        self._own_full_at = 0.0

    def schedule(self, size: int, now: float, shape: LinkShape, rtt_s: float) -> tuple[float, float]:
        """As `Direction.schedule`; `rtt_s` is the round trip that a retransmission takes. Arrivals never go back."""
        direction = self._direction
        leaves, arrives = direction.schedule(size, now, shape)
        travel = arrives - leaves
        if shape.bytes_per_s is not None and now < self._slow_until:
            self._own_full_at = max(self._own_full_at, now) + 2 * size / shape.bytes_per_s
            leaves = max(leaves, self._own_full_at)
        arrives = leaves + travel
        if shape.loses(size, direction.random):
            direction.lost += 1
            arrives += max(RETRANSMIT_S, 2 * rtt_s)
            self._slow_until = max(self._slow_until, now + SLOWED_RTTS * max(rtt_s, RETRANSMIT_S / 2))
        self._last = max(self._last, arrives)
        return leaves, self._last


# --- Where a shaped link listens. A program cannot stop the kernel from completing handshakes on a listening socket,
# but it can keep the queue of waiting connections full: then the kernel (Linux) drops each SYN, and who connects waits
# and tries again after one, three and seven seconds, as with a radio link that is gone.

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
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None

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


# --- A link over time: rate, delay, loss and cuts. `link_traces` reads them from files and makes them up.

CUT_MBIT = 0.05
"""A link slower than this carries no answer in time: it counts as cut."""
BURST_BYTES = 16_000
"""What a modem's or a shaper's queue passes at once after silence."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the link is like from `at_s` on, until the next point."""

    at_s: float
    up: LinkShape
    down: LinkShape
    open: bool = True
    """False: nothing passes."""


def point(
    at_s: float, down_mbit: float, up_mbit: float, *, rtt_ms: float, jitter_ms: float = 0.0, loss: float = 0.0
) -> Point:
    """A point by its rates; below `CUT_MBIT` downwards it is a cut. `jitter_ms` is of each way."""
    share = {"delay_ms": rtt_ms / 2, "jitter_ms": jitter_ms, "loss": loss, "burst_bytes": BURST_BYTES}
    return Point(
        at_s,
        LinkShape(max(up_mbit, CUT_MBIT), **share),  # type: ignore[arg-type]
        LinkShape(max(down_mbit, CUT_MBIT), **share),  # type: ignore[arg-type]
        down_mbit >= CUT_MBIT,
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """Points in order of time, the first at 0; it lasts `length_s`."""

    family: str
    name: str
    points: Sequence[Point]
    length_s: float

    def at(self, time_s: float) -> Point:
        """The point that holds then; the trace begins again at its end."""
        times = [one.at_s for one in self.points]
        return self.points[max(0, bisect.bisect_right(times, time_s % self.length_s) - 1)]

    def schedule(self, *, start_s: float = 0.0, loop: bool = True) -> Iterator[tuple[float, Point]]:
        """(seconds from now, point), from `start_s` on; without end where it loops."""
        if start_s:
            yield 0.0, self.at(start_s)
        base = -(start_s % self.length_s)
        while True:
            for one in self.points:
                if base + one.at_s >= 0:
                    yield base + one.at_s, one
            if not loop:
                return
            base += self.length_s

    def part(self, start_s: float, length_s: float) -> Trace:
        """The trace from `start_s` for `length_s` seconds (less where it ends before), its clock at 0."""
        length_s = min(length_s, self.length_s - start_s)
        inside = [
            replace(one, at_s=one.at_s - start_s) for one in self.points if start_s < one.at_s < start_s + length_s
        ]
        return replace(self, points=(replace(self.at(start_s), at_s=0.0), *inside), length_s=length_s)

    def liveliest(self, length_s: float, step_s: float = 5.0) -> float:
        """Where the part of `length_s` begins whose rate changes most: sum of |log ratio| from point to point."""
        count = int((self.length_s - length_s) // step_s) + 1
        starts = [number * step_s for number in range(count)] or [0.0]
        return max(starts, key=lambda start: _moves(self.part(start, length_s).points))


def _moves(points: Sequence[Point]) -> float:
    """How much the rate of the way down moves; into a cut or out of it counts as a factor of 10 or more."""
    rates = [one.down.rate_mbit or 0.0 if one.open else CUT_MBIT / 10 for one in points]
    return sum(abs(math.log(later / before)) for before, later in pairwise(rates))


Tap = Callable[[Literal["up", "down"], bytes], None]
"""Sees every piece as it enters the link."""


class ShapedLink:
    """Relays connections to `host`:`port` over a link of `shape`; listens on a free port of 127.0.0.1.

    `shape` (both directions) or `up_shape` and `down_shape` may be set at any time: they hold for what enters the link
    from then on. `up` counts the bytes towards the server, `down` those back. `seed` fixes jitter and losses. Use it as
    an async context manager, or `start`/`close`.
    """

    def __init__(
        self, port: int, shape: LinkShape | None = None, *, down: LinkShape | None = None, host: str = "127.0.0.1",
        seed: int = 0, tap: Tap | None = None,
    ) -> None:  # fmt: skip
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
        """Take the trace's rate, delay, loss and cuts from `start_s` on; at its end begin again, or stay."""
        self.unfollow()
        self._follower = asyncio.get_running_loop().create_task(self._follow(trace, loop, start_s))

    def unfollow(self) -> None:
        """Stay as it is now."""
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None

    async def __aenter__(self) -> Self:
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
