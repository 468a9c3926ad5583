"""The owner's exceptions: words that are not private, by tenant, with when and by whom; sealed among the marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from netgpt.errors import RequestError
from netgpt.store.schema import marks
from netgpt.store.writer import Part

MOST: Final = 1_000
"""Exceptions of one tenant."""


@dataclass(frozen=True, slots=True)
class ExceptionEntry:
    """One word. `by`: the key that added it, or "the command line"."""

    word: str = field(repr=False)
    added: str
    by: str


class Exceptions(Part):
    """Methods of `store.exceptions`. Words are given as they are compared: see `netgpt.privacy.exceptions`."""

    async def of_tenant(self, tenant: str) -> tuple[ExceptionEntry, ...]:
        """The exceptions, oldest first."""
        entries = await self._cached(("exceptions", tenant), lambda connection: self._opened(connection, tenant))
        return tuple(entries)

    async def words(self, tenant: str) -> frozenset[str]:
        """The words alone."""
        return frozenset(entry.word for entry in await self.of_tenant(tenant))

    async def add(self, tenant: str, word: str, by: str) -> ExceptionEntry:
        """Add one; one that is there already stays as it was. Raises RequestError: there are too many."""
        new = ExceptionEntry(word, datetime.now(UTC).isoformat(timespec="seconds"), by)

        def added(entries: list[ExceptionEntry]) -> list[ExceptionEntry]:
            if any(entry.word == word for entry in entries):
                return entries
            if len(entries) >= MOST:
                raise RequestError(f"a tenant has at most {MOST} exceptions; remove some first", param="word")
            return [*entries, new]

        kept = await self._replace(tenant, added)
        return next(entry for entry in kept if entry.word == word)

    async def remove(self, tenant: str, word: str) -> bool:
        """False: there is no such exception."""
        if word not in await self.words(tenant):
            return False
        await self._replace(tenant, lambda entries: [entry for entry in entries if entry.word != word])
        return True

    async def _replace(
        self, tenant: str, change: Callable[[list[ExceptionEntry]], list[ExceptionEntry]]
    ) -> list[ExceptionEntry]:
        name = _mark(tenant)

        def replace(connection: Connection) -> list[ExceptionEntry]:
            entries = change(self._opened(connection, tenant))
            sealed = self._sealer.seal_json([asdict(entry) for entry in entries], "marks", name)
            if connection.execute(update(marks).where(marks.c.name == name).values(value=sealed)).rowcount == 0:
                connection.execute(insert(marks).values(name=name, value=sealed))
            return entries

        return await self._change(replace)

    def _opened(self, connection: Connection, tenant: str) -> list[ExceptionEntry]:
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == _mark(tenant)))
        rows: list[dict[str, Any]] = [] if sealed is None else self._sealer.open_json(sealed, "marks", _mark(tenant))
        return [ExceptionEntry(**row) for row in rows]


def _mark(tenant: str) -> str:
    return f"exceptions of {tenant}"
