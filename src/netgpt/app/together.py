"""What workers tell one another while they run, so that each knows what the others know: who goes on with which
conversation, that the rules changed, whom to forget.

Only what may be lost with a process is told here; what must hold is in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from netgpt.app.crew import Crew
from netgpt.app.learning import Learning
from netgpt.app.sessions import SessionService
from netgpt.policy import InForce
from netgpt.registry import forget_texts
from netgpt.types import Person

log = logging.getLogger(__name__)


class Together:
    """Joins one worker's parts with those of the others. `forgets`: called when a person's words have to go."""

    def __init__(self, crew: Crew, rules: InForce, sessions: SessionService, learning: Learning) -> None:
        self._crew, self._rules, self._sessions, self._learning = crew, rules, sessions, learning
        self.forgets: list[Callable[[], None]] = []
        sessions.sessions.noted = lambda lock: crew.tell("lock", lock)
        crew.on("lock", sessions.sessions.take)
        crew.on("policy", lambda _: self._look())
        crew.on("forget", lambda data: self._forget(Person(*data)))

    def forget(self, person: Person) -> None:
        """Let the other workers drop what they have of a person in memory."""
        self._crew.tell("forget", [person.tenant, person.user])

    def _forget(self, person: Person) -> None:
        self._learning.drop_waiting(person)
        self._sessions.forget(person)
        for forget in self.forgets:
            forget()
        forget_texts()

    def _look(self) -> None:
        """Read the rules anew: another worker saw that their file changed."""
        asyncio.get_running_loop().run_in_executor(None, self._rules.look).add_done_callback(_failed)


def _failed(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.error("policy: the rules could not be read anew: unforeseen %s", type(done.exception()).__name__)
