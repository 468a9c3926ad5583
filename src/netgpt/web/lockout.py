"""Lockout: after too many wrong keys from one address, further wrong ones must wait; with one beginning, all of it.

A lock counts for an address, or for one beginning from one address. Whoever guesses at one key learns nothing while the
lock lasts: the right key is refused too, unless it worked from there before. A guesser who tries many beginnings locks
out none of its neighbours, and one elsewhere nobody at all: 256 random bits are not guessed from any number of places.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from netgpt.errors import RateLimited
from netgpt.settings.sections import LockoutSettings as Settings

log = logging.getLogger(__name__)

SAID_EVERY_S: Final = 60.0
"""Wrong keys of one address are logged this often at most; each lock-out is."""
_ENTRIES: Final = 10_000
"""Addresses, with and without beginnings, and accepted keys that are remembered: past this the one used longest ago is
forgotten."""
_BEGINNING: Final = 12
"""Characters of a key that count as its beginning: more than its prefix, too few to help a guesser."""

ALIKE: Final = ", of keys that begin alike"

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


class _WrongKeys:
    """Wrong keys of one source."""

    __slots__ = ("failures", "locks", "said", "since", "until")

    def __init__(self, now: float) -> None:
        self.failures = self.locks = 0
        self.since = self.until = now
        """Locked until then (monotonic seconds)."""
        self.said = float("-inf")
        """When the log was last told."""


class Lockout:
    """Counts wrong keys by source. Bounded memory; forgotten when the process ends."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic, *, entries: int = _ENTRIES
    ) -> None:
        self._settings, self._clock, self._entries = settings, clock, entries
        self._tries: OrderedDict[str, _WrongKeys] = OrderedDict()
        self._accepted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.told: Callable[[Sequence[str]], None] | None = None
        """Called with the sources of each wrong key that is counted here, for `heard` in other processes."""

    def heard(self, sources: Sequence[str]) -> None:
        """A wrong key was tried at another process of this gateway."""
        self._count(sources)

    def check(self, address: str, secret: str, digest: str) -> None:
        """Before a key is looked up. Raises RateLimited while its beginning is locked for this address."""
        if self._tries and (address, digest) not in self._accepted:
            for source in _sources(address, secret)[1:]:
                self._refuse_while_locked(source)

    def check_wrong(self, address: str, secret: str) -> None:
        """After a key was found to be wrong. Raises RateLimited while its address or its beginning there is locked."""
        for source in _sources(address, secret):
            self._refuse_while_locked(source)

    def accepted(self, address: str, digest: str) -> None:
        """A key worked from this address."""
        known = self._accepted
        known[address, digest] = None
        known.move_to_end((address, digest))
        if len(known) > self._entries:
            known.popitem(last=False)

    def failed(self, address: str, secret: str) -> None:
        """A wrong key was tried. The last of too many locks its sources. Raises RateLimited while they are locked."""
        self.check_wrong(address, secret)
        sources = _sources(address, secret)
        self._count(sources)
        if self.told is not None:
            self.told(sources)

    def _count(self, sources: Sequence[str]) -> None:
        address = sources[0]
        now, settings = self._clock(), self._settings
        for source in sources:
            tries = self._tries.get(source)
            if tries is None:
                tries = self._tries[source] = _WrongKeys(now)
            self._tries.move_to_end(source)
            if now - tries.until > settings.longest_s:
                tries.locks = 0  # quiet for long
            if now - tries.since > settings.window_s:
                tries.failures, tries.since = 0, now
            tries.failures += 1
            if source == address and now - tries.said >= SAID_EVERY_S:
                tries.said = now
                log.warning("a wrong key came from %s (%d since the last lock-out)", address, tries.failures)
            if tries.failures >= settings.failures:
                tries.until = now + min(settings.first_s * 2.0 ** min(tries.locks, 60), settings.longest_s)
                tries.locks += 1
                tries.failures = 0
                whose = "" if source == address else ALIKE
                log.warning("locked out for %.0f s: %s%s, after too many wrong keys", tries.until - now, address, whose)
        while len(self._tries) > self._entries:
            self._tries.popitem(last=False)

    def locked(self) -> dict[str, float]:
        """Seconds that each locked source still waits: an address, or one with the beginnings of keys from there,
        which are left out: "192.0.2.7" or "192.0.2.7, of keys that begin alike"."""
        now, found = self._clock(), dict[str, float]()
        for source, tries in self._tries.items():
            if tries.until > now:
                address, _, beginning = source.partition(" ")
                name = f"{address}{ALIKE if beginning else ''}"
                found[name] = max(found.get(name, 0.0), tries.until - now)
        return found

    def release(self, address: str) -> bool:
        """Forget the wrong keys of this address. False: none was known."""
        sources = [source for source in self._tries if source.partition(" ")[0] == address]
        for source in sources:
            del self._tries[source]
        return bool(sources)

    def _refuse_while_locked(self, source: str) -> None:
        tries = self._tries.get(source)
        wait_s = 0.0 if tries is None else tries.until - self._clock()
        if wait_s > 0:
            raise RateLimited(
                f"too many wrong keys from here; try again in {math.ceil(wait_s)} s",
                code="too_many_wrong_keys",
                retry_after=wait_s,
            )


def looks_like_token(secret: str) -> bool:
    """Whether a bearer is a signed token rather than a key: keys have no dots."""
    return secret.count(".") == 2


def _sources(address: str, secret: str) -> tuple[str, ...]:
    """What a try counts for: its address, and its beginning there. Tokens of an identity provider all begin alike."""
    if len(secret) <= _BEGINNING or looks_like_token(secret):
        return (address,)
    return (address, f"{address} {secret[:_BEGINNING]}")


@lru_cache(maxsize=1024)
def address_of(peer: str) -> str:
    """The address that a peer counts for where no proxy stands between: IPv6 by /64."""
    return client_address(peer, (), ())


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether this address or name means this machine."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_among(peer: str, networks: Networks) -> bool:
    """Whether this address is in one of these networks."""
    address = _parsed(peer) if networks else None
    return address is not None and _among(address, networks)


def proxies(addresses: Sequence[str]) -> Networks:
    """`server.trusted_proxies`, read once."""
    return tuple(ipaddress.ip_network(address) for address in addresses)


def client_address(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """The address a request counts for: the peer's, or, forwarded by trusted proxies, the last that is none of theirs.

    `forwarded`: the values of X-Forwarded-For, in their order. IPv6 counts by /64: whoever has one address has them
    all.
    """
    address = _parsed(peer)
    if trusted and address is not None and _among(address, trusted):
        for part in reversed(",".join(forwarded).split(",")):
            before = _parsed(part.strip())
            if before is None:
                break  # what is no address was not written by a proxy of ours
            address = before
            if not _among(address, trusted):
                break
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or peer)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _among(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
