"""Probes: when nobody asks anything, a connection to a configured server is opened and closed, nothing sent.

None is made while calls report on a link, or while the gateway is not in use. They find out whether a link is back,
which no request should have to try.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from netgpt.routing.signals import Signals
from netgpt.types import kernel_facts

IN_USE_S = 60.0  # the box is in use when somebody asked within this time
LIMIT_S = 3.0
"""A connection that is not open by then counts as failed: the kernel has sent its first segment again once or twice."""
TROUBLED_S = 1.0
"""A link in trouble is probed this often, and a connection that is not open by then counts as failed: nobody is
sent there meanwhile, so nothing else would tell that it is back."""
TROUBLED_FOR_S = 120.0  # after so long without an answer it is probed as rarely as others
APART_S = 0.05  # between two probes of one look
MUTE_AFTER = 2  # one failed probe may be chance; after so many of one look the others are left out


@dataclass(frozen=True, slots=True)
class Address:
    """Where a target is reached, as configured. `down`: whether its breaker is open."""

    target: str
    host: str
    port: int
    down: Callable[[], bool] = lambda: False


class Prober:
    """Probes the links that were silent for `every_s` seconds, or whose breaker is open."""

    def __init__(self, signals: Signals, addresses: tuple[Address, ...], *, every_s: float, probes: int = 3) -> None:
        self.signals, self.addresses = signals, addresses
        self.every_s, self.probes = every_s, probes
        self.made = 0  # connections tried so far
        self.probed: Callable[[str, float | None, float], None] | None = None
        """Called with what each probe found."""
        self._probed_at: dict[str, float] = {}

    async def run(self) -> None:
        """Probe until cancelled. Ends at once when there is nothing to probe."""
        while self.every_s and self.addresses:
            await asyncio.sleep(min(1.0, self.every_s / 2))
            await self.probe_due()

    async def probe_due(self) -> None:
        """Probe every link that is due, side by side."""
        await asyncio.gather(*(self._probe(address) for address in self.due()))

    def due(self) -> list[Address]:
        """The links that should be probed now."""
        now = self.signals.clock()
        if not self.every_s or now - self.signals.used_at > IN_USE_S:
            return []
        return [each for each in self.addresses if self._is_due(each, now)]

    def _is_due(self, address: Address, now: float) -> bool:
        link, every_s = self.signals.link(address.target), self._every_s(address.target, now)
        if now - self._probed_at.get(address.target, float("-inf")) < every_s:
            return False
        return address.down() or (not link.waiting and now - link.reported_at >= every_s)

    def _every_s(self, target: str, now: float) -> float:
        link = self.signals.link(target)
        recent = now - link.answered_at < TROUBLED_FOR_S
        return min(self.every_s, TROUBLED_S) if recent and link.troubled(now) else self.every_s

    async def _probe(self, address: Address) -> None:
        self._probed_at[address.target] = now = self.signals.clock()
        limit_s = TROUBLED_S if self._every_s(address.target, now) < self.every_s else LIMIT_S
        failed = 0
        for number in range(self.probes):
            if number:
                await asyncio.sleep(APART_S)
            self.made += 1
            rtt_s, lost = await opened_in(address.host, address.port, limit_s)
            failed += rtt_s is None
            self.signals.probed(address.target, rtt_s, lost)
            if self.probed is not None:
                self.probed(address.target, rtt_s, lost)
            if failed >= MUTE_AFTER:
                return


async def opened_in(host: str, port: int, limit_s: float = LIMIT_S) -> tuple[float | None, float]:
    """The round trip in seconds of opening a TCP connection (None: it could not be), and the share of segments lost.

    By the kernel's figures where it gives them: the time measured here includes its waits for lost segments.
    """
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    try:
        async with asyncio.timeout(limit_s):
            family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            begun = loop.time()
            await loop.sock_connect(sock, address)
            took = loop.time() - begun
        facts = kernel_facts(sock)
    except (OSError, TimeoutError):
        return None, 1.0
    finally:
        if sock is not None:
            sock.close()
    if facts is None:
        return took, 0.0
    return facts.rtt_s or took, facts.retransmits / (facts.retransmits + 1)
