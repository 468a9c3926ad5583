"""What a shaped link is like, and when a piece of bytes passes it: rate, delay, jitter and loss as plain arithmetic.

No clock and no socket here: `link.py` brings both. Loss acts as it does on TCP, not on packets: a lost piece comes one
retransmission later, what follows waits behind it (the order stays), and its connection sends at half the rate for a
while (the multiplicative decrease of RFC 5681, without its exact curve).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["BUFFER_S", "PACKET_BYTES", "Direction", "Flow", "LinkShape"]

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
