"""Decisions: what was expected, with which chance it was drawn, and what came of it. No text.

A row goes with its person, as the exchange does that it belongs to; rows of exchanges that are gone are not written any
more. What the learner made of them all is kept apart, sealed: sums over everybody, keys as keyed digests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from netgpt.store.schema import decisions, exchanges, marks, of_person
from netgpt.store.seal import Sealer, place_of
from netgpt.store.sealed import opened_mark
from netgpt.store.writer import Read, Write
from netgpt.types import Person

__all__ = ["DecisionRow", "Decisions", "expire", "forget"]

_MARK: Final = "learner"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision. `id` is the exchange's."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    time: datetime
    arm: str
    """The one chosen, whoever answered in the end."""
    propensity: float
    """The chance with which it was drawn."""
    private: dict[str, Any] = field(repr=False)
    """JSON values: `x`, `weights`, `expected`, `answered`, `parts`, `counted`. Numbers and names of arms, sealed at
    rest all the same: they tell what kind of thing somebody asked."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)


class Decisions:
    """A part of the store: `store.decisions`. Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, submit: Write, sealer: Sealer) -> None:
        self._read, self._submit, self._sealer = read, submit, sealer

    async def save(self, rows: Sequence[DecisionRow]) -> int:
        """Keep rows, in one transaction. Returns how many: what was forgotten in the meantime stays so."""
        return await self._submit(partial(_save, sealer=self._sealer, rows=tuple(rows)))

    async def change(self, rows: Sequence[DecisionRow]) -> None:
        """Keep what became known later; rows that are gone stay gone."""
        await self._submit(partial(_change, sealer=self._sealer, rows=tuple(rows)))

    async def find(self, id: str) -> DecisionRow | None:
        """The row, whoever it belongs to."""
        query = select(decisions).where(decisions.c.id == id)
        found = await self._read(lambda connection: _opened(connection, query, self._sealer))
        return found[0] if found else None

    async def newest(self, limit: int, since: datetime | None = None) -> list[DecisionRow]:
        """The newest of everybody, oldest first."""
        query = select(decisions).order_by(decisions.c.time.desc(), decisions.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(decisions.c.time >= since)
        return (await self._read(lambda connection: _opened(connection, query, self._sealer)))[::-1]

    async def of_person(self, person: Person) -> list[DecisionRow]:
        """All of a person, oldest first."""
        query = select(decisions).where(of_person(decisions, person)).order_by(decisions.c.time, decisions.c.id)
        return await self._read(lambda connection: _opened(connection, query, self._sealer))

    async def save_state(self, state: bytes) -> None:
        """Keep what the learner knows in the place of what it knew: one transaction, so never half of it."""
        await self._submit(partial(_save_state, sealer=self._sealer, state=state))

    async def state(self) -> bytes | None:
        """What the learner knew; None: nothing yet. Raises StoreError (`wrong_key`): it was changed by hand."""
        query = select(marks.c.value).where(marks.c.name == _MARK)
        sealed = await self._read(lambda connection: connection.scalar(query))
        return None if sealed is None else opened_mark(self._sealer, _MARK, sealed)


def forget(connection: Connection, person: Person) -> int:
    return connection.execute(delete(decisions).where(of_person(decisions, person))).rowcount


def expire(connection: Connection, before: datetime) -> int:
    return connection.execute(delete(decisions).where(decisions.c.time < before)).rowcount


def _save(connection: Connection, sealer: Sealer, rows: tuple[DecisionRow, ...]) -> int:
    saved = 0
    for row in rows:
        here = select(exists().where(exchanges.c.id == row.id, exchanges.c.tenant == row.tenant))
        if not connection.scalar(here):
            continue
        connection.execute(
            insert(decisions).values(
                id=row.id, tenant=row.tenant, user=row.user, key_id=row.key_id, time=row.time, arm=row.arm,
                propensity=row.propensity, private=_sealed(sealer, row),
            )
        )  # fmt: skip
        saved += 1
    return saved


def _change(connection: Connection, sealer: Sealer, rows: tuple[DecisionRow, ...]) -> None:
    for row in rows:
        connection.execute(update(decisions).where(decisions.c.id == row.id).values(private=_sealed(sealer, row)))


def _save_state(connection: Connection, sealer: Sealer, state: bytes) -> None:
    sealed = sealer.seal(state, place_of("marks", _MARK))
    if connection.execute(update(marks).where(marks.c.name == _MARK).values(value=sealed)).rowcount == 0:
        connection.execute(insert(marks).values(name=_MARK, value=sealed))


def _opened(connection: Connection, query: Any, sealer: Sealer) -> list[DecisionRow]:
    return [_row(row, sealer) for row in connection.execute(query)]


def _row(row: Row[Any], sealer: Sealer) -> DecisionRow:
    private = json.loads(sealer.open(row.private, _place(row.id, row.tenant, row.user)))
    return DecisionRow(row.id, row.tenant, row.user, row.key_id, row.time, row.arm, row.propensity, private)


def _sealed(sealer: Sealer, row: DecisionRow) -> bytes:
    return sealer.seal(json.dumps(row.private).encode("ascii"), _place(row.id, row.tenant, row.user))


def _place(id: str, tenant: str, user: str) -> bytes:
    return place_of("decisions", id, tenant, user)
