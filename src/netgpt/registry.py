"""Registries: what is built in under a name, and what other distributions plug in by entry points.

Plug-ins are imported at the first look into their registry. One that cannot be used is listed with its reason and
touches nothing else: see `netgpt plugins`.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

BUILT_IN: Final = "built in"
NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
"""What a plug-in may be called."""

_left_out: frozenset[str] = frozenset()


def leave_out(names: Iterable[str]) -> None:
    """Leave plug-ins of these names out, in this process: the setting `plugins.off`."""
    global _left_out
    _left_out = frozenset(names)


def left_out() -> frozenset[str]:
    """The names of the plug-ins that are off."""
    return _left_out


@dataclass(frozen=True, eq=False)
class PluginEntry(Generic[T]):
    """One thing of a registry. `origin`: "built in", or distribution and version; `state`: active, off or refused."""

    name: str
    origin: str
    value: T | None = None
    state: str = "active"
    why: str = ""


class PluginRegistry(Mapping[str, T]):
    """What can be used under a name: a mapping of the active entries, the built-in ones first.

    >>> shapes = PluginRegistry("example.shapes", lambda: {"square": 4})
    >>> dict(shapes), shapes.entries()[0].origin
    ({'square': 4}, 'built in')
    """

    def __init__(
        self, group: str, built_in: Callable[[], Mapping[str, T]], admit: Callable[[str, Any], T] | None = None
    ) -> None:
        """`group`: of the entry points; `admit`: what to keep of (name, loaded), or ValueError."""
        self.group = group
        self._make_built_in = built_in
        self._admit = admit
        self._built_in: dict[str, T] | None = None
        self._entries: tuple[PluginEntry[T], ...] = ()
        self._active: dict[str, T] = {}
        self._off: frozenset[str] | None = None

    @property
    def built_in(self) -> Mapping[str, T]:
        """What NetGPT itself brings; loads no plug-in."""
        if self._built_in is None:
            self._built_in = dict(self._make_built_in())
        return self._built_in

    def entries(self) -> tuple[PluginEntry[T], ...]:
        """Everything, also what is off or was refused."""
        if self._off is not _left_out:  # the first look, or others are off now
            self._off = _left_out
            own = [PluginEntry(name, BUILT_IN, value) for name, value in self.built_in.items()]
            self._entries = (*own, *self._plugged(_left_out))
            self._active = {e.name: e.value for e in self._entries if e.state == "active" and e.value is not None}
        return self._entries

    def _plugged(self, off: frozenset[str]) -> Iterator[PluginEntry[T]]:
        taken: set[str] = set(self.built_in)
        for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, origin_of(point))):
            entry = self._load(point, taken, off)
            if entry.state == "active":
                taken.add(entry.name)
            elif entry.state == "refused":
                log.error("plug-in %s %s (%s) is not used: %s", self.group, entry.name, entry.origin, entry.why)
            yield entry

    def _load(self, point: EntryPoint, taken: set[str], off: frozenset[str]) -> PluginEntry[T]:
        def refused(why: str) -> PluginEntry[T]:
            return PluginEntry(point.name, origin_of(point), state="refused", why=" ".join(why.split()))

        if point.name in off:
            return PluginEntry(point.name, origin_of(point), state="off")
        if not NAME.fullmatch(point.name):
            return refused('its name must be of small letters, digits, ".", "_" and "-"')
        if point.name in taken:
            return refused("the name is taken")
        try:
            loaded = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of others may raise anything
            return refused(f"cannot be loaded: {type(error).__name__}: {error}")
        try:
            return PluginEntry(point.name, origin_of(point), self._admit(point.name, loaded) if self._admit else loaded)
        except ValueError as error:
            return refused(str(error))

    def __getitem__(self, name: str) -> T:
        self.entries()
        return self._active[name]

    def __iter__(self) -> Iterator[str]:
        self.entries()
        return iter(self._active)

    def __len__(self) -> int:
        self.entries()
        return len(self._active)


def names_in(group: str) -> tuple[str, ...]:
    """The names of the plug-ins of a group, without importing any."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def origin_of(point: EntryPoint) -> str:
    """The distribution and version that an entry point comes from."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


C = TypeVar("C")
_holding: list[weakref.ref[Any]] = []


def holds_texts(cache: C) -> C:
    """Note a cache (of `functools.lru_cache`, or an OrderedDict) in which words of people stay for a while."""
    _holding[:] = [*(each for each in _holding if each() is not None), weakref.ref(cache)]
    return cache


def forget_texts() -> None:
    """Empty every such cache of this process: somebody is to be forgotten. What was in them is made anew."""
    for each in _holding:
        cache = each()
        if cache is not None:
            (cache.cache_clear if hasattr(cache, "cache_clear") else cache.clear)()


def texts_held() -> int:
    """How many entries such caches hold now."""
    caches = [cache for each in _holding if (cache := each()) is not None]
    return sum(cache.cache_info().currsize if hasattr(cache, "cache_info") else len(cache) for cache in caches)
