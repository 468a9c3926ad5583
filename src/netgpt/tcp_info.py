"""What the kernel knows of a TCP connection: Linux `TCP_INFO` (see `struct tcp_info` in linux/tcp.h)."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final

from netgpt.calls import KernelFacts

__all__ = ["kernel_facts", "read_tcp_info"]

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
