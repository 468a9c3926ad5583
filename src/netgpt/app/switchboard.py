"""What the supervisor of several workers has for all of them: one engine with its adapters, and the way between them.

The supervisor answers no request. What it knows of a worker ends with the worker; what must hold is in the store.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from netgpt.adapters.registry import open_registry
from netgpt.adapters.residency import Residency
from netgpt.app.channel import Channel
from netgpt.app.factory import open_edge
from netgpt.app.figures import Family, added, counted
from netgpt.errors import ModelUnavailable, NetGPTError, StoreError
from netgpt.models.hot_swap import SwappingEngine
from netgpt.models.shared_engine import told_of
from netgpt.settings import Settings
from netgpt.store.store import open_store
from netgpt.types import Person

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.1
"""How often the engine is looked at for what the workers must know."""
GRACE_S: Final = 2.0
"""An engine that another one replaced lives on so long at least: a worker may just begin to ask it."""
GATHER_S: Final = 1.0
"""A worker that does not send its figures in so many seconds counts as it last did."""


@dataclass
class Worker:
    """One worker as the hub knows it."""

    number: int
    pid: int
    owner: str
    channel: Channel
    ready: bool = False
    figures: list[Family] = field(default_factory=list)
    claims: Counter[int] = field(default_factory=Counter)
    """Answers under way, by the generation of the engine."""
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    hearing: asyncio.Task[None] | None = None


class Generations:
    """Keeps each child of the engine alive while a worker has a claim on it."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._held: dict[int, tuple[ExitStack, float]] = {}
        """By generation: what holds it, and when it was last the newest."""

    def look(self, now: float) -> None:
        engine = self._board.engine
        assert engine is not None
        if engine.swaps not in self._held:
            stack = ExitStack()
            try:
                stack.enter_context(engine.lease())
            except ModelUnavailable:
                return  # it does not answer yet
            self._held[engine.swaps] = stack, now
        for generation, (stack, newest) in list(self._held.items()):
            if generation == engine.swaps:
                self._held[generation] = stack, now
            elif now - newest > GRACE_S and not any(each.claims[generation] for each in self._board.workers.values()):
                del self._held[generation]
                stack.close()

    def close(self) -> None:
        for stack, _ in self._held.values():
            stack.close()
        self._held.clear()


