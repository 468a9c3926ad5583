"""Admission: a permit for each chat, fair turns for those that wait, early refusal of those that would wait in vain.

Chats for one target share a concurrency pool, with an adaptive limit and fair queueing. A chat is admitted only if its
turn comes so soon that answers take at most about twice as long as usual; else it is refused at once. A permit is held
to the end of the answer.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, Generic, NamedTuple, TypeVar

from netgpt.errors import NetGPTError, Overloaded, RateLimited

T = TypeVar("T")

_REMEMBERED: Final = 4_096
"""Keys, and people of a key, whose use is remembered while they have no request."""


class Who(NamedTuple):
    """Who asks: the key (or what replaces it), and the person within it."""

    key: str
    user: str


class _Flow:
    """One flow: the tag (in units of work) of its next turn, and where its last one ended."""

    __slots__ = ("finish", "start", "waiting")

    def __init__(self, start: float) -> None:
        self.start = self.finish = start
        self.waiting = 0


class _Level:
    """Flows that compete with one another. `virtual` is the tag of the last turn."""

    def __init__(self) -> None:
        self.flows: dict[str, _Flow] = {}
        self.queueing: dict[str, _Flow] = {}
        """Those that wait, in the order in which they came."""
        self.virtual = 0.0

    def flow(self, name: str) -> _Flow:
        known = self.flows.get(name)
        if known is None:
            if len(self.flows) >= _REMEMBERED:
                self._forget()
            known = self.flows[name] = _Flow(self.virtual)
        return known

    def _forget(self) -> None:
        """First those with no advantage over a newcomer; then all that do not wait."""
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
        """The one that waits with the least tag; among equals the one that came first."""
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
    """Fair queueing: keys take turns, and within each key its people, by the work that they ask for.

    Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996), twice. Whoever has been given
    little goes first; a newcomer starts level with the others, so nobody saves up turns. Making up people does not help
    a key, because its people share its turns. For one event loop at a time.
    """

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
        """Book a turn for which nobody had to wait."""
        self._keys.served(who.key, work)
        self._level(who.key).served(who.user, work)

    def push(self, who: Who, item: T, work: float) -> None:
        """Let `item` wait for a turn of `who`; `work`: the estimate of what it will take, above 0."""
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


_SAMPLES: Final = 6
"""Answers whose median is one measurement."""
_QUIET: Final = 15
"""The baseline is the median of so many measurements taken with little load."""
_CROWDED: Final = 40
"""Where the load was never little, the least of so many replaces it."""
_KINDS: Final = 512
"""Kinds of answers with a baseline of their own; past this all is learnt anew."""
TOLERATED: Final = 1.35
"""An answer may take so many times its baseline before the limit shrinks."""
_AIM: Final = 1.15
_FEWEST, _MOST = 6, 32
"""Answers by which a limit is judged, at least and at most."""
_STUBBORN: Final = 3
"""Judgements at the lowest limit after which slow answers are not blamed on concurrency."""
_PROBE_EVERY: Final = 24
"""After so many judgements under full load, half of it is tried for one, to measure the baseline again."""


class _Baseline:
    """How long one kind of answers takes, in seconds a unit."""

    def __init__(self) -> None:
        self._now: dict[bool, list[float]] = {True: [], False: []}
        self._quiet: deque[float] = deque(maxlen=_QUIET)
        self._crowded: deque[float] = deque(maxlen=_CROWDED)
        self.best: float | None = None
        """Without load. None: not known yet."""

    def update(self, value: float, *, crowded: bool) -> float:
        """Take in one answer; return how many times the baseline it took."""
        best = self.best
        pending = self._now[crowded]
        pending.append(value)
        if len(pending) >= _SAMPLES:
            (self._crowded if crowded else self._quiet).append(statistics.median(pending))
            pending.clear()
            self._settle()
        return value / best if best else 1.0

    def _settle(self) -> None:
        self.best = statistics.median(self._quiet) if self._quiet else min(self._crowded, default=None)

    def rebase(self) -> None:
        """The target has become slower: begin again with the last measurement."""
        last = [*self._quiet, *self._crowded][-1:]
        self._quiet.clear()
        self._crowded.clear()
        self._crowded.extend(last)
        self._settle()


class Baselines:
    """How long answers of each target, kind and size take without load, so that a run of long answers does not look
    like a slow target."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool, int], _Baseline] = {}

    def update(self, target: str, seconds: float, *, size: int, stream: bool, crowded: bool) -> float:
        """Take in one answer; return how many times its baseline it took.

        `size`: tokens that its time grows with: of the prompt where `seconds` end with the first word of a stream, else
        of the answer. `crowded`: it began under load.
        """
        units = size + 8
        kind = (target, stream, round(math.log2(units)))
        if kind not in self._known and len(self._known) >= _KINDS:
            self._known.clear()
        return self._known.setdefault(kind, _Baseline()).update(seconds / units, crowded=crowded)

    def rebase(self) -> None:
        """The targets have become slower: begin again with the last measurements."""
        for baseline in self._known.values():
            baseline.rebase()


