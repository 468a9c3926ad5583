"""Requests that nobody could answer, kept to be sent once when somebody can (`store.waiting`).

    waiting --claim--> sending --depart--> sent --end--> answered | failed | unknown
       ^                  |                 |
       +---- put back ----+                 +--(its sender died)--> unknown
       +--(its sender died)

`depart` runs in the transaction that writes the receipt, before the first byte leaves. So a row that is still `sending`
has not left, whatever became of its sender, and goes back; one that is `sent` may have, and is never sent again. A
sender whose claim was taken away meanwhile cannot depart. Any number of processes may share the table.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, exists, func, insert, select, update

from netgpt.errors import NotFound, RateLimited, RequestError, StoreError
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.schema import delete_rows, exchanges, of_person, waiting
from netgpt.store.writer import Operation, Part
from netgpt.types import Person


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait."""

    requests: int
    """Of one person, those that have ended among them."""
    bytes: int
    """The same, of their content."""
    age: timedelta
    """What could not be sent for so long is given up."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One request that waits, or waited."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    created: datetime
    expires: datetime
    """When it is given up; once it has ended: when it is deleted."""
    state: str
    """waiting, sending, sent, answered, failed, unknown (it left, and nobody knows what became of it), expired."""
    tries: int
    exchange: str | None
    """The exchange in which it was sent."""
    private: dict[str, Any] | None = field(default=None, repr=False)
    """`request`, `caller`, and at its end `answer` or `error`; JSON values. None: left closed."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)


def _opened(row: Row[Any], sealer: Sealer | None) -> WaitingRow:
    """`sealer=None` leaves what is sealed closed."""
    private = None if sealer is None else sealer.open_json(row.private, "waiting", row.id, row.tenant, row.user)
    return WaitingRow(
        row.id, row.tenant, row.user, row.key_id, row.created, row.expires, row.state, row.tries, row.exchange, private
    )


OPEN: Final = ("waiting", "sending", "sent")
AT_WORK: Final = ("sending", "sent")
ENDED_KEPT: Final = timedelta(days=7)
"""What could not be sent in time is shown as given up for so long."""


