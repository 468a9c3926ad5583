"""Measurements of calls to models: frozen values, written by the clients and read by the routing signals."""

from __future__ import annotations

import re
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, Final, Self

LOAD_HEADER = "x-netgpt-load"
"""Response header of a gateway: how busy its own model is, for neighbours that may forward to it."""
_LOAD = re.compile(r"slots=(\d{1,6});busy=(\d{1,6});waiting=(\d{1,6})")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What one call to a model measured of its link and server: times in seconds, sizes in bytes."""

    target: str
    """"edge", "cloud" or an upstream's name."""
    began: float
    """`time.monotonic()` when the call began."""
    outcome: str
    """"ok", "cancelled", or the error's code."""
    connect_s: float | None = None
    """Opening the connection; None when a pooled one was used."""
    rtt_s: float | None = None
    """The kernel's smoothed round trip (TCP_INFO); None where it is not available."""
    rtt_var_s: float | None = None
    retransmits: int = 0
    segments: int = 0
    """Sent during the call; 0: not known."""
    first_byte_s: float | None = None
    """From the request's last byte to the answer's first."""
    sent_bytes: int = 0
    received_bytes: int = 0
    receive_s: float = 0.0
    """From the first byte to the last."""
    tokens: int = 0
    """Of the answer, as reported or estimated."""
    tries: int = 1
    failed: bool = False
    """The link or the server is at fault: unreachable, silent, overloaded, broken. A cancelled call is not."""
    waited_s: float = 0.0
    """How long a call that ended before its first byte had waited for it."""
    held_up: bool = False
    """The reader was slower than the answer, so the rate says nothing about the link."""
    whole: bool = False
    """The answer came in one piece, not streamed."""
    chunks: int = 0
    """Chunks of a streamed answer that held text."""
    up_bytes_s: float | None = None
    """Delivery rate of the request by the kernel; None: not available, or too little was sent."""
    prompt_tokens: int = 0
    """Prompt tokens that the server processed (not those in its cache), where it reports them."""
    prompt_s: float = 0.0
    """The time it took for them."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Linux `TCP_INFO` of one connection since its beginning (`struct tcp_info` in linux/tcp.h); times in seconds."""

    rtt_s: float
    """Smoothed round trip; `rtt_var_s` is its mean deviation."""
    rtt_var_s: float
    least_rtt_s: float
    unacknowledged: int
    """Segments in flight."""
    backoff: int
    """Consecutive timeouts of the same segment (exponential back-off)."""
    retransmits: int
    segments: int
    """Sent, with data."""
    delivery_bytes_s: float | None
    """The last delivery rate; None while the sender was limited by the application."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a box's own model is: parallel slots, slots in use, requests that wait."""

    slots: int
    busy: int
    waiting: int

    @property
    def text(self) -> str:
        """The header's value: "slots=2;busy=1;waiting=0"."""
        return f"slots={self.slots};busy={self.busy};waiting={self.waiting}"

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Parse a header; None where there is none or it is malformed."""
        match = _LOAD.fullmatch(text or "")
        if match is None or match[1] == "0":
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]))


_TCP_INFO: Final = getattr(socket, "TCP_INFO", 11)
_SIZE: Final = 168
"""Bytes up to `tcpi_delivery_rate` (Linux 4.9); the shorter structure of an older kernel is not used."""
_LAYOUT: Final = struct.Struct("=8B24I4Q6IQ")
_APP_LIMITED: Final = 1


def read_tcp_info(raw: bytes) -> KernelFacts | None:
    """Parse the structure; None when it is too short. Microseconds become seconds."""
    if len(raw) < _SIZE:
        return None
    field = _LAYOUT.unpack_from(raw)
    small, words, delivery_rate = field[:8], field[8:32], field[42]
    return KernelFacts(
        rtt_s=words[15] / 1e6, rtt_var_s=words[16] / 1e6, least_rtt_s=field[39] / 1e6,
        unacknowledged=words[4], backoff=small[4], retransmits=words[23], segments=field[41],
        delivery_bytes_s=None if small[7] & _APP_LIMITED or not delivery_rate else float(delivery_rate),
    )  # fmt: skip


def kernel_facts(sock: Any) -> KernelFacts | None:
    """`TCP_INFO` of an open TCP socket; None for a closed one and on other systems than Linux."""
    if sys.platform != "linux" or sock is None:
        return None
    try:
        return read_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SIZE))
    except OSError:
        return None