class ConcurrencyLimit:
    """An adaptive concurrency limit between `floor` and `ceiling`, beginning with `first`.

    It grows while there is demand and answers take no longer for it, and shrinks when they do (as TCP Vegas finds the
    capacity of a path; Brakmo and Peterson, 1995).
    """

    def __init__(self, first: int, floor: int, ceiling: int) -> None:
        self.floor, self.ceiling = min(floor, ceiling), ceiling
        self._value = float(min(max(first, self.floor), ceiling))
        self.proven = False
        """Whether more than this was tried and was too much."""
        self.ratio = 1.0
        """How many times their baseline answers took, when last judged."""
        self._ratios: list[float] = []
        self._steady: list[float] = []
        self._peak, self._full = 0, False
        self._since = self._settled = -math.inf
        self._took_s = 0.0
        self._stubborn = self._judged = 0
        self._before_probe: float | None = None

    @property
    def value(self) -> int:
        return int(self._value)

    def is_crowded(self, count: int) -> bool:
        """Whether `count` at work is so much that answers may take longer."""
        return count > max(1.0, self._value / 2) and self._before_probe is None

    def at_work(self, count: int, *, waits: bool) -> None:
        """Note how much is at work, and whether somebody `waits` because of the limit."""
        self._peak = max(self._peak, count)
        self._full = self._full or waits

    def update(self, ratio: float, began: float, now: float) -> bool:
        """Take in an answer that began at `began`. True: the target itself has become slower (see `rebase`)."""
        self._took_s += 0.2 * (now - began - self._took_s)
        if began < self._since:
            return False  # it began before the last change
        self._ratios.append(ratio)
        if began >= self._settled:
            self._steady.append(ratio)
        # Too slow is decided early. Growth takes a full sample: the first answers after a step are the quick ones.
        if len(self._ratios) >= _FEWEST and (median := statistics.median(self._ratios[-_MOST:])) > TOLERATED:
            self.ratio = median
        elif len(self._steady) >= min(_MOST, max(_FEWEST, self.value)):
            self.ratio = max(1.0, statistics.median(self._steady))
        else:
            return False
        slower = self._judge(now)
        self._ratios, self._steady, self._peak, self._full = [], [], 0, False
        return slower

    def _judge(self, now: float) -> bool:
        if self._before_probe is not None:
            self._value, self._before_probe = self._before_probe, None
            self._since = now
        elif self.ratio > TOLERATED:
            return self._shrink(now)
        elif self._full:
            self._grow(now)
        self._stubborn = 0
        return False

    def _shrink(self, now: float) -> bool:
        base = min(self._value, max(self._peak, self.floor))
        self._stubborn = self._stubborn + 1 if base <= self.floor else 0
        self._value = max(float(self.floor), base * min(0.95, max(0.5, _AIM / self.ratio)))
        self.ratio = max(1.0, self.ratio * self._value / base)
        self.proven, self._since = True, now
        if self._stubborn < _STUBBORN:
            return False
        self.proven, self._stubborn = False, 0
        return True

    def _grow(self, now: float) -> None:
        self._judged += 1
        if self.proven and self._judged >= _PROBE_EVERY:
            self._judged, self._before_probe, self._since = 0, self._value, now
            self._value = max(float(self.floor), self._value / 2)
            return
        room = (TOLERATED - self.ratio) / (TOLERATED - 1)
        step = max(0.34, 0.05 * self._value) if self.proven else max(1.0, min(0.5, room) * self._value)
        self._value = min(float(self.ceiling), self._value + step)
        if not self.proven:
            self._since, self._settled = now, now + self._took_s


