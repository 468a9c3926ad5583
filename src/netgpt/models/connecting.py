"""Opening a connection to a server: names, several addresses, TLS, and one limit for all of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.staggered import staggered_race
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from netgpt.models.http1 import Http1

__all__ = ["PoolKey", "connect"]

_NEXT_ADDRESS_S = 0.25
"""An address that is silent for this long is not waited for alone (RFC 8305, section 5)."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """Where a connection goes to. Two requests share one only when this is equal."""

    host: str
    port: int
    tls: bool


async def connect(origin: PoolKey, tls: ssl.SSLContext | None, *, limit_s: float, timeout_s: float) -> Http1:
    """An open connection. `limit_s`: seconds to open it; `timeout_s`: seconds without a byte, later.

    Raises httpx.ConnectTimeout, or httpx.ConnectError with its cause.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(limit_s):
            sock = await _socket(origin)
            try:
                _, connection = await loop.create_connection(
                    partial(Http1, timeout_s), sock=sock, ssl=tls, server_hostname=origin.host if tls else None
                )
            except BaseException:
                sock.close()
                raise
    except TimeoutError:
        raise httpx.ConnectTimeout("not open in time") from None
    except OSError as error:  # ssl.SSLError and socket.gaierror are OSErrors
        raise httpx.ConnectError("not open") from error
    connection.opened_s = loop.time() - begun
    return connection


async def _socket(origin: PoolKey) -> socket.socket:
    """A connected socket: the first address that answers wins."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _reach(found[0])
    tries = [partial(_reach, info) for info in _families_in_turn(found)]
    winner: socket.socket | None
    winner, _, faults = await staggered_race(tries, _NEXT_ADDRESS_S)
    if winner is None:
        raise next(fault for fault in faults if fault is not None)
    return winner


def _families_in_turn(found: list[Any]) -> list[Any]:
    """The addresses with IPv6 and IPv4 taking turns, so that one family that is cut off costs little."""
    first = [info for info in found if info[0] == found[0][0]]
    other = [info for info in found if info[0] != found[0][0]]
    mixed = [info for pair in zip(first, other, strict=False) for info in pair]
    return mixed + first[len(other) :] + other[len(first) :]


async def _reach(info: Any) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
