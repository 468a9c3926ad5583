"""What several processes of one gateway have in common: leases, the minutes and budgets of keys, news for the learner.

Every operation is one transaction, and those that write have their turn with those of all other processes, so it means
the same whichever asks, in every database. Rows name their process; those of one that died go with it (`Leases.gone`),
or by themselves when their time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from netgpt.errors import StoreError
from netgpt.store.keys import use_of
from netgpt.store.learning import DecisionRow, put_decisions, put_state
from netgpt.store.schema import KeyLimits, KeyUse, decisions, delete_rows, holds, leases, news, rates
from netgpt.store.writer import Part

_RATES_KEPT_S: Final = 120.0
"""A key that rests for so long has a full minute again, and needs no row."""


def _seconds(now: datetime) -> float:
    return now.timestamp()


class Leases(Part):
    """`store.leases`: what one process alone does, while it says again and again that it lives."""

    async def take(self, name: str, owner: str, for_s: float, now: datetime) -> bool:
        """Take or renew the lease for `for_s` seconds. False: another one has it."""

        def take(connection: Connection) -> bool:
            row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
            until = _seconds(now) + for_s
            if row is None:
                connection.execute(insert(leases).values(name=name, owner=owner, until=until))
                return True
            # a clock that went back must not leave a dead owner in its place
            free = row.until <= _seconds(now) or row.until > until + for_s
            if row.owner != owner and not free:
                return False
            connection.execute(update(leases).where(leases.c.name == name).values(owner=owner, until=until))
            return True

        return await self._submit(take, needs_room=False, enters_itself=True)

    async def owner(self, name: str) -> str | None:
        """Who has it, or had it last."""
        return await self._read(
            lambda connection: connection.scalar(select(leases.c.owner).where(leases.c.name == name))
        )

    async def gone(self, owner: str) -> None:
        """A process has ended: its leases are free, and what it answered is answered no more."""

        def drop(connection: Connection) -> int:
            return sum(delete_rows(connection, table, table.c.owner == owner) for table in (leases, holds))

        await self._submit(drop, needs_room=False, enters_itself=True)


def require_lease(connection: Connection, name: str, owner: str) -> None:
    """Within a write: raises StoreError (`lease_lost`), and the write is undone, where another process took over."""
    if connection.scalar(select(leases.c.owner).where(leases.c.name == name)) != owner:
        raise StoreError(f"the lease {name} has gone to another process", code="lease_lost")


@dataclass(frozen=True, slots=True)
class KeyState:
    """What all processes know of a key at one moment."""

    use: KeyUse = field(default_factory=KeyUse)
    held_tokens: int = 0
    held_cost: float = 0.0
    requests_left: float = 0.0
    tokens_left: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerHold:
    """The estimate of one answer under way, in the process `owner`."""

    id: str
    key_id: str
    owner: str
    tokens: int
    cost: float


class SharedLimits(Part):
    """`store.shared_limits`: one count of a key's minutes, days and months for all processes, without a delay.

    What is over is told by `decide`, which the caller gives: it raises, and nothing is counted.
    """

    async def admit(
        self, key_id: str, limits: KeyLimits, now: datetime, decide: Callable[[KeyState], None]
    ) -> KeyState:
        """Count one request of the minute."""

        def admit(connection: Connection) -> KeyState:
            known = _together(connection, key_id, limits, now)
            decide(known)
            if not has_minute:
                return known
            values = {"requests_left": known.requests_left - 1, "tokens_left": known.tokens_left, "at": _seconds(now)}
            if connection.execute(update(rates).where(rates.c.key_id == key_id).values(values)).rowcount == 0:
                connection.execute(insert(rates).values(key_id=key_id, **values))
            return known

        has_minute = limits.requests_per_minute or limits.tokens_per_minute
        return await (self._submit(admit, enters_itself=True) if has_minute else self._read(admit))

    async def hold(
        self, held: AnswerHold, limits: KeyLimits, for_s: float, now: datetime, decide: Callable[[KeyState], None]
    ) -> KeyState:
        """Count the estimate of one answer for `for_s` seconds at most; what was known before it."""

        def hold(connection: Connection) -> KeyState:
            known = _together(connection, held.key_id, limits, now)
            decide(known)
            connection.execute(insert(holds).values(**asdict(held), until=_seconds(now) + for_s))
            return known

        return await self._submit(hold, enters_itself=True)

    async def settle(self, ended: Sequence[str], used: Mapping[str, int]) -> None:
        """Drop holds by id, and take the tokens that keys have used from their minutes."""

        def settle(connection: Connection) -> None:
            for id in ended:
                delete_rows(connection, holds, holds.c.id == id)
            for key_id, tokens in used.items():
                left = {"tokens_left": rates.c.tokens_left - tokens}
                connection.execute(update(rates).where(rates.c.key_id == key_id).values(left))

        await self._submit(settle, needs_room=False, enters_itself=True)

    async def expire(self, now: datetime) -> None:
        """Delete what counts no more."""

        def expire(connection: Connection) -> None:
            delete_rows(connection, holds, holds.c.until <= _seconds(now))
            delete_rows(connection, rates, rates.c.at < _seconds(now) - _RATES_KEPT_S)

        await self._submit(expire, needs_room=False, enters_itself=True)


def _together(connection: Connection, key_id: str, limits: KeyLimits, now: datetime) -> KeyState:
    counted = (func.coalesce(func.sum(holds.c.tokens), 0), func.coalesce(func.sum(holds.c.cost), 0.0))
    live = (holds.c.key_id == key_id, holds.c.until > _seconds(now))
    tokens, cost = connection.execute(select(*counted).where(*live)).one()
    has_budget = any((limits.tokens_per_day, limits.cost_per_day, limits.cost_per_month))
    use = use_of(connection, key_id, now) if has_budget else KeyUse()
    full = float(limits.requests_per_minute or 0), float(limits.tokens_per_minute or 0)
    row = connection.execute(select(rates).where(rates.c.key_id == key_id)).one_or_none()
    if row is None:
        return KeyState(use, int(tokens), float(cost), *full)
    share = min(1.0, max(0.0, _seconds(now) - row.at) / 60)
    left = (min(most, was + share * most) for most, was in zip(full, (row.requests_left, row.tokens_left), strict=True))
    return KeyState(use, int(tokens), float(cost), *left)


_LEARNER: Final = "jobs"
"""The lease that the process which learns must have."""


@dataclass(frozen=True, slots=True)
class NewsRow:
    """Something that became known of a decision, by the names of `routing.reward.Parts`."""

    seq: int
    exchange: str
    known: dict[str, Any]


class News(Part):
    """`store.news`: what came of decisions in any process, read in its order by the one that learns, once."""

    async def add(self, rows: Sequence[tuple[str, Mapping[str, Any]]], new: Sequence[DecisionRow] = ()) -> None:
        """Keep news by exchange, and with them the decisions that they are of."""

        def add(connection: Connection) -> None:
            gone = {row.id for row in new} - put_decisions(connection, self._sealer, new)
            for exchange, known in rows:
                if exchange not in gone:
                    connection.execute(insert(news).values(exchange=exchange, known=dict(known)))

        await self._submit(add)

    async def next(self, most: int) -> list[NewsRow]:
        """The oldest that nobody has learnt from."""
        query = select(news.c.seq, news.c.exchange, news.c.known).order_by(news.c.seq).limit(most)

        return await self._read(lambda connection: [NewsRow(*row) for row in connection.execute(query)])

    async def learnt(
        self, owner: str, until: int, changed: Sequence[DecisionRow], state: bytes,
        later: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> None:  # fmt: skip
        """They are learnt up to this one: the decisions as they are now, and all that is known, in one transaction.
        `later`: news that cannot be read yet, put behind all others.

        Raises StoreError (`lease_lost`): another process learns now, and nothing is kept of this.
        """

        def keep(connection: Connection) -> None:
            require_lease(connection, _LEARNER, owner)
            for row in changed:
                sealed = self._sealer.seal_json(row.private, "decisions", row.id, row.tenant, row.user)
                connection.execute(update(decisions).where(decisions.c.id == row.id).values(private=sealed))
            put_state(connection, self._sealer, state)
            delete_rows(connection, news, news.c.seq <= until)
            for exchange, known in later:
                connection.execute(insert(news).values(exchange=exchange, known=dict(known)))

        await self._submit(keep)
