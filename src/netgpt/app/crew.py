"""One worker among several: what it tells the others and the supervisor, and what it alone does while it has the lease.

A gateway that is alone has none of this. What the channel carries counts at once and may be lost with a process; what
must hold is in the store: see docs/design/processes.md.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from netgpt.app.channel import Channel
from netgpt.errors import StoreError
from netgpt.models.base import Health
from netgpt.models.shared_engine import SharedEngine
from netgpt.store.store import Store

log = logging.getLogger(__name__)

JOBS: Final = "jobs"
"""The lease of what one process does for all: learning, deletion by age, canaries, probes, requests that wait."""
RENEW_S: Final = 2.0
LEASE_S: Final = 8.0
"""An owner that died without a word is followed after so long; one whose supervisor saw it die, within `RENEW_S`."""
REPORT_S: Final = 2.0
"""How often each worker's figures go to the supervisor: so much of them a killed one takes along."""

Hear = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Post:
    """Which worker this is, as its supervisor said at its start."""

    number: int
    count: int
    owner: str
    """What its leases and holds are under: never given twice."""
    secret: bytes
    """Of this start of the gateway, the same for all workers: for digests that they compare."""

    def share(self, whole: int, least: int = 0) -> int:
        """This worker's part of a bound on all."""
        return max(least, -(-whole // self.count))


class Crew:
    """The other workers, seen from one. `on` before `open`."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.engine = SharedEngine(lambda generation, change: self.ask("claim", [generation, change]))
        self.workers: Mapping[str, Any] = {}
        """By number: pid, state, restarts; as the supervisor said last."""
        self.figures: Callable[[], list[Any]] | None = None
        """What is reported: see `app.figures`."""
        self.ended: Callable[[], None] | None = None
        """Called when the supervisor is gone."""
        self._channel: Channel | None = None
        self._hears: dict[str, Hear] = {
            "engine": self.engine.told, "workers": self._told_workers, "report": lambda _: self.report(),
            "gathered": self._gathered,
        }  # fmt: skip
        self._owned_until = float("-inf")
        self._asked: list[asyncio.Future[list[Any]]] = []

    def connect(self, line: Any) -> None:
        self._channel = Channel(line, self._hear)

    async def open(self) -> asyncio.Task[None]:
        """Begin to hear; the task ends with the supervisor."""
        assert self._channel is not None, "connect it first"
        await self._channel.open()
        return asyncio.create_task(self._listen(self._channel))

    async def _listen(self, channel: Channel) -> None:
        await channel.listen()
        if self.ended is not None:
            self.ended()

    def _hear(self, topic: str, data: Any) -> None:
        hear = self._hears.get(topic)
        if hear is not None:
            hear(data)

    def on(self, topic: str, hear: Hear) -> None:
        """Let `hear` have what other workers tell of this."""
        assert topic not in self._hears, f"{topic} is heard already"
        self._hears[topic] = hear

    def tell(self, topic: str, data: Any = None) -> None:
        """Tell all other workers."""
        self.ask("tell", [topic, data])

    def ask(self, topic: str, data: Any = None) -> None:
        """Tell the supervisor."""
        if self._channel is not None:
            self._channel.say(topic, data)

    def _told_workers(self, workers: Mapping[str, Any]) -> None:
        self.workers = workers

    def health(self) -> Health:
        """How many workers answer."""
        up = sum(each["state"] == "ready" for each in self.workers.values())
        restarts = sum(each["restarts"] for each in self.workers.values())
        again = f", {restarts} started again" if restarts else ""
        return Health(up == self.post.count, f"{up} of {self.post.count} answer{again}")

    # what one does for all

    @property
    def owns(self) -> bool:
        """Whether this worker does what one does for all."""
        return time.monotonic() < self._owned_until

    async def keep_lease(self, store: Store) -> None:
        """Take the lease when it is free, renew it while it is held, until cancelled."""
        while True:
            began, owned = time.monotonic(), self.owns
            try:
                taken = await store.leases.take(JOBS, self.post.owner, LEASE_S, datetime.now(UTC))
            except StoreError as error:
                log.warning("the lease %s could not be renewed: %s", JOBS, error.message)
                taken = False
            # on the clock that nobody can set, and from before the write: never longer than the store says
            self._owned_until = began + LEASE_S - RENEW_S if taken else float("-inf")
            if taken != owned:
                log.info("worker %d %s what one does for all", self.post.number, "does" if taken else "does no longer")
            await asyncio.sleep(RENEW_S)

    async def while_owner(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a job that does not end, as long as this worker has the lease, until cancelled."""
        running: asyncio.Task[None] | None = None
        try:
            while True:
                if self.owns and running is None:
                    running = asyncio.create_task(job())
                elif not self.owns and running is not None:
                    running.cancel()
                    running = None
                await asyncio.sleep(1.0)
        finally:
            if running is not None:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    # figures

    async def report_often(self) -> None:
        """Send this worker's figures again and again, until cancelled."""
        while True:
            self.report()
            await asyncio.sleep(REPORT_S)

    def report(self) -> None:
        """Send this worker's figures now."""
        if self.figures is not None:
            self.ask("report", self.figures())

    async def gather(self, limit_s: float = 2.0) -> list[Any] | None:
        """The figures of all, summed by the supervisor; None: it does not answer in time."""
        asked: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self.ask("gather")
        try:
            async with asyncio.timeout(limit_s):
                return await asked
        except TimeoutError:
            return None
        finally:
            self._asked = [each for each in self._asked if each is not asked]

    def _gathered(self, figures: list[Any]) -> None:
        for asked in self._asked:
            if not asked.done():
                asked.set_result(figures)

    def ready(self) -> None:
        """This worker answers from now on."""
        self.ask("ready")

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
