"""Facts that wait for a person's yes, sealed: apart from the profile, so that nothing reads them as facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from netgpt.store.people import PROPOSALS, entries_of, insert_fact, refused, standing
from netgpt.store.schema import delete_rows, fact_vectors, facts, of_person, proposals
from netgpt.store.writer import Part
from netgpt.types import Fact, Label, Person

_DROPPED: Final[dict[str, str]] = {}
"""What is left of a proposal that was dropped: nothing but its id, so that the same is not proposed again soon."""


@dataclass(frozen=True, slots=True)
class ProposedFact:
    """A note that may become a fact, and the words that it came from."""

    text: str = field(repr=False)
    kind: str
    label: Label
    words: str = field(repr=False)
    created: datetime | None = None
    expires: datetime | None = None


class ProposedFacts(Part):
    """Methods of `store.proposals`."""

    async def add(
        self, person: Person, new: Sequence[ProposedFact], expires: datetime, most: int, instead_of: Sequence[str] = ()
    ) -> int:
        """Keep proposals until `expires`, at most `most` of a person: the oldest go. Returns how many are new.

        None where the person has not consented, or has been forgotten meanwhile: that is looked at within the write.
        `instead_of`: ids of older proposals that these take the place of.
        """

        def add(connection: Connection) -> int:
            said, now = entries_of(connection, person), datetime.now(UTC)
            if PROPOSALS not in standing(said, now) or "profile" in refused(said, now):
                return 0
            delete_rows(connection, proposals, of_person(proposals, person), proposals.c.id.in_(instead_of))
            added = sum(self._add(connection, person, each, now, expires) for each in new)
            ids = connection.scalars(_ids(person).order_by(proposals.c.created.desc(), proposals.c.id)).all()
            delete_rows(connection, proposals, proposals.c.id.in_(ids[most:]))
            return added

        return await self._submit(add)

    def _add(
        self, connection: Connection, person: Person, new: ProposedFact, created: datetime, expires: datetime
    ) -> bool:
        owner = (person.tenant, person.user)
        id = "pr_" + self._sealer.digest("proposals", *owner, new.text.casefold())[:24]
        if connection.scalar(_ids(person).where(proposals.c.id == id)) is not None:
            return False
        texts = {name: getattr(new, name) for name in ("text", "kind", "label", "words")}
        sealed = self._sealer.seal_json(texts, "proposals", id, *owner)
        times = {"created": created, "expires": expires}
        connection.execute(
            insert(proposals).values(id=id, tenant=person.tenant, user=person.user, **times, private=sealed)
        )
        return True

    async def of(self, person: Person) -> dict[str, ProposedFact]:
        """What waits for the person's yes, by id, the oldest first."""

        def opened(connection: Connection) -> dict[str, ProposedFact]:
            query = select(proposals).where(of_person(proposals, person), proposals.c.expires > datetime.now(UTC))
            found = {}
            for row in connection.execute(query.order_by(proposals.c.created, proposals.c.id)):
                texts = self._sealer.open_json(row.private, "proposals", row.id, person.tenant, person.user)
                if texts != _DROPPED:
                    texts["label"] = Label(texts["label"])
                    found[row.id] = ProposedFact(**texts, created=row.created, expires=row.expires)
            return found

        return await self._read(opened)

    async def keep(self, person: Person, id: str, fact: Fact, replacing: Sequence[str] = ()) -> str | None:
        """The person's yes: `fact` joins the profile in place of the facts `replacing`. Returns its id; None: there is
        no such proposal any more."""

        def keep(connection: Connection) -> str | None:
            if delete_rows(connection, proposals, of_person(proposals, person), proposals.c.id == id) == 0:
                return None
            for table in (fact_vectors, facts):
                delete_rows(connection, table, of_person(table, person), table.c.id.in_(replacing))
            return insert_fact(connection, self._sealer, person, fact)

        return await self._change(keep)

    async def drop(self, person: Person, id: str) -> bool:
        """The person's no: the texts go, and the same is not proposed again before it would have expired."""

        def drop(connection: Connection) -> bool:
            nothing = self._sealer.seal_json(_DROPPED, "proposals", id, person.tenant, person.user)
            which = (of_person(proposals, person), proposals.c.id == id)
            return connection.execute(update(proposals).where(*which).values(private=nothing)).rowcount > 0

        return id in await self.of(person) and await self._submit(drop, needs_room=False)


def _ids(person: Person) -> Select[Any]:
    return select(proposals.c.id).where(of_person(proposals, person))