class WaitingQueue(Part):
    """`store.waiting`."""

    async def park(
        self, person: Person, key_id: str | None, private: Mapping[str, Any], bounds: QueueLimits, now: datetime
    ) -> WaitingRow:
        """Keep a request. Raises RateLimited (`too_many_waiting`): this person has as many or as much as may wait."""

        def park(connection: Connection) -> WaitingRow:
            content = json.dumps(private).encode("ascii")
            _check_bounds(connection, person, len(content), bounds, now)
            id = f"wt_{int(now.timestamp() * 1000):012x}{secrets.token_hex(8)}"
            row: dict[str, Any] = {
                "id": id, "tenant": person.tenant, "user": person.user, "key_id": key_id, "created": now,
                "expires": now + bounds.age, "state": "waiting", "tries": 0, "exchange": None,
            }  # fmt: skip
            sealed = self._sealer.seal(content, place_of("waiting", id, person.tenant, person.user))
            connection.execute(insert(waiting).values(**row, due=now, size=len(content), private=sealed))
            return WaitingRow(**row)

        return await self._submit(park)

    async def find(self, id: str) -> WaitingRow | None:
        """The request with this id, whoever it belongs to."""
        query = select(waiting).where(waiting.c.id == id)

        def found(connection: Connection) -> WaitingRow | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _opened(row, self._sealer)

        return await self._read(found)

    async def page(self, person: Person | None, tenant: str | None = None, limit: int = 100) -> list[WaitingRow]:
        """Newest first, closed. `person=None`: everyone's, or those of `tenant`."""
        query = select(waiting).order_by(waiting.c.created.desc(), waiting.c.id.desc()).limit(limit)
        if person is not None:
            query = query.where(of_person(waiting, person))
        if tenant is not None:
            query = query.where(waiting.c.tenant == tenant)
        return await self._read(lambda connection: [_opened(row, None) for row in connection.execute(query)])

    async def of_person(self, person: Person) -> list[WaitingRow]:
        """All of a person, oldest first, opened."""
        query = select(waiting).where(of_person(waiting, person)).order_by(waiting.c.created, waiting.c.id)
        return await self._read(lambda connection: [_opened(row, self._sealer) for row in connection.execute(query)])

    async def cancel(self, id: str, person: Person | None = None) -> None:
        """Delete a request that has not left, or one that has ended, with its answer.

        Raises NotFound, and RequestError (`being_sent`, 409) while it is being sent.
        """
        mine = waiting.c.id == id if person is None else and_(waiting.c.id == id, of_person(waiting, person))

        def cancel(connection: Connection) -> None:
            state = connection.scalar(select(waiting.c.state).where(mine))
            if state is None:
                raise NotFound("no such waiting request of this person", param="waiting_id")
            if state in AT_WORK:
                message = "it is being sent just now; try again when it has ended"
                raise RequestError(message, code="being_sent", status=409)
            delete_rows(connection, waiting, mine)

        await self._submit(cancel, needs_room=False)

    async def claim(self, exchange: str, now: datetime) -> tuple[WaitingRow, str] | None:
        """Take the one that is due for longest, of a person of whom none is being sent now; with the word of the claim.

        It is to be sent in `exchange`. None: there is none.
        """
        return await self._submit(partial(self._claim, exchange=exchange, now=now))

    async def count(self) -> int:
        """How many wait to be sent."""
        query = select(func.count()).where(waiting.c.state == "waiting")
        return await self._read(lambda connection: int(connection.scalar(query) or 0))

    async def still_here(self, claims: list[str], now: datetime) -> None:
        """Note that the senders of these live."""
        change = update(waiting).where(waiting.c.claim.in_(claims)).values(seen=now)
        await self._submit(lambda connection: connection.execute(change).rowcount)

    def departing(self, claim: str) -> Operation[None]:
        """For the transaction of the receipt: note that it leaves now. Raises StoreError (`not_sent_again`)."""
        return partial(_depart, claim=claim)

    async def put_back(self, claim: str, due: datetime, *, departed: bool = False) -> bool:
        """It did not leave: let it wait until `due`. `departed`: it did, and was refused as if it never had.

        False: another has taken the claim away.
        """
        states = ("sending", "sent") if departed else ("sending",)
        change = (
            update(waiting)
            .where(waiting.c.claim == claim, waiting.c.state.in_(states))
            .values(state="waiting", claim=None, exchange=None, due=due, tries=waiting.c.tries + 1)
        )
        return await self._submit(lambda connection: connection.execute(change).rowcount > 0)

    async def end(self, claim: str, state: str, outcome: Mapping[str, Any], expires: datetime) -> bool:
        """Keep what became of it: `outcome` is `{"answer": ...}` or `{"error": ...}`. False: it was deleted."""

        def end(connection: Connection) -> bool:
            row = connection.execute(select(waiting).where(waiting.c.claim == claim)).one_or_none()
            if row is None or row.state not in (*AT_WORK, "unknown"):
                return False
            self._close(connection, row, state, outcome, expires)
            return True

        return await self._submit(end)

    async def recover(self, unseen_since: datetime, now: datetime) -> int:
        """Free what senders that died had claimed. Returns how many went back to waiting."""

        def recover(connection: Connection) -> int:
            dead = and_(waiting.c.state.in_(AT_WORK), waiting.c.seen < unseen_since)
            rows = connection.execute(select(waiting).where(dead)).all()
            for row in rows:
                if row.state == "sending":
                    back = {"state": "waiting", "claim": None, "exchange": None, "due": now}
                    connection.execute(update(waiting).where(waiting.c.id == row.id).values(back))
                else:
                    state, outcome = self._recorded(connection, row)
                    self._close(connection, row, state, outcome, now + ENDED_KEPT)
            return sum(row.state == "sending" for row in rows)

        return await self._submit(recover)

    def _claim(self, connection: Connection, exchange: str, now: datetime) -> tuple[WaitingRow, str] | None:
        other = waiting.alias("other")
        same = and_(other.c.tenant == waiting.c.tenant, other.c.user == waiting.c.user)
        busy = exists().where(same, other.c.state.in_(AT_WORK))
        earlier = exists().where(
            same, other.c.state == "waiting", other.c.expires > now, other.c.created < waiting.c.created
        )
        query = (
            select(waiting)
            .where(waiting.c.state == "waiting", waiting.c.due <= now, waiting.c.expires > now, ~busy, ~earlier)
            .order_by(waiting.c.due, waiting.c.created, waiting.c.id)  # one that failed goes behind the others
            .limit(1)
        )
        while (row := connection.execute(query).one_or_none()) is not None:
            try:
                claimed = _opened(row, self._sealer)
            except StoreError:  # changed by hand (`netgpt store check` names it): it must not hold up the others
                connection.execute(update(waiting).where(waiting.c.id == row.id).values(state="failed"))
                continue
            word = f"{row.id}.{secrets.token_hex(8)}"
            values = {"state": "sending", "claim": word, "seen": now, "exchange": exchange}
            connection.execute(update(waiting).where(waiting.c.id == row.id).values(values))
            return claimed, word
        return None

    def _close(
        self, connection: Connection, row: Row[Any], state: str, outcome: Mapping[str, Any], expires: datetime
    ) -> None:
        where = place_of("waiting", row.id, row.tenant, row.user)
        private = json.dumps({**json.loads(self._sealer.open(row.private, where)), **outcome}).encode("ascii")
        values = {"state": state, "expires": expires, "private": self._sealer.seal(private, where)}
        connection.execute(update(waiting).where(waiting.c.id == row.id).values(**values, size=len(private)))

    def _recorded(self, connection: Connection, row: Row[Any]) -> tuple[str, dict[str, Any]]:
        """Its exchange may have been recorded whole before its sender died: then its answer is known."""
        query = select(exchanges.c.private).where(exchanges.c.id == row.exchange, exchanges.c.status == "complete")
        sealed = connection.scalar(query)
        if sealed is not None:
            kept = self._sealer.open_json(sealed, "exchanges", row.exchange, row.tenant, row.user)
            if answer := kept.get("answer"):
                return "answered", {"answer": answer}
        return "unknown", {"error": {"code": "outcome_unknown", "message": LEFT}}