class Switchboard:
    """Opened before the first worker, closed after the last. `on_ready`: a worker answers from now on."""

    def __init__(self, settings: Settings, on_ready: Callable[[int], None]) -> None:
        """Opens store and engine, which is not started yet. Raises StoreError, ModelUnavailable."""
        self.settings, self._on_ready = settings, on_ready
        self.store = open_store(settings)
        self.events: Counter[str] = Counter()
        engine, self.edge = open_edge(settings, self.store.files, self._engine_event)
        assert engine is None or isinstance(engine, SwappingEngine), "its own engine"
        self.engine = engine
        self.residency = Residency(open_registry(settings, self.store.files), self.engine, settings.adapters)
        self.workers: dict[int, Worker] = {}
        self.restarts: Counter[int] = Counter()
        self._past: list[Family] = []
        """What workers that have ended had counted."""
        self._told: dict[str, Any] | None = None
        self._settled = False
        self._generations = Generations(self)
        self._tasks: list[asyncio.Task[Any]] = []
        self._gathering: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the engine, and tell the workers of it."""
        if self.engine is not None:
            self._tasks = [asyncio.create_task(self._start_engine()), asyncio.create_task(self._watch())]

    async def _start_engine(self) -> None:
        assert self.engine is not None
        for start in (self.residency.prepare, self.engine.start):
            try:
                await start()
            except NetGPTError as error:
                log.error("edge: %s", error.message)
        self._settled = True
        self._tasks.append(asyncio.create_task(self.residency.run()))

    async def _watch(self) -> None:
        assert self.engine is not None
        while True:
            self._generations.look(time.monotonic())
            busy = sum(each.claims.total() for each in self.workers.values())
            told = told_of(self.engine, settled=self._settled, busy=busy)
            if told != self._told:
                self._told = told
                self._say_all("engine", told)
            await asyncio.sleep(LOOK_EVERY_S)

    def _engine_event(self, event: str) -> None:
        self.events[event] += 1

    # workers

    async def join(self, number: int, pid: int, owner: str, line: socket.socket) -> Worker:
        """A worker was started: hear it until it ends."""
        channel = Channel(line, lambda topic, data: self._hear(worker, topic, data))
        worker = self.workers[number] = Worker(number, pid, owner, channel)
        await channel.open()
        worker.hearing = asyncio.create_task(channel.listen())
        if self._told is not None:
            channel.say("engine", self._told)
        self._tell_workers()
        return worker

    async def gone(self, worker: Worker) -> None:
        """It has ended: what it had is free."""
        if worker.hearing is not None:
            await asyncio.wait((worker.hearing,), timeout=1.0)  # what it said last
            worker.hearing.cancel()
        worker.channel.close()
        self._past = added([self._past, counted(worker.figures)])
        worker.figures = []
        if self.workers.get(worker.number) is worker:
            del self.workers[worker.number]
        self._tell_workers()
        try:
            await self.store.leases.gone(worker.owner)
        except StoreError as error:
            log.warning("what worker %d had is free when its time is over: %s", worker.number, error.message)

    def _hear(self, worker: Worker, topic: str, data: Any) -> None:
        if topic == "tell":
            for other in self.workers.values():
                if other is not worker:
                    other.channel.say(*data)
        elif topic == "claim":
            worker.claims[int(data[0])] += int(data[1])
        elif topic == "report":
            worker.figures = data
            worker.reported.set()
        elif topic == "ready":
            worker.ready = True
            self._tell_workers()
            self._on_ready(worker.number)
        elif topic == "gather":
            self._tasks.append(asyncio.create_task(self._gather(worker)))
        elif topic == "wants":
            self.residency.choose(Person(*data))  # it remembers who asked, and loads what is missing
        elif topic == "look":
            self.residency.look()

    def _tell_workers(self) -> None:
        self._say_all("workers", self.shown())

    def shown(self) -> dict[str, Any]:
        """Each worker's state, by number."""
        found = {}
        for number in range(1, self.settings.server.workers + 1):
            worker = self.workers.get(number)
            state = "down" if worker is None else "ready" if worker.ready else "starting"
            restarts = self.restarts[number]
            found[str(number)] = {"pid": worker and worker.pid, "state": state, "restarts": restarts}
        return found

    def _say_all(self, topic: str, data: Any) -> None:
        for worker in self.workers.values():
            worker.channel.say(topic, data)

    # figures

    async def _gather(self, asks: Worker) -> None:
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._ask_all())
        await asyncio.wait((self._gathering,))
        asks.channel.say("gathered", self.figures())
        self._tasks = [task for task in self._tasks if not task.done()]

    async def _ask_all(self) -> None:
        workers = list(self.workers.values())
        for worker in workers:
            worker.reported.clear()
            worker.channel.say("report")
        waits = [asyncio.create_task(worker.reported.wait()) for worker in workers if worker.ready]
        if waits:
            _, late = await asyncio.wait(waits, timeout=GATHER_S)
            for each in late:
                each.cancel()

    def figures(self) -> list[Family]:
        """Of all workers, those that have ended too, and of the supervisor itself."""
        workers = [worker for _, worker in sorted(self.workers.items())]
        return added([*(worker.figures for worker in workers), self._past, self._own()])

    def _own(self) -> list[Family]:
        shown = self.shown()
        up = [["netgpt_worker_up", {"worker": n}, float(each["state"] == "ready")] for n, each in shown.items()]
        again = [["netgpt_worker_restarts_total", {"worker": n}, each["restarts"]] for n, each in shown.items()]
        events = [["netgpt_engine_events_total", {"event": event}, count] for event, count in self.events.items()]
        return [
            ["netgpt_worker_up", "Whether a worker answers: 1 or 0.", "gauge", up],
            ["netgpt_worker_restarts", "How often a worker was started again.", "counter", again],
            ["netgpt_engine_events", "Life of the engine.", "counter", events],
        ]

    async def close(self) -> None:
        """After all workers have ended: stop the engine and close the store."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._generations.close()
        try:
            await self.edge.close()
            if self.engine is not None:
                await self.engine.stop()
        finally:
            await self.store.close()
