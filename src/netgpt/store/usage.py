"""What became of requests, hour by hour: sums that are kept, so that a picture of a month reads some hundred rows.

Exchanges are counted after they were written, in their order, some hundred in a transaction: no answer waits for it,
and each is counted once, whichever process does it (`sums` holds how far they came). A person who is forgotten is taken
out of the tenant's sums. Times of answers are counted in steps of 5 %, so that any share of them can be told.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from netgpt.store.schema import delete_rows, exchanges, finds, hours, of_person, sums, tenant_hours
from netgpt.store.writer import Part
from netgpt.types import Person

BATCH: Final = 100
"""Exchanges counted in one transaction: others wait some milliseconds for it."""
_NAME: Final = "hours"
_STEP: Final = math.log(1.05)
_NUMBERS: Final = ("requests", "edge", "elsewhere", "failed", "prompt_tokens", "completion_tokens", "cost")
_READ: Final = "seq id tenant user received status route timings prompt_tokens completion_tokens cost"
_COUNTED: Final = [exchanges.c[name] for name in _READ.split(" ")]


@dataclass(slots=True)
class HourFigures:
    """What became of some requests. `cost` in the owner's money."""

    requests: int = 0
    edge: int = 0
    """Answered on the box."""
    elsewhere: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    hidden: dict[str, int] = field(default_factory=dict)
    """Values hidden in what left, by kind."""
    ms: dict[str, int] = field(default_factory=dict)
    """Whole answers, by how long they took: see `_step_of`."""

    def add(self, other: HourFigures, times: int = 1) -> None:
        """Count these, too; `times=-1`: no longer."""
        for name in _NUMBERS:
            setattr(self, name, max(0, getattr(self, name) + times * getattr(other, name)))
        for mine, theirs in ((self.hidden, other.hidden), (self.ms, other.ms)):
            for key, count in theirs.items():  # some ten thousand for a picture of a month
                mine[key] = mine.get(key, 0) + times * count

    def took_ms(self, share: float) -> float | None:
        """The time within which this share of the whole answers was there, in milliseconds; None: there was none."""
        left = share * sum(self.ms.values())
        for step in sorted(map(int, self.ms)):
            left -= self.ms[str(step)]
            if left <= 0 < self.ms[str(step)]:
                return round(math.exp(step * _STEP), 1)
        return None

    def kept(self) -> dict[str, Any]:
        numbers = {name: value for name in _NUMBERS if (value := getattr(self, name))}
        return numbers | {"hidden": _above_zero(self.hidden), "ms": _above_zero(self.ms)}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> HourFigures:
        numbers = {name: kept.get(name, 0) for name in _NUMBERS}
        return cls(**numbers, hidden=kept.get("hidden", {}), ms=kept.get("ms", {}))

    def as_dict(self) -> dict[str, Any]:
        """As the API tells it."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return numbers | {"hidden": _above_zero(self.hidden), "p50_ms": self.took_ms(0.5), "p95_ms": self.took_ms(0.95)}


class UsageSums(Part):
    """`store.usage`."""

    async def count(self, most: int = 1 << 62) -> bool:
        """Count the exchanges that were written since the last time, at most `most` times `BATCH`. True: all are."""
        for _ in range(most):
            if await self._submit(_count, needs_room=False, enters_itself=True) < BATCH:
                return True
        return False

    async def by_hour(self, person: Person | None, tenant: str, since: datetime) -> dict[datetime, HourFigures]:
        """The hours since then in which there was anything: one person's; None: of all of the tenant."""
        first = _hour_of(since)
        if person is None:
            query = select(tenant_hours.c.hour, tenant_hours.c.figures).where(tenant_hours.c.tenant == tenant)
            query = query.where(tenant_hours.c.hour >= first)
        else:
            query = select(hours.c.hour, hours.c.figures).where(of_person(hours, person), hours.c.hour >= first)

        def read(connection: Connection) -> dict[datetime, HourFigures]:
            rows = connection.execute(query).all()
            return {datetime.fromtimestamp(row.hour * 3600, UTC): HourFigures.of_kept(row.figures) for row in rows}

        return await self._read(read)


def _above_zero(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count > 0}


