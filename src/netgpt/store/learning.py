"""What training may use and has used: consents of people, and the sealed examples that adapters were trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, insert, select, update

from netgpt.store import people
from netgpt.store.database import scrub
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.rotation import opened_mark
from netgpt.store.schema import (
    ConsentRow,
    KeptExample,
    NewExample,
    decisions,
    examples,
    exchanges,
    lessons,
    marks,
    of_person,
)
from netgpt.store.writer import Read, Write
from netgpt.types import Person


class TrainingExamples:
    """A part of the store: `store.learning`. Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, change: Write, sealer: Sealer) -> None:
        self._read, self._change, self._sealer = read, change, sealer

    async def set_consent(self, person: Person, purpose: str, given: bool) -> ConsentRow:
        """Keep that the person consents to `purpose` from now on, or no longer does. Said twice, it counts once."""
        return await self._change(partial(_set_consent, person=person, purpose=purpose, given=given))

    async def consent(self, person: Person, purpose: str) -> ConsentRow | None:
        """What the person said of `purpose`; None: never asked, which is no consent."""
        return await self._read(partial(_consent, person=person, purpose=purpose))

    async def consenting(self, purpose: str) -> list[Person]:
        """Everyone whose consent to `purpose` stands, sorted."""
        return await self._read(partial(people.consenting, purpose=purpose))

    async def keep(self, new: Sequence[NewExample], *, adapter: str | None = None, chosen: bool = False) -> list[str]:
        """Keep examples, sealed; return their ids. One that is there already is not doubled.

        `adapter`: the adapter (`name@version`) that learnt from them. `chosen`: a person asked for it.
        """
        work = partial(_keep, sealer=self._sealer, new=tuple(new), adapter=adapter, chosen=chosen)
        return await self._change(work)

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
        return await self._change(partial(_drop_adapters, adapters=adapters), after=scrub, needs_room=False)

    async def remove(self, person: Person, id: str) -> KeptExample | None:
        """Delete one example of a person and return it; None: this person has no such example."""
        return await self._change(partial(_remove, sealer=self._sealer, person=person, id=id), needs_room=False)


def _set_consent(connection: Connection, person: Person, purpose: str, given: bool) -> ConsentRow:
    known = _consent(connection, person, purpose)
    if known is not None and (known.stands if given else known.withdrawn is not None):
        return known  # the time of the first word counts
    now = datetime.now(UTC)
    people.add(connection, person, people.ConsentEntry(purpose, given, now, now))
    row = _consent(connection, person, purpose)
    assert row is not None  # it was just written
    return row


def _consent(connection: Connection, person: Person, purpose: str) -> ConsentRow | None:
    return people.state_of(person, purpose, people.entries_of(connection, person))


def _keep(
    connection: Connection, sealer: Sealer, new: Sequence[NewExample], adapter: str | None, chosen: bool
) -> list[str]:
    ids = []
    for example in new:
        id = _id(sealer, example)
        ids.append(id)
        if connection.scalar(select(examples.c.id).where(examples.c.id == id)) is None:
            connection.execute(insert(examples).values(_values(sealer, id, example, chosen)))
        elif chosen:
            connection.execute(update(examples).where(examples.c.id == id).values(chosen=True))
        pair = and_(lessons.c.adapter == adapter, lessons.c.example == id)
        if adapter is not None and connection.scalar(select(lessons.c.example).where(pair)) is None:
            connection.execute(insert(lessons).values(adapter=adapter, example=id))
    return ids


def _values(sealer: Sealer, id: str, example: NewExample, chosen: bool) -> dict[str, Any]:
    person = example.person
    tenant, user = (person.tenant, person.user) if person else (None, None)
    sealed = sealer.seal(json.dumps(example.row).encode("ascii"), _place(id, tenant, user))
    return {
        "id": id, "tenant": tenant, "user": user, "kept": datetime.now(UTC), "chosen": chosen, "private": sealed
    }  # fmt: skip


def _kept(connection: Connection, sealer: Sealer, where: ColumnElement[bool]) -> list[KeptExample]:
    found = connection.execute(select(examples).where(where).order_by(examples.c.kept, examples.c.id)).all()
    taught = select(lessons).where(lessons.c.example.in_(select(examples.c.id).where(where)))
    adapters: dict[str, list[str]] = {}
    for lesson in connection.execute(taught.order_by(lessons.c.adapter)):
        adapters.setdefault(lesson.example, []).append(lesson.adapter)
    return [_opened(sealer, row, tuple(adapters.get(row.id, ()))) for row in found]


def _opened(sealer: Sealer, row: Row[Any], adapters: tuple[str, ...]) -> KeptExample:
    texts = json.loads(sealer.open(row.private, _place(row.id, row.tenant, row.user)))
    person = None if row.user is None else Person(row.tenant, row.user)
    return KeptExample(row.id, person, row.kept, row.chosen, adapters, texts)


def _remove(connection: Connection, sealer: Sealer, person: Person, id: str) -> KeptExample | None:
    found = _kept(connection, sealer, and_(of_person(examples, person), examples.c.id == id))
    _delete(connection, and_(of_person(examples, person), examples.c.id == id))
    return found[0] if found else None


