"""What workers tell one another and their supervisor while they run: who goes on with which conversation, that the
rules changed, whom to forget, whose adapter is wanted.

Only what may be lost with a process is told here; what must hold is in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from netgpt.adapters.registry import Registry
from netgpt.adapters.residency import Residency
from netgpt.app.crew import Crew
from netgpt.app.learning import Learning
from netgpt.app.sessions import SessionService
from netgpt.models.shared_engine import SharedEngine
from netgpt.policy import InForce
from netgpt.registry import forget_texts
from netgpt.settings.sections import Adapters
from netgpt.types import Person

log = logging.getLogger(__name__)

TOLD_EVERY_S: Final = 0.2
"""Who goes on with a conversation without tools is told so much later at most."""
_MOST_LOCKS: Final = 500


class Together:
    """Joins one worker's parts with those of the others. `forgets`: called when a person's words have to go."""

    def __init__(self, crew: Crew, rules: InForce, sessions: SessionService, learning: Learning) -> None:
        self._crew, self._rules, self._sessions, self._learning = crew, rules, sessions, learning
        self.forgets: list[Callable[[], None]] = []
        self._locks: list[list[Any]] = []
        sessions.sessions.noted = self._noted
        crew.on("locks", self._take)
        crew.on("policy", self._look)
        crew.on("forget", lambda data: self._forget(Person(*data)))

    def _noted(self, locks: list[list[Any]], calls: bool) -> None:
        """An answer that called tools is told at once, others together: each message wakes every worker."""
        if not self._locks and not calls:
            asyncio.get_running_loop().call_later(TOLD_EVERY_S, self._tell_locks)
        self._locks += locks
        if calls or len(self._locks) >= _MOST_LOCKS:
            self._tell_locks()

    def _tell_locks(self) -> None:
        locks, self._locks = self._locks, []
        if locks:
            self._crew.tell("locks", locks)

    def _take(self, locks: list[list[Any]]) -> None:
        for lock in locks:
            self._sessions.sessions.take(lock)

    def forget(self, person: Person) -> None:
        """Let the other workers drop what they have of a person in memory."""
        self._crew.tell("forget", [person.tenant, person.user])

    def _forget(self, person: Person) -> None:
        self._learning.drop_waiting(person)
        self._sessions.forget(person)
        for forget in self.forgets:
            forget()
        forget_texts()

    def _look(self, path: str | None) -> None:
        """Read the rules anew: another worker saw that their file changed, or that `path` is their file now."""
        if path is not None and path != str(self._rules.path):
            self._rules.follow(path)
        asyncio.get_running_loop().run_in_executor(None, self._rules.look).add_done_callback(_failed)


def _failed(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.error("policy: the rules could not be read anew: unforeseen %s", type(done.exception()).__name__)


class CrewResidency(Residency):
    """Chooses adapters for a worker's answers; the supervisor loads them."""

    def __init__(self, crew: Crew, registry: Registry, engine: SharedEngine | None, settings: Adapters) -> None:
        """`engine`: None where the model is no engine of the supervisor's."""
        super().__init__(registry, engine, settings)
        self._crew = crew

    def _remember(self, name: str, person: Person) -> None:
        self._crew.ask("wants", [person.tenant, person.user])

    def look(self) -> None:
        self._crew.ask("look")

    def unfit(self, id: str) -> str | None:
        return self._crew.engine.refused.get(id)

    async def prepare(self) -> None:
        """Nothing: the supervisor has."""

    async def run(self) -> None:
        """Nothing: the supervisor does."""
