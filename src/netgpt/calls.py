"""What calls to models tell of links and servers: frozen values, written by the clients, read by the signals."""

from __future__ import annotations

import re
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any, Final, Self

LOAD_HEADER = "x-netgpt-load"
"""In answers of a gateway: how busy its own model is, for neighbours who think of asking it."""
_LOAD = re.compile(r"slots=(\d{1,6});busy=(\d{1,6});waiting=(\d{1,6})")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What one real call to a model told of its link and its server: times in seconds, sizes in bytes."""

    target: str
    """Whom it asked: "edge", "cloud" or an upstream's name."""
    began: float
    """`time.monotonic()` when the call began."""
    outcome: str
    """"ok", "cancelled", or the error's code."""
    connect_s: float | None = None
    """Opening the connection; None when a kept one was used."""
    rtt_s: float | None = None
    """The kernel's smoothed round trip (TCP_INFO), None where it is not told."""
    rtt_var_s: float | None = None
    retransmits: int = 0
    """Segments sent again during the call."""
    segments: int = 0
    """Segments sent during the call; 0: not known."""
    first_byte_s: float | None = None
    """From the request's last byte to the answer's first."""
    sent_bytes: int = 0
    received_bytes: int = 0
    receive_s: float = 0.0
    """From the first byte to the last."""
    tokens: int = 0
    """Tokens of the answer, as told or estimated."""
    tries: int = 1
    failed: bool = False
    """It speaks against the link or the server: unreachable, silent, overloaded, broken. A cancelled call does not."""
    waited_s: float = 0.0
    """How long a call without a first byte had waited for it when it ended."""
    held_up: bool = False
    """Its reader was slower than the answer: its pace tells nothing of the link."""
    whole: bool = False
    """The answer came in one piece: its first byte came when its last word was written."""
    chunks: int = 0
    """Pieces with words in them that a streamed answer came in."""
    up_bytes_s: float | None = None
    """The rate at which the kernel saw the request delivered; None: not told, or too little was sent to tell."""
    prompt_tokens: int = 0
    """Tokens of the prompt that the server read for this call (not those of its cache), where it says so."""
    prompt_s: float = 0.0
    """How long it read them."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What the kernel knows of one TCP connection, since its beginning. Seconds; segments are counted."""

    rtt_s: float
    """Smoothed round trip."""
    rtt_var_s: float
    """Its mean deviation."""
    least_rtt_s: float
    unacknowledged: int
    """Segments on their way."""
    backoff: int
    """How often in a row the same bytes were sent again in vain, each time after twice the wait."""
    retransmits: int
    """Segments sent again."""
    segments: int
    """Segments sent that held data."""
    delivery_bytes_s: float | None
    """The last rate of delivery; None when the sender had too little to send to tell."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a box's own model is: answers that it writes at once, that it writes now, and that wait for a place."""

    slots: int
    busy: int
    waiting: int

    @property
    def text(self) -> str:
        """As the header says it: "slots=2;busy=1;waiting=0"."""
        return f"slots={self.slots};busy={self.busy};waiting={self.waiting}"

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """What a header says; None where there is none, or it is unreadable."""
        match = _LOAD.fullmatch(text or "")
        if match is None or match[1] == "0":
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]))


# --- What the kernel knows of a TCP connection: Linux `TCP_INFO` (see `struct tcp_info` in linux/tcp.h).

_TCP_INFO: Final = getattr(socket, "TCP_INFO", 11)
_SIZE: Final = 168
"""Up to and with `tcpi_delivery_rate` (Linux 4.9); an older kernel gives less and is done without."""
_LAYOUT: Final = struct.Struct("=8B24I4Q6IQ")
_APP_LIMITED: Final = 1


def read_tcp_info(raw: bytes) -> KernelFacts | None:
    """Read the structure; None when it is shorter than it should be. Microseconds become seconds."""
    if len(raw) < _SIZE:
        return None
    field = _LAYOUT.unpack_from(raw)
    small, words = field[:8], field[8:32]
    min_rtt, data_segments_out, delivery_rate = field[39], field[41], field[42]
    return KernelFacts(
        rtt_s=words[15] / 1e6,
        rtt_var_s=words[16] / 1e6,
        least_rtt_s=min_rtt / 1e6,
        unacknowledged=words[4],
        backoff=small[4],
        retransmits=words[23],
        segments=data_segments_out,
        delivery_bytes_s=None if small[7] & _APP_LIMITED or not delivery_rate else float(delivery_rate),
    )


def kernel_facts(sock: Any) -> KernelFacts | None:
    """What the kernel tells of an open TCP socket; None elsewhere than on Linux, and of a closed one."""
    if sys.platform != "linux" or sock is None:
        return None
    try:
        return read_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SIZE))
    except OSError:
        return None
