"""The clock that retention goes by: a wall clock that jumps ahead must not delete what a box keeps.

The time since the last look is known twice: by the wall clock, and by the machine's own count of seconds, which nobody
sets. Where the wall clock is ahead of that, it is believed when it has stayed there for a day; until then retention
goes on as if the seconds alone had passed. A box that was off for long waits that day, too. A clock that went back
deletes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from netgpt.store.encryption import Sealer, place_of
from netgpt.store.rotation import opened_mark
from netgpt.store.schema import marks
from netgpt.store.writer import Part, Transactions

log = logging.getLogger(__name__)

SLACK: Final = timedelta(hours=1)
BELIEVED_AFTER: Final = timedelta(days=1)
_MARK: Final = "retention"


def _seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps


class RetentionClock(Part):
    """`store.retention`: the time that rows are deleted by."""

    def __init__(
        self,
        transactions: Transactions,
        sealer: Sealer,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: Callable[[], float] = _seconds,
    ) -> None:
        super().__init__(transactions, sealer)
        self._wall, self._seconds = wall, seconds
        self._base: tuple[datetime, float] | None = None
        """A time that is believed, and the seconds when it was."""
        self._ahead_since: float | None = None

    async def now(self) -> datetime:
        """The time to delete by. Kept in the database, sealed: a box that starts anew knows when it stopped."""
        wall, seconds = self._wall(), self._seconds()
        if self._base is None:
            self._base = await self._read(self._kept) or wall, seconds
        base, at = self._base
        passed = base + timedelta(seconds=seconds - at)
        if wall > passed + SLACK:
            if self._ahead_since is None:
                self._ahead_since = seconds
                log.warning(
                    "the clock is %s ahead of the time that is known to have passed; nothing is deleted by it for %s",
                    wall - passed, BELIEVED_AFTER,
                )  # fmt: skip
            if seconds - self._ahead_since < BELIEVED_AFTER.total_seconds():
                return passed
        self._base, self._ahead_since = (wall, seconds), None
        await self._submit(partial(self._keep, wall=wall), needs_room=False)
        return wall

    def _kept(self, connection: Connection) -> datetime | None:
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == _MARK))
        return None if sealed is None else datetime.fromisoformat(opened_mark(self._sealer, _MARK, sealed).decode())

    def _keep(self, connection: Connection, wall: datetime) -> None:
        connection.execute(delete(marks).where(marks.c.name == _MARK))
        value = self._sealer.seal(wall.isoformat().encode(), place_of("marks", _MARK))
        connection.execute(insert(marks).values(name=_MARK, value=value))