def _drop_adapters(connection: Connection, adapters: Sequence[str]) -> int:
    gone = lessons.c.adapter.in_(adapters)
    ids = list(connection.scalars(select(lessons.c.example).where(gone).distinct()))
    connection.execute(delete(lessons).where(gone))
    used = exists().where(lessons.c.example == examples.c.id)
    unused = delete(examples).where(examples.c.chosen.is_(False), ~used)
    return sum(connection.execute(unused.where(examples.c.id == id)).rowcount for id in ids)


def expire(connection: Connection, kept_before: datetime) -> int:
    """Delete examples kept before; which adapters learnt from whom stands in their cards as well."""
    return _delete(connection, examples.c.kept < kept_before)


def forget(connection: Connection, person: Person, *, consent: bool = True) -> dict[str, int]:
    """Delete a person's examples, and with `consent` also what they said about consent."""
    counts = {"examples": _delete(connection, of_person(examples, person))}
    if consent:
        counts["consents"] = people.forget_consents(connection, person)
    return counts


def _delete(connection: Connection, where: ColumnElement[bool]) -> int:
    connection.execute(delete(lessons).where(lessons.c.example.in_(select(examples.c.id).where(where))))
    return connection.execute(delete(examples).where(where)).rowcount


def _id(sealer: Sealer, example: NewExample) -> str:
    """A keyed digest of person and content: the same example is kept once, and its id tells nothing."""
    person = [example.person.tenant, example.person.user] if example.person else []
    return "eg_" + sealer.digest("examples", *person, example.digest)[:24]


def _place(id: str, tenant: str | None, user: str | None) -> bytes:
    return place_of("examples", id, tenant or "", user or "")


# --- Decisions: what was expected, with which chance it was drawn, and what came of it. No text.
#
# A row goes with its person, as the exchange does that it belongs to; rows of exchanges that are gone are not
# written any more. What the learner made of them all is kept apart, sealed: sums over everybody, keys as keyed
# digests.

_MARK: Final = "learner"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision. `id` is the exchange's."""

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
        found = await self._read(lambda connection: _opened_decisions(connection, query, self._sealer))
        return found[0] if found else None

    async def newest(self, limit: int, since: datetime | None = None) -> list[DecisionRow]:
        """The newest of everybody, oldest first."""
        query = select(decisions).order_by(decisions.c.time.desc(), decisions.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(decisions.c.time >= since)
        return (await self._read(lambda connection: _opened_decisions(connection, query, self._sealer)))[::-1]

    async def of_person(self, person: Person) -> list[DecisionRow]:
        """All of a person, oldest first."""
        query = select(decisions).where(of_person(decisions, person)).order_by(decisions.c.time, decisions.c.id)
        return await self._read(lambda connection: _opened_decisions(connection, query, self._sealer))

    async def save_state(self, state: bytes) -> None:
        """Keep what the learner knows in the place of what it knew: one transaction, so never half of it."""
        await self._submit(partial(_save_state, sealer=self._sealer, state=state))

    async def state(self) -> bytes | None:
        """What the learner knew; None: nothing yet. Raises StoreError (`wrong_key`): it was changed by hand."""
        query = select(marks.c.value).where(marks.c.name == _MARK)
        sealed = await self._read(lambda connection: connection.scalar(query))
        return None if sealed is None else opened_mark(self._sealer, _MARK, sealed)


def forget_decisions(connection: Connection, person: Person) -> int:
    return connection.execute(delete(decisions).where(of_person(decisions, person))).rowcount


def expire_decisions(connection: Connection, before: datetime) -> int:
    return connection.execute(delete(decisions).where(decisions.c.time < before)).rowcount


def _save(connection: Connection, sealer: Sealer, rows: tuple[DecisionRow, ...]) -> int:
    saved = 0
    for row in rows:
        here = select(exists().where(exchanges.c.id == row.id, exchanges.c.tenant == row.tenant))
        if not connection.scalar(here):
            continue
        connection.execute(
            insert(decisions).values(
                id=row.id, tenant=row.tenant, user=row.user, key_id=row.key_id, time=row.time, target=row.target,
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


def _opened_decisions(connection: Connection, query: Any, sealer: Sealer) -> list[DecisionRow]:
    return [_row(row, sealer) for row in connection.execute(query)]


def _row(row: Row[Any], sealer: Sealer) -> DecisionRow:
    private = json.loads(sealer.open(row.private, _place_decisions(row.id, row.tenant, row.user)))
    return DecisionRow(row.id, row.tenant, row.user, row.key_id, row.time, row.target, row.propensity, private)


def _sealed(sealer: Sealer, row: DecisionRow) -> bytes:
    return sealer.seal(json.dumps(row.private).encode("ascii"), _place_decisions(row.id, row.tenant, row.user))


def _place_decisions(id: str, tenant: str, user: str) -> bytes:
    return place_of("decisions", id, tenant, user)