AIM: Final = 1.7
"""An answer may take so many times as long as usual, waiting and working."""
MODEST: Final = 1.4
"""A key with nothing at work or waiting may wait so many times longer: it adds least to the load."""
LEAST_WAIT_S: Final = 0.5
"""Nobody is refused for a wait that short."""
LEAST_WAIT_ELSEWHERE_S: Final = 10.0
"""The same for a server elsewhere: it is not what is short here, so a burst waits its time."""
UNPROVEN_WAIT_S: Final = 10.0
"""The longest wait for a pool of which nothing is known."""
LEAST_UNPROVEN_S: Final = 1.0
"""Nobody is refused for a wait that short while the limit of the pool is not proven."""
MOST_WAITING_BYTES: Final = 64_000_000
"""Of bodies that wait for their turn: memory stays bounded whatever is sent."""
_SMOOTH: Final = 0.1
_LEAST_HELD_S: Final = 0.001
"""No request is estimated at less: callers that hang up at once must not make the others look infinitely long."""
_RELATIVE: Final = (0.25, 4.0)
"""A request counts for at least and at most this much of an average one."""


class PoolStart(NamedTuple):
    """How a pool begins: its first and its lowest limit, and the wait for which nobody is refused (seconds)."""

    first: int
    lowest: int
    least_wait_s: float = LEAST_WAIT_S


class Pool:
    """A concurrency pool: the chats for one target."""

    def __init__(self, name: str, limit: ConcurrencyLimit, least_wait_s: float = LEAST_WAIT_S) -> None:
        self.name, self.limit, self.least_wait_s = name, limit, least_wait_s
        self.turns: Turns[_Waiter] = Turns()
        self.at_work = 0
        self.busy: Counter[str] = Counter()
        """Permits by key."""
        self.held_s: float | None = None
        """How long a permit is held, on average."""
        self.usual_s: float | None = None
        """How long an answer takes without load, on average: for streams to the first word."""
        self._size: float | None = None

    def work(self, size: int) -> float:
        """The estimate for a request of this size, in seconds of a permit."""
        self._size = _smoothed(self._size, size)
        relative = size / self._size if self._size > 0 else 1.0
        return max(self.held_s or 1.0, _LEAST_HELD_S) * min(max(relative, _RELATIVE[0]), _RELATIVE[1])

    def patience_s(self, most: float | None) -> float:
        """The longest wait that makes sense. `most`: the owner's setting."""
        if most is not None:
            return most
        if self.usual_s is None:
            return UNPROVEN_WAIT_S
        if not self.limit.proven:
            return min(UNPROVEN_WAIT_S, max(LEAST_UNPROVEN_S, self.least_wait_s, self.usual_s))
        return min(UNPROVEN_WAIT_S, max(self.least_wait_s, (AIM - self.limit.ratio) * self.usual_s))

    def expected_s(self, before: int) -> float:
        """The wait behind `before` others; 0 while it is not known."""
        if self.held_s is None or not (self.limit.proven or self.limit.value >= self.limit.ceiling):
            return 0.0
        return (before + 1) * self.held_s / self.limit.value

    def answered(self, seconds: float, ratio: float) -> None:
        self.usual_s = _smoothed(self.usual_s, seconds / max(1.0, ratio))


def _smoothed(average: float | None, value: float) -> float:
    return value if average is None else average + _SMOOTH * (value - average)


