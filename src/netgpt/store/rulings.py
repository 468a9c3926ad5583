"""What each rule of the policy did, by person and day: counted with the exchange, in its transaction.

Figures alone. A person's go with them; all go when exchanges are deleted for their age.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from netgpt.store.engine import FastStatement
from netgpt.store.schema import ExchangeRecord, delete_rows, of_person, rulings, tokens_in_use
from netgpt.store.writer import Part
from netgpt.types import Person

HID, COARSER, LET_PASS, KEPT = "hid", "coarser", "let_pass", "kept"
"""Left as a placeholder; in coarser words; as it was; kept the request on the box."""
_ADD: Final = FastStatement(
    'INSERT INTO rulings (tenant, "user", day, rule, effect, times) VALUES (:tenant, :user, :day, :rule, :effect, '
    ':times) ON CONFLICT (tenant, "user", day, rule, effect) DO UPDATE SET times = rulings.times + excluded.times'
)


class RuleCount(NamedTuple):
    """How often a rule did something."""

    rule: str
    effect: str
    times: int


def count_rulings(connection: Connection, row: ExchangeRecord) -> None:
    """Within the write of an exchange."""
    if not row.rulings:
        return
    day, token = row.received.date().isoformat(), tokens_in_use().token(row.user)
    for (rule, effect), times in row.rulings.items():
        _ADD.run(connection, tenant=row.tenant, user=token, day=day, rule=rule, effect=effect, times=times)


class Rulings(Part):
    """`store.rulings`."""

    async def since(self, person: Person | None, tenant: str, since: datetime) -> list[RuleCount]:
        """Sums from that day on (UTC): of one person; None: of all of the tenant. The most frequent first."""
        whose = of_person(rulings, person) if person is not None else rulings.c.tenant == tenant
        times = func.sum(rulings.c.times)
        query = (
            select(rulings.c.rule, rulings.c.effect, times)
            .where(whose, rulings.c.day >= since.date().isoformat())
            .group_by(rulings.c.rule, rulings.c.effect)
            .order_by(times.desc(), rulings.c.rule, rulings.c.effect)
        )
        return await self._read(lambda connection: [RuleCount(*row) for row in connection.execute(query)])


def forget_rulings(connection: Connection, person: Person) -> int:
    return delete_rows(connection, rulings, of_person(rulings, person))


def expire(connection: Connection, before: datetime) -> int:
    """Delete what is past its time: as long as the exchanges are kept."""
    return delete_rows(connection, rulings, rulings.c.day < before.date().isoformat())


def rulings_of(applied: Mapping[str, list[tuple[str, int]]]) -> dict[tuple[str, str], int]:
    """Counts by (rule, effect). `applied`: effect -> (the rules that decided, "a, b", and how often)."""
    counted: dict[tuple[str, str], int] = {}
    for effect, decided in applied.items():
        for rules, times in decided:
            for rule in filter(None, rules.split(", ")):
                counted[rule, effect] = counted.get((rule, effect), 0) + times
    return counted
