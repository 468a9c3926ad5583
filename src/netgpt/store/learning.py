"""What training and routing learn from: consents, sealed examples, and decisions with what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, insert, select, update

from netgpt.store import people
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.engine import FastInsert, FastStatement, scrub
from netgpt.store.rotation import opened_mark
from netgpt.store.schema import (
    ConsentRow,
    KeptExample,
    NewExample,
    decisions,
    delete_rows,
    examples,
    lessons,
    marks,
    of_person,
)
from netgpt.store.writer import Part
from netgpt.types import Person


class TrainingExamples(Part):
    """`store.learning`: consents to training, and the examples that adapters learnt from."""

    async def set_consent(self, person: Person, purpose: str, given: bool) -> ConsentRow:
        """Keep that the person consents to `purpose` from now on, or no longer does. Repeated, it counts once."""

        def change(connection: Connection) -> ConsentRow:
            known = _consent(connection, person, purpose)
            if known is not None and (known.stands if given else known.withdrawn is not None):
                return known  # the first time counts
            now = datetime.now(UTC)
            people.add_consent(connection, person, people.ConsentEntry(purpose, given, now, now))
            row = _consent(connection, person, purpose)
            assert row is not None  # it was just written
            return row

        return await self._change(change)

    async def consent(self, person: Person, purpose: str) -> ConsentRow | None:
        """What the person said of `purpose`; None: never asked, which is no consent."""
        return await self._read(partial(_consent, person=person, purpose=purpose))

    async def consenting(self, purpose: str) -> list[Person]:
        """Everyone who consents to `purpose` now, sorted."""
        return await self._read(partial(people.consenting, purpose=purpose))

    async def keep(self, new: Sequence[NewExample], *, adapter: str | None = None, chosen: bool = False) -> list[str]:
        """Keep examples, sealed; return their ids. One that is there already is not doubled.

        `adapter`: the adapter (`name@version`) that learnt from them. `chosen`: a person asked for it.
        """

        def keep(connection: Connection) -> list[str]:
            return [self._keep(connection, example, adapter, chosen) for example in new]

        return await self._change(keep)

    def _keep(self, connection: Connection, new: NewExample, adapter: str | None, chosen: bool) -> str:
        tenant, user = (new.person.tenant, new.person.user) if new.person else (None, None)
        owner = [new.person.tenant, new.person.user] if new.person else []
        id = "eg_" + self._sealer.digest("examples", *owner, new.digest)[:24]  # the same example is kept once
        if connection.scalar(select(examples.c.id).where(examples.c.id == id)) is None:
            sealed = self._sealer.seal_json(new.row, "examples", id, tenant or "", user or "")
            values = {"id": id, "tenant": tenant, "user": user, "kept": datetime.now(UTC), "chosen": chosen}
            connection.execute(insert(examples).values(**values, private=sealed))
        elif chosen:
            connection.execute(update(examples).where(examples.c.id == id).values(chosen=True))
        pair = and_(lessons.c.adapter == adapter, lessons.c.example == id)
        if adapter is not None and connection.scalar(select(lessons.c.example).where(pair)) is None:
            connection.execute(insert(lessons).values(adapter=adapter, example=id))
        return id

    async def of_person(self, person: Person) -> list[KeptExample]:
        """A person's kept examples, oldest first, with the adapters that learnt from each."""
        return await self._read(partial(_kept, sealer=self._sealer, where=of_person(examples, person)))

    async def of_adapter(self, adapter: str) -> list[KeptExample]:
        """What an adapter (`name@version`) learnt from, as far as it is kept."""
        taught = select(lessons.c.example).where(lessons.c.adapter == adapter)
        return await self._read(partial(_kept, sealer=self._sealer, where=examples.c.id.in_(taught)))

    async def drop_adapters(self, adapters: Sequence[str]) -> int:
        """These adapters are gone: delete what only they learnt from and nobody asked to keep, and scrub the files.

        Returns how many examples were deleted.
        """
        if not adapters:
            return 0
        gone = lessons.c.adapter.in_(adapters)
        unused = (examples.c.chosen.is_(False), ~exists().where(lessons.c.example == examples.c.id))

        def drop(connection: Connection) -> int:
            ids = list(connection.scalars(select(lessons.c.example).where(gone).distinct()))
            delete_rows(connection, lessons, gone)
            return sum(delete_rows(connection, examples, *unused, examples.c.id == id) for id in ids)

        return await self._change(drop, after=scrub, needs_room=False)

    async def remove(self, person: Person, id: str) -> KeptExample | None:
        """Delete one example of a person and return it; None: this person has no such example."""
        which = and_(of_person(examples, person), examples.c.id == id)

        def remove(connection: Connection) -> KeptExample | None:
            found = _kept(connection, self._sealer, which)
            _delete(connection, which)
            return found[0] if found else None

        return await self._change(remove, needs_room=False)


def _consent(connection: Connection, person: Person, purpose: str) -> ConsentRow | None:
    return people.state_of(person, purpose, people.entries_of(connection, person))


def _kept(connection: Connection, sealer: Sealer, where: ColumnElement[bool]) -> list[KeptExample]:
    found = connection.execute(select(examples).where(where).order_by(examples.c.kept, examples.c.id)).all()
    taught = select(lessons).where(lessons.c.example.in_(select(examples.c.id).where(where)))
    adapters: dict[str, list[str]] = {}
    for lesson in connection.execute(taught.order_by(lessons.c.adapter)):
        adapters.setdefault(lesson.example, []).append(lesson.adapter)
    return [_opened(sealer, row, tuple(adapters.get(row.id, ()))) for row in found]