def _hour_of(moment: datetime) -> int:
    return int(moment.timestamp() // 3600)


def _step_of(ms: float) -> str:
    """Where a time is counted."""
    return str(round(math.log(max(ms, 0.1)) / _STEP))


def _count(connection: Connection) -> int:
    """Count the next exchanges; how many there were."""
    known = connection.execute(select(sums.c.seq).where(sums.c.name == _NAME).with_for_update()).scalar()
    query = select(*_COUNTED).where(exchanges.c.seq > (known or 0)).order_by(exchanges.c.seq).limit(BATCH)
    rows = connection.execute(query).all()
    if not rows:
        return 0
    hidden: dict[str, Counter[str]] = defaultdict(Counter)
    found = select(finds.c.exchange, finds.c.kind, finds.c.times).where(finds.c.exchange.in_([row.id for row in rows]))
    for exchange, kind, times in connection.execute(found):
        hidden[exchange][kind] += times
    of_people: dict[tuple[str, str, int], HourFigures] = defaultdict(HourFigures)
    of_tenants: dict[tuple[str, int], HourFigures] = defaultdict(HourFigures)
    for row in rows:
        if row.status != "dry_run":
            figures, hour = _of_row(row, hidden.get(row.id)), _hour_of(row.received)
            of_people[row.tenant, row.user, hour].add(figures)
            of_tenants[row.tenant, hour].add(figures)
    _add(connection, hours, ("tenant", "user", "hour"), of_people)
    _add(connection, tenant_hours, ("tenant", "hour"), of_tenants)
    if known is None:
        connection.execute(insert(sums).values(name=_NAME, seq=rows[-1].seq))
    else:
        connection.execute(update(sums).where(sums.c.name == _NAME).values(seq=rows[-1].seq))
    return len(rows)


def _of_row(row: Any, hidden: Counter[str] | None) -> HourFigures:
    took = (row.timings or {}).get("total")
    return HourFigures(
        requests=1,
        edge=int(row.route == "edge"),
        elsewhere=int(row.route == "cloud"),
        failed=int(row.status == "failed"),
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cost=row.cost,
        hidden=dict(hidden or {}),
        ms={_step_of(took): 1} if row.status == "complete" and isinstance(took, int | float) else {},
    )


def _add(
    connection: Connection, table: Table, names: tuple[str, ...], new: Mapping[Any, HourFigures], times: int = 1
) -> None:
    """Add figures to the rows with these keys: one read and two writes, however many there are."""
    if not new:
        return
    among = (table.c[name].in_({key[at] for key in new}) for at, name in enumerate(names))
    rows = connection.execute(select(table).where(*among)).all()
    known = {tuple(getattr(row, name) for name in names): row.figures for row in rows}
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for key, figures in new.items():
        whole = HourFigures.of_kept(known.get(key, {}))
        whole.add(figures, times)
        if key in known:
            changed.append(
                {f"of_{name}": value for name, value in zip(names, key, strict=True)} | {"now": whole.kept()}
            )
        else:
            fresh.append(dict(zip(names, key, strict=True)) | {"figures": whole.kept()})
    if fresh:
        connection.execute(insert(table), fresh)
    if changed:
        which = (table.c[name] == bindparam(f"of_{name}", type_=table.c[name].type) for name in names)
        what = bindparam("now", type_=table.c.figures.type)
        connection.execute(update(table).where(*which).values(figures=what), changed)


def forget_hours(connection: Connection, person: Person) -> None:
    """Take a person's requests out of all sums."""
    rows = connection.execute(select(hours.c.hour, hours.c.figures).where(of_person(hours, person))).all()
    theirs = {(person.tenant, row.hour): HourFigures.of_kept(row.figures) for row in rows}
    _add(connection, tenant_hours, ("tenant", "hour"), theirs, -1)
    delete_rows(connection, hours, of_person(hours, person))
    delete_rows(connection, finds, of_person(finds, person))


def expire(connection: Connection, before: datetime) -> None:
    """Delete the sums and finds of exchanges that are past their time."""
    for table in (hours, tenant_hours):
        delete_rows(connection, table, table.c.hour < _hour_of(before))
    delete_rows(connection, finds, finds.c.received < before)


def by_step(
    found: Mapping[datetime, HourFigures], since: datetime, until: datetime, step: timedelta
) -> list[tuple[datetime, HourFigures]]:
    """(beginning, figures) of each step from `since`, the empty ones too, up to the one that begins at `until`."""
    steps = [HourFigures() for _ in range((until - since) // step + 1)]
    for hour, figures in found.items():
        if 0 <= (at := (hour - since) // step) < len(steps):
            steps[at].add(figures)
    return [(since + at * step, figures) for at, figures in enumerate(steps)]