class Permit:
    """The right to work. `release` it at the end of the answer; twice does no harm."""

    __slots__ = ("_admission", "_open", "began", "crowded", "pool", "waited_s", "who", "work")

    def __init__(self, admission: Admission, pool: Pool, who: Who, work: float, waited_s: float) -> None:
        self._admission, self.pool, self.who, self.work, self.waited_s = admission, pool, who, work, waited_s
        self.began = admission.clock()
        self.crowded = pool.limit.is_crowded(pool.at_work)
        self._open = True

    def answers(self, target: str, *, size: int, stream: bool) -> None:
        """A stream begins to come, or a whole answer is there: this is what the pool's limit is judged by.

        `size`: tokens that the time until now grows with: the prompt's of a stream, the answer's of a whole one.
        """
        self._admission.answered(self, target, size, stream=stream)

    def release(self) -> None:
        if self._open:
            self._open = False
            self._admission.ended(self)


class _Waiter:
    __slots__ = ("done", "since", "size", "timer", "who", "within_s")

    def __init__(self, who: Who, size: int, since: float, within_s: float) -> None:
        self.who, self.size, self.since, self.within_s = who, size, since, within_s
        self.done: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None


class Admission:
    """The permits of one process."""

    def __init__(
        self,
        *,
        at_once: int,
        waiting: int,
        max_wait_s: float | None = None,
        first: Callable[[str], PoolStart] = lambda _pool: PoolStart(8, 2),
        refused: Callable[[str], None] = lambda _code: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`at_once`: permits of all pools together; `waiting`: how many may wait; `max_wait_s`: how long, None: as long
        as it makes sense. `first`: a pool's name -> how it begins. `refused`: called with the code of
        every refusal."""
        self.at_once, self.most_waiting, self.max_wait_s, self.clock = at_once, waiting, max_wait_s, clock
        self.pools: dict[str, Pool] = {}
        self.at_work = self.waiting = self._bytes = 0
        self._first, self._refused = first, refused
        self._baselines = Baselines()
        self.opened: list[Callable[[Pool], None]] = []
        """Called with every new pool."""

    async def enter(self, pool: str, who: Who, size: int, within_s: float = math.inf) -> Permit:
        """A permit, at once or in turn. `size`: bytes of the request; `within_s`: after that a turn is of no use.

        Raises RateLimited (`too_many_at_once`: this key has more than its share) and Overloaded, both with the time
        after which it makes sense to try again. A cancelled caller leaves the queue.
        """
        found = self.pools.get(pool) or self._open(pool)
        work = found.work(size)
        if not found.turns and self._has_room(found):
            found.turns.serve(who, work)
            return self._begin(found, who, work, 0.0)
        return await self._wait(found, who, size, work, within_s)

    def _open(self, name: str) -> Pool:
        begins = self._first(name)
        limit = ConcurrencyLimit(begins.first, begins.lowest, self.at_once)
        pool = self.pools[name] = Pool(name, limit, begins.least_wait_s)
        for callback in self.opened:
            callback(pool)
        return pool

    def _has_room(self, pool: Pool) -> bool:
        return pool.at_work < pool.limit.value and self.at_work < self.at_once

    def _begin(self, pool: Pool, who: Who, work: float, waited_s: float) -> Permit:
        pool.at_work += 1
        self.at_work += 1
        pool.busy[who.key] += 1
        pool.limit.at_work(pool.at_work, waits=False)
        return Permit(self, pool, who, work, waited_s)

    async def _wait(self, pool: Pool, who: Who, size: int, work: float, within_s: float) -> Permit:
        pool.limit.at_work(pool.at_work, waits=True)
        patience_s = pool.patience_s(self.max_wait_s)
        if self.max_wait_s is None and not pool.busy[who.key] and not pool.turns.waiting_of_key(who.key):
            patience_s *= MODEST
        full = self.waiting >= self.most_waiting or self._bytes + size > MOST_WAITING_BYTES
        if full or pool.expected_s(pool.turns.before(who)) > min(patience_s, within_s):
            raise self._refusal(pool, who)
        waiter = _Waiter(who, size, self.clock(), within_s)
        pool.turns.push(who, waiter, work)
        self._count(waiter, 1)
        self._set_timer(pool, waiter, patience_s)
        try:
            return await waiter.done
        except asyncio.CancelledError:
            self._leave(pool, waiter)
            raise

    def _count(self, waiter: _Waiter, step: int) -> None:
        self.waiting += step
        self._bytes += step * waiter.size

    def _set_timer(self, pool: Pool, waiter: _Waiter, patience_s: float) -> None:
        if waiter.timer is not None:
            waiter.timer.cancel()
        left_s = max(0.0, waiter.since + min(patience_s, waiter.within_s) - self.clock())
        waiter.timer = asyncio.get_running_loop().call_later(left_s, self._give_up, pool, waiter)

    def _give_up(self, pool: Pool, waiter: _Waiter) -> None:
        """Its turn did not come in time."""
        if not waiter.done.done() and pool.turns.remove(waiter.who, waiter):
            self._count(waiter, -1)
            waiter.done.set_exception(self._refusal(pool, waiter.who))

    def _leave(self, pool: Pool, waiter: _Waiter) -> None:
        """The caller has gone; its turn may have come at the same moment."""
        if waiter.timer is not None:
            waiter.timer.cancel()
        if pool.turns.remove(waiter.who, waiter):
            self._count(waiter, -1)
        elif waiter.done.done() and not waiter.done.cancelled():
            with suppress(NetGPTError):
                waiter.done.result().release()

    def _refusal(self, pool: Pool, who: Who) -> NetGPTError:
        """429 for a key that has more than its share while others wait for theirs, else 503."""
        held_s = pool.held_s or 1.0
        mine = pool.busy[who.key] + pool.turns.waiting_of_key(who.key)
        others = {key for key in pool.busy if key != who.key} | set(pool.turns.keys_waiting()) - {who.key}
        share = (pool.limit.value + len(pool.turns)) / (len(others) + 1)
        if others and mine > share:
            error: NetGPTError = RateLimited(
                f"this key has {mine} requests at work or waiting, which is more than its share while others ask too; "
                "try again when some have ended",
                code="too_many_at_once",
                retry_after=held_s * mine * (len(others) + 1) / pool.limit.value,
            )
        else:
            error = Overloaded(
                f"more is asked of this box than it can answer in time ({pool.at_work} at work, {len(pool.turns)} "
                "waiting); try again later",
                retry_after=(pool.held_s and held_s * (len(pool.turns) + 1) / pool.limit.value) or 1.0,
            )
        self._refused(error.code)
        return error

    def answered(self, permit: Permit, target: str, size: int, *, stream: bool) -> None:
        now, pool = self.clock(), permit.pool
        seconds = now - permit.began
        ratio = self._baselines.update(target, seconds, size=size, stream=stream, crowded=permit.crowded)
        pool.answered(seconds, ratio)
        proven, limit = pool.limit.proven, pool.limit.value
        if pool.limit.update(ratio, permit.began, now):
            self._baselines.rebase()
        if pool.limit.proven and not proven:
            self._shed(pool)
        if pool.limit.value > limit:
            self._dispatch((pool,))

    def _shed(self, pool: Pool) -> None:
        """The limit of the pool is proven now: those that wait get the patience that follows from it."""
        patience_s = pool.patience_s(self.max_wait_s)
        for waiter in list(pool.turns):
            self._set_timer(pool, waiter, patience_s)

    def ended(self, permit: Permit) -> None:
        pool, held_s = permit.pool, self.clock() - permit.began
        pool.at_work -= 1
        self.at_work -= 1
        pool.busy[permit.who.key] -= 1
        if not pool.busy[permit.who.key]:
            del pool.busy[permit.who.key]
        pool.held_s = _smoothed(pool.held_s, held_s)
        pool.turns.correct(permit.who, held_s - permit.work)
        if self.waiting:
            # Where all pools together are full, the one that has least goes first: none keeps the others out.
            self._dispatch(sorted(self.pools.values(), key=lambda each: each.at_work))

    def _dispatch(self, pools: Iterable[Pool]) -> None:
        for pool in pools:
            while pool.turns and self._has_room(pool):
                who, waiter, work = pool.turns.pop()
                self._count(waiter, -1)
                if waiter.timer is not None:
                    waiter.timer.cancel()
                if not waiter.done.done():  # else its caller has just gone
                    waited_s = self.clock() - waiter.since
                    waiter.done.set_result(self._begin(pool, who, work, waited_s))
