"""Whose turn it is: keys take turns, and within each key its people, by the work that they ask for.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996), twice. Who has been given little
goes first; who comes anew starts level with the others, so that nobody saves up turns. Making up people does not help
a key, because its people share the turns of the key.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

_REMEMBERED: Final = 4_096
"""Keys, and people of a key, whose use is remembered while they ask for nothing."""


class Who(NamedTuple):
    """Who asks: the key (or what stands for it), and the person within it."""

    key: str
    user: str


class _Flow:
    """One taker of turns: the tag (in units of work) of its next turn, and where its last one ended."""

    __slots__ = ("finish", "start", "waiting")

    def __init__(self, start: float) -> None:
        self.start = self.finish = start
        self.waiting = 0


class _Level:
    """Takers of turns of one kind. `virtual` is the tag of the turn that was given last."""

    def __init__(self) -> None:
        self.flows: dict[str, _Flow] = {}
        self.queueing: dict[str, _Flow] = {}
        """Those of them that wait, in the order in which they came."""
        self.virtual = 0.0

    def flow(self, name: str) -> _Flow:
        known = self.flows.get(name)
        if known is None:
            if len(self.flows) >= _REMEMBERED:
                self._forget()
            known = self.flows[name] = _Flow(self.virtual)
        return known

    def _forget(self) -> None:
        """Those who are level with a newcomer first; then all that wait for nothing."""
        for level in (self.virtual, math.inf):
            self.flows = {n: f for n, f in self.flows.items() if f.waiting or f.finish > level}
            if len(self.flows) < _REMEMBERED:
                return

    def joins(self, name: str) -> None:
        flow = self.flow(name)
        if flow.waiting == 0:
            flow.start = max(self.virtual, flow.finish)
            self.queueing[name] = flow
        flow.waiting += 1

    def next(self) -> str:
        """Who waits and has the least tag; the first of those that came first."""
        return min(self.queueing, key=lambda name: self.queueing[name].start)

    def leaves(self, name: str) -> None:
        flow = self.queueing[name]
        flow.waiting -= 1
        if flow.waiting == 0:
            del self.queueing[name]

    def served(self, name: str, work: float) -> None:
        """Book a turn that begins now."""
        flow = self.flow(name)
        start = flow.start if flow.waiting else max(self.virtual, flow.finish)
        self.virtual = max(self.virtual, start)
        flow.start = flow.finish = start + work

    def corrected(self, name: str, more: float) -> None:
        flow = self.flows.get(name)
        if flow is not None:
            flow.finish = max(0.0, flow.finish + more)
            flow.start = max(0.0, flow.start + more)

    def before(self, name: str, own: int, work: float) -> int:
        """How many of the others would have a turn before the one that joins `name` behind `own` of its own."""
        flow = self.flows.get(name)
        start = self.virtual if flow is None else flow.start if flow.waiting else max(self.virtual, flow.finish)
        mine, count = start + own * work, 0
        for other, each in self.queueing.items():
            if other != name and each.start <= mine:
                count += min(each.waiting, 1 + int((mine - each.start) / work))
        return count


class Turns(Generic[T]):
    """Those who wait, and what everybody has been given lately. Not for more than one event loop at a time."""

    def __init__(self) -> None:
        self._keys = _Level()
        self._people: dict[str, _Level] = {}
        self._queues: dict[Who, deque[tuple[T, float]]] = {}
        self._count = 0
        self._work = 0.0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item, _ in queue)

    def waiting(self, who: Who) -> int:
        """How many of this person wait."""
        return len(self._queues.get(who, ()))

    def waiting_of_key(self, key: str) -> int:
        flow = self._keys.flows.get(key)
        return 0 if flow is None else flow.waiting

    def keys_waiting(self) -> Iterator[str]:
        return iter(self._keys.queueing)

    def serve(self, who: Who, work: float) -> None:
        """Book a turn that was free, so that nobody had to wait."""
        self._keys.served(who.key, work)
        self._level(who.key).served(who.user, work)

    def push(self, who: Who, item: T, work: float) -> None:
        """Let `item` wait for a turn of `who`; `work` is the estimate of what it will take, above 0."""
        self._keys.joins(who.key)
        self._level(who.key).joins(who.user)
        self._queues.setdefault(who, deque()).append((item, work))
        self._count += 1
        self._work += work

    def pop(self) -> tuple[Who, T, float]:
        """The next one, with its estimate, which is booked. Raises IndexError: nobody waits."""
        if not self._count:
            raise IndexError("nobody waits")
        key = self._keys.next()
        people = self._people[key]
        who = Who(key, people.next())
        item, work = self._take(who, 0)
        self._keys.served(key, work)
        people.served(who.user, work)
        self._left(who)
        return who, item, work

    def remove(self, who: Who, item: T) -> bool:
        """It waits no longer. False: it did not."""
        for place, (each, _) in enumerate(self._queues.get(who, ())):
            if each is item:
                self._take(who, place)
                self._left(who)
                return True
        return False

    def correct(self, who: Who, more: float) -> None:
        """A turn took `more` (or less, below 0) than its estimate."""
        self._keys.corrected(who.key, more)
        if (people := self._people.get(who.key)) is not None:
            people.corrected(who.user, more)

    def before(self, who: Who) -> int:
        """About how many have their turn before one that `who` would ask for now."""
        if not self._count:
            return 0
        work = self._work / self._count
        own = self.waiting(who)
        if (people := self._people.get(who.key)) is not None:
            own += people.before(who.user, own, work)
        return own + self._keys.before(who.key, own, work)

    def _level(self, key: str) -> _Level:
        level = self._people.get(key)
        if level is None:
            if len(self._people) >= _REMEMBERED:
                self._people = {k: p for k, p in self._people.items() if self.waiting_of_key(k)}
            level = self._people[key] = _Level()
        return level

    def _take(self, who: Who, place: int) -> tuple[T, float]:
        queue = self._queues[who]
        item, work = queue[place]
        del queue[place]
        if not queue:
            del self._queues[who]
        self._count -= 1
        self._work = self._work - work if self._count else 0.0
        return item, work

    def _left(self, who: Who) -> None:
        self._keys.leaves(who.key)
        self._people[who.key].leaves(who.user)