LEFT: Final = (
    "it had left the box when its sender was stopped, and no answer was kept: it is not sent again. The receipt of its "
    "exchange shows what left."
)


def expire(connection: Connection, now: datetime) -> int:
    """Give up what could not be sent in time, and delete what ended long ago. Returns how many were deleted."""
    late = and_(waiting.c.state == "waiting", waiting.c.expires <= now)
    connection.execute(update(waiting).where(late).values(state="expired", expires=now + ENDED_KEPT))
    return delete_rows(connection, waiting, waiting.c.state.not_in(OPEN), waiting.c.expires <= now)


def _check_bounds(connection: Connection, person: Person, size: int, bounds: QueueLimits, now: datetime) -> None:
    held = select(func.count(), func.coalesce(func.sum(waiting.c.size), 0)).where(
        of_person(waiting, person), waiting.c.expires > now
    )
    count, total = connection.execute(held).one()
    if count >= bounds.requests or total + size > bounds.bytes:
        raise RateLimited(
            f"{count} requests of this person are kept already ({total} bytes; at most {bounds.requests} and "
            f"{bounds.bytes}): fetch and delete old ones (DELETE /v1/waiting/{{id}})",
            code="too_many_waiting",
        )


def _depart(connection: Connection, claim: str) -> None:
    change = update(waiting).where(waiting.c.claim == claim, waiting.c.state == "sending").values(state="sent")
    if connection.execute(change).rowcount == 0:
        raise StoreError(
            "a kept request is sent once: this one has left before, was taken over, or was deleted",
            code="not_sent_again",
            status=503,
        )
