"""Whose program is at the other end of a loopback connection: the kernel's word, asked by socket diagnostics (Linux).

TCP says nothing of owners, the kernel does: `sock_diag(7)` finds the other end by both addresses and tells its user id,
in 10 µs. An end that was closed has no owner any more, so nobody sends and hangs up to be taken for another.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Callable
from contextlib import closing
from typing import Final

_SOCK_DIAG: Final = 4
"""`NETLINK_SOCK_DIAG` and `SOCK_DIAG_BY_FAMILY + 16`, which are 4 and 20 (linux/sock_diag.h)."""
_BY_FAMILY: Final = 20
_HEADER: Final = struct.Struct("=IHHII")
_ASKED: Final = struct.Struct("=BBBxI")
_OWNER: Final = struct.Struct("=II")
_OWNER_AT: Final = _HEADER.size + 64
"""`idiag_uid` and `idiag_inode` of `struct inet_diag_msg`, after the socket's id and two queues."""
_NO_COOKIE: Final = b"\0\0\0\0" + b"\xff" * 8
_TIMEOUT_S: Final = 0.5

Address = tuple[str, int]
Owner = Callable[[Address, Address], int | None]


def owner(peer: Address, here: Address) -> int | None:
    """The user id that opened the end `peer` of the TCP connection to `here`; None: no such open end on this machine.

    Raises OSError: the kernel does not say, such as on other systems than Linux.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("no socket diagnostics here")
    addresses = [ipaddress.ip_address(host) for host, _ in (peer, here)]
    family = socket.AF_INET if addresses[0].version == 4 else socket.AF_INET6
    ends = struct.pack("!HH", peer[1], here[1]) + b"".join(each.packed.ljust(16, b"\0") for each in addresses)
    asked = _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends + _NO_COOKIE
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.sendto(_HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, 1, 1, 0) + asked, (0, 0))
        answer = kernel.recv(4096)
    if len(answer) < _OWNER_AT + _OWNER.size or _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    uid, inode = _OWNER.unpack_from(answer, _OWNER_AT)
    return uid if inode else None


def can_tell() -> bool:
    """Whether the kernel says here whose a connection is: tried with one of our own."""
    try:
        with (
            closing(socket.create_server(("127.0.0.1", 0))) as listening,
            closing(socket.create_connection(listening.getsockname())) as one,
        ):
            return owner(one.getsockname(), listening.getsockname()) == os.geteuid()
    except OSError:
        return False
