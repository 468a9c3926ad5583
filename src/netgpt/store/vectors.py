"""What a model has read of facts: their vectors, kept so that a start need not read each fact anew.

They are as private as the facts and sealed like them, each in its place; no export holds them, since they say nothing
that the fact does not. They go with their fact. Each is bound to the weights that made it: after another model's it is
as if it were not there, and is replaced. A row that was changed by hand does not open, and counts as not there, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, and_, insert, or_, select

from netgpt.errors import StoreError
from netgpt.store.encryption import place_of
from netgpt.store.schema import delete_rows, fact_vectors, facts, of_person
from netgpt.store.writer import Part
from netgpt.types import Person

_MODEL_CHARACTERS: Final = 64


class FactVectors(Part):
    """`store.vectors`. `model`: a digest of the weights that make the vectors; 64 characters of ASCII."""

    async def of_person(self, person: Person, model: str) -> dict[str, bytes]:
        """What this model made of the person's facts, by the fact's id."""

        def opened(connection: Connection) -> dict[str, bytes]:
            wanted = (of_person(fact_vectors, person), fact_vectors.c.model == model)
            found, mark = {}, _mark(model)
            for row in connection.execute(select(fact_vectors.c.id, fact_vectors.c.private).where(*wanted)):
                with suppress(StoreError):  # `netgpt store check` names it
                    data = self._sealer.open(row.private, _place(row.id, person))
                    if data.startswith(mark):
                        found[row.id] = data[len(mark) :]
            return found

        return await self._read(opened)

    async def save(self, person: Person, model: str, vectors: Mapping[str, bytes]) -> int:
        """Keep them, by the fact's id, in the place of older ones. Returns how many: not of facts that are gone."""

        def save(connection: Connection) -> int:
            there = select(facts.c.id).where(of_person(facts, person), facts.c.id.in_(list(vectors)))
            ids = list(connection.scalars(there))
            delete_rows(connection, fact_vectors, fact_vectors.c.id.in_(ids))
            owner = {"tenant": person.tenant, "user": person.user, "model": model}
            rows = [
                owner | {"id": id, "private": self._sealer.seal(_mark(model) + vectors[id], _place(id, person))}
                for id in ids
            ]
            if rows:
                connection.execute(insert(fact_vectors), rows)
            return len(rows)

        return await self._submit(save, enters_itself=True)  # the ledger does not guard them: see `ledger.py`

    async def missing(self, model: str, limit: int, but: Collection[Person] = ()) -> dict[Person, list[str]]:
        """Ids of facts in force that this model has not read, `limit` at most, by person; none of the people `but`."""

        def read(connection: Connection) -> dict[Person, list[str]]:
            join = and_(fact_vectors.c.id == facts.c.id, fact_vectors.c.model == model)
            query = (
                select(facts.c.id, facts.c.tenant, facts.c.user)
                .select_from(facts.outerjoin(fact_vectors, join))
                .where(fact_vectors.c.id.is_(None), or_(facts.c.expires.is_(None), facts.c.expires > datetime.now(UTC)))
                .where(*(~of_person(facts, person) for person in but))
                .order_by(facts.c.tenant, facts.c.user)
                .limit(limit)
            )
            found: dict[Person, list[str]] = {}
            for row in connection.execute(query):
                found.setdefault(Person(row.tenant, row.user), []).append(row.id)
            return found

        return await self._read(read)


def delete_orphans(connection: Connection) -> int:
    """Delete the vectors of facts that are gone. Returns how many."""
    return delete_rows(connection, fact_vectors, fact_vectors.c.id.not_in(select(facts.c.id)))


def _mark(model: str) -> bytes:
    """Within the seal, so that the column beside it can claim nothing else."""
    return model.encode("ascii").ljust(_MODEL_CHARACTERS)


def _place(id: str, person: Person) -> bytes:
    return place_of("fact_vectors", id, person.tenant, person.user)