def _opened(sealer: Sealer, row: Row[Any], adapters: tuple[str, ...]) -> KeptExample:
    texts = sealer.open_json(row.private, "examples", row.id, row.tenant or "", row.user or "")
    person = None if row.user is None else Person(row.tenant, row.user)
    return KeptExample(row.id, person, row.kept, row.chosen, adapters, texts)


def expire(connection: Connection, kept_before: datetime) -> int:
    """Delete examples kept before."""
    return _delete(connection, examples.c.kept < kept_before)


def forget(connection: Connection, person: Person) -> int:
    """Delete a person's examples."""
    return _delete(connection, of_person(examples, person))


def _delete(connection: Connection, where: ColumnElement[bool]) -> int:
    delete_rows(connection, lessons, lessons.c.example.in_(select(examples.c.id).where(where)))
    return delete_rows(connection, examples, where)


_MARK: Final = "learner"
_FIGURES: Final = ("id", "tenant", "user", "key_id", "time", "target", "propensity")
_AT_ONCE: Final = 32
"""Decisions in one write: receipts wait behind it."""
_INSERT = FastInsert(decisions)
_HERE = FastStatement("SELECT 1 FROM exchanges WHERE id = :id AND tenant = :tenant")


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision: what was expected, the chance of the draw, what came of it. No text. `id` is the exchange's."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    time: datetime
    target: str
    """The one chosen, whoever answered in the end."""
    propensity: float
    """The chance with which it was drawn."""
    private: dict[str, Any] = field(repr=False)
    """JSON values: `x`, `weights`, `expected`, `answered`, `parts`, `counted`. Numbers and names of targets, sealed at
    rest all the same: they show what kind of thing somebody asked."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)


class Decisions(Part):
    """`store.decisions`: where requests went and what came of it, and the learner's state.

    A row goes with its person, as its exchange does. The state holds sums over everybody, keys as keyed digests.
    """

    async def save(self, rows: Sequence[DecisionRow]) -> int:
        """Keep rows, some in each transaction. Returns how many: what was forgotten in the meantime stays so."""

        def save(connection: Connection, some: Sequence[DecisionRow]) -> int:
            return len(put_decisions(connection, self._sealer, some))

        starts = range(0, len(rows), _AT_ONCE)
        return sum([await self._submit(partial(save, some=rows[at : at + _AT_ONCE])) for at in starts])

    async def change(self, rows: Sequence[DecisionRow]) -> None:
        """Keep what became known later; rows that are gone stay gone."""

        def change(connection: Connection) -> None:
            for row in rows:
                values = {"private": _sealed(self._sealer, row)}
                connection.execute(update(decisions).where(decisions.c.id == row.id).values(values))

        await self._submit(change)

    async def find(self, id: str) -> DecisionRow | None:
        """The row, whoever it belongs to."""
        query = select(decisions).where(decisions.c.id == id)
        found = await self._rows(query)
        return found[0] if found else None

    async def newest(self, limit: int, since: datetime | None = None) -> list[DecisionRow]:
        """The newest of everybody, oldest first."""
        query = select(decisions).order_by(decisions.c.time.desc(), decisions.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(decisions.c.time >= since)
        return (await self._rows(query))[::-1]

    async def of_person(self, person: Person) -> list[DecisionRow]:
        """All of a person, oldest first."""
        query = select(decisions).where(of_person(decisions, person)).order_by(decisions.c.time, decisions.c.id)
        return await self._rows(query)

    async def _rows(self, query: Select[Any]) -> list[DecisionRow]:
        return await self._read(lambda connection: [_row(row, self._sealer) for row in connection.execute(query)])

    async def save_state(self, state: bytes) -> None:
        """Replace what the learner knew, in one transaction."""

        await self._submit(lambda connection: put_state(connection, self._sealer, state))

    async def state(self) -> bytes | None:
        """What the learner knew; None: nothing yet. Raises StoreError (`wrong_key`): it was changed by hand."""
        query = select(marks.c.value).where(marks.c.name == _MARK)
        sealed = await self._read(lambda connection: connection.scalar(query))
        return None if sealed is None else opened_mark(self._sealer, _MARK, sealed)


def put_decisions(connection: Connection, sealer: Sealer, rows: Sequence[DecisionRow]) -> set[str]:
    """Insert rows of exchanges that are there; return their ids. What was forgotten in the meantime stays so."""
    here = [row for row in rows if _HERE.run(connection, id=row.id, tenant=row.tenant)]
    for row in here:
        values = {name: getattr(row, name) for name in _FIGURES}
        _INSERT.run(connection, values | {"private": _sealed(sealer, row)})
    return {row.id for row in here}


def put_state(connection: Connection, sealer: Sealer, state: bytes) -> None:
    """Replace what the learner knew."""
    sealed = sealer.seal(state, place_of("marks", _MARK))
    if connection.execute(update(marks).where(marks.c.name == _MARK).values(value=sealed)).rowcount == 0:
        connection.execute(insert(marks).values(name=_MARK, value=sealed))


def _row(row: Row[Any], sealer: Sealer) -> DecisionRow:
    private = sealer.open_json(row.private, "decisions", row.id, row.tenant, row.user)
    return DecisionRow(**{name: getattr(row, name) for name in _FIGURES}, private=private)


def _sealed(sealer: Sealer, row: DecisionRow) -> bytes:
    return sealer.seal_json(row.private, "decisions", row.id, row.tenant, row.user)
