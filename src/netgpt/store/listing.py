"""Pages of exchanges, newest first, filtered by an index however many rows there are; and those that came after one.

One filter leads, the one that fewest rows meet, along its index; the others are asked of what it finds. At most `SCAN`
rows are looked at for a page, so that each page costs the same; where that was not enough, the page says where to go
on. Texts stay closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from netgpt.errors import NotFound, RequestError, StoreError
from netgpt.store.chain import SENT
from netgpt.store.schema import ExchangeRecord, exchanges, finds, of_person, receipts
from netgpt.store.writer import Part
from netgpt.types import Person

SCAN: Final = 5_000
"""Rows looked at for one page where several filters must be met."""
_RARE: Final = 2_000
"""Rows counted to see which filter the fewest rows meet."""
MOST_PAGE: Final = 1000
BEGINNING: Final = 160
"""Characters of a question that a list shows."""
_SHOWN: Final = [column for column in exchanges.c if column.name not in ("private", "question", "before", "mac")]


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which exchanges are asked for; None: any."""

    status: str | None = None
    route: str | None = None
    """"edge", "cloud" or "none"."""
    model: str | None = None
    kind: str | None = None
    """It hid a value of this kind in what left."""
    words: str | None = None
    """The reason holds them, in whatever case."""

    def matches(self, row: ExchangeRecord) -> bool:
        """The same question of one row."""
        same = all(
            wanted in (None, getattr(row, name))
            for name, wanted in (("status", self.status), ("route", self.route), ("model", self.model))
        )
        found = self.kind is None or self.kind in row.finds
        return same and found and (self.words is None or self.words.lower() in row.reason.lower())

    def equal(self) -> dict[str, ColumnElement[bool]]:
        """What columns with an index must hold."""
        pairs = {"status": self.status, "route": self.route, "model": self.model}
        return {name: exchanges.c[name] == value for name, value in pairs.items() if value is not None}


EVERYTHING: Final = ListFilter()


class Page(NamedTuple):
    """One page of a list."""

    rows: list[ExchangeRecord]
    next: str | None
    """The id to go on from (`before`); None: there is no more."""


class Listing(Part):
    """`store.listing`: rows of exchanges without their texts, for whoever looks at many."""

    scan = SCAN

    async def page(
        self,
        person: Person | None,
        tenant: str,
        limit: int = 50,
        before: str | None = None,
        wanted: ListFilter = EVERYTHING,
    ) -> Page:
        """Newest first, at most 1,000: one person's; None: all of the tenant. `before`: the id to go on from.

        Raises NotFound: `before` is unknown there; RequestError: a wrong limit.
        """
        if not 1 <= limit <= MOST_PAGE:
            raise RequestError(f"limit must be 1 to {MOST_PAGE}", param="limit")
        whose = _whose(person, tenant)

        def read(connection: Connection) -> Page:
            since = None if before is None else place_in(connection, whose, before)
            inner, rest = plan_of(connection, person, tenant, wanted, since)
            scanned = inner.limit(limit + 1 if not rest else self.scan).subquery()
            query = select(scanned).where(*(each(scanned) for each in rest)).limit(limit + 1)
            found = connection.execute(query).all()
            rows = with_figures(connection, [record_of(row) for row in found[:limit]])
            if len(found) > limit:
                return Page(rows, rows[-1].id)
            last = connection.execute(select(scanned.c.id).limit(1).offset(self.scan - 1)).scalar() if rest else None
            return Page(rows, last)

        return await self._read(read)

    async def after(self, seq: int, limit: int) -> list[tuple[int, ExchangeRecord]]:
        """The rows that were written after the one with this number, of all tenants, in their order."""
        query = select(*_SHOWN).where(exchanges.c.seq > seq).order_by(exchanges.c.seq).limit(limit)

        def read(connection: Connection) -> list[tuple[int, ExchangeRecord]]:
            found = connection.execute(query).all()
            rows = with_figures(connection, [record_of(row) for row in found])
            return [(int(each.seq), row) for each, row in zip(found, rows, strict=True)]

        return await self._read(read)

    async def asked(self, person: Person, ids: Sequence[str]) -> dict[str, str]:
        """The beginning of what this person asked in their exchanges of these ids, where texts are kept."""
        columns = (exchanges.c.id, exchanges.c.private)
        query = select(*columns).where(of_person(exchanges, person), exchanges.c.id.in_(ids))

        def read(connection: Connection) -> dict[str, str]:
            found = {}
            for row in connection.execute(query.where(exchanges.c.private.is_not(None))):
                with suppress(StoreError):  # `netgpt store check` names it
                    texts = self._sealer.open_json(row.private, "exchanges", row.id, person.tenant, person.user)
                    found[row.id] = _beginning(texts.get("request") or {})
            return found

        return await self._read(read)

    async def number_of(self, id: str, tenant: str) -> int | None:
        """The number of this exchange of the tenant; None: it is not there (any more)."""
        query = select(exchanges.c.seq).where(exchanges.c.id == id, exchanges.c.tenant == tenant)
        return await self._read(lambda connection: connection.execute(query).scalar())

    async def last(self) -> int:
        """The number of the newest row; 0: there is none."""
        query = select(exchanges.c.seq).order_by(exchanges.c.seq.desc()).limit(1)
        return await self._read(lambda connection: connection.execute(query).scalar() or 0)


def _beginning(body: Mapping[str, Any]) -> str:
    """Of the last message that the person wrote, on one line."""
    for message in reversed(body.get("messages") or ()):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            parts = [{"text": content}] if isinstance(content, str) else content or ()
            texts = [str(part["text"]) for part in parts if isinstance(part, Mapping) and part.get("text")]
            return " ".join(" ".join(texts).split())[:BEGINNING]
    return ""


def _whose(person: Person | None, tenant: str) -> ColumnElement[bool]:
    return exchanges.c.tenant == tenant if person is None else of_person(exchanges, person)


Place = tuple[datetime, str]
"""When an exchange was received, and its id: where a page goes on."""


def place_in(connection: Connection, whose: ColumnElement[bool], before: str) -> Place:
    """The place of this exchange, which must be one of these. Raises NotFound."""
    query = select(exchanges.c.received, exchanges.c.id).where(whose, exchanges.c.id == before)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise NotFound("no such exchange to list from: start again without `before`", param="before")
    return found.received, found.id


def older(received: Any, id: Any, since: Place | None) -> list[ColumnElement[bool]]:
    """Rows that come after this place. The first condition is what an index can follow."""
    if since is None:
        return []
    return [received <= since[0], or_(received < since[0], id < since[1])]


def plan_of(
    connection: Connection, person: Person | None, tenant: str, wanted: ListFilter, since: Place | None
) -> tuple[Select[Any], list[Any]]:
    """The rows along one index, and what is still to be asked of them."""
    columns, equal, whose = exchanges.c, wanted.equal(), _whose(person, tenant)
    of_kind = and_(finds.c.tenant == tenant, finds.c.kind == wanted.kind)
    ways: dict[str, Select[Any]] = {"": select(columns.id).where(whose)}
    ways |= {name: select(columns.id).where(whose, what) for name, what in equal.items()} if person is None else {}
    if wanted.kind is not None:
        ways["kind"] = select(finds.c.exchange).where(of_kind)
    lead = min(ways, key=lambda name: _at_most(connection, ways[name])) if len(ways) > 1 else ""
    rest: list[Any] = [_same(name, getattr(wanted, name)) for name in equal if name != lead]
    if wanted.words is not None:
        rest.append(lambda scanned: func.lower(scanned.c.reason).contains(wanted.words.lower(), autoescape=True))
    if wanted.kind is not None and lead != "kind":
        rest.append(lambda scanned: exists().where(finds.c.exchange == scanned.c.id, finds.c.kind == wanted.kind))
    if lead == "kind":
        joined = exchanges.join(finds, columns.id == finds.c.exchange)
        query = select(*_SHOWN).select_from(joined).where(of_kind, *older(finds.c.received, finds.c.exchange, since))
        if person is not None:
            rest.append(lambda scanned: scanned.c.user == person.user)
        return query.order_by(finds.c.received.desc(), finds.c.exchange.desc()), rest
    query = select(*_SHOWN).where(whose, *([equal[lead]] if lead else []), *older(columns.received, columns.id, since))
    return query.order_by(columns.received.desc(), columns.id.desc()), rest


def _same(name: str, value: str) -> Any:
    return lambda scanned: scanned.c[name] == value


def _at_most(connection: Connection, query: Select[Any]) -> int:
    """How many rows meet it, counted as far as matters."""
    return connection.execute(select(func.count()).select_from(query.limit(_RARE).subquery())).scalar_one()


def record_of(row: Row[Any]) -> ExchangeRecord:
    """A row without its texts."""
    values = {name: value for name, value in row._asdict().items() if name != "seq"}
    return ExchangeRecord(**values | {"adapters": tuple(row.adapters or ())})


def with_figures(connection: Connection, rows: Iterable[ExchangeRecord]) -> list[ExchangeRecord]:
    """With how many values each hid, by kind, and how many bytes left for it."""
    rows = list(rows)
    ids = [row.id for row in rows]
    hidden: dict[str, dict[str, int]] = {}
    for exchange, kind, times in connection.execute(
        select(finds.c.exchange, finds.c.kind, finds.c.times).where(finds.c.exchange.in_(ids))
    ):
        hidden.setdefault(exchange, {})[kind] = times
    query = select(receipts.c.exchange, func.sum(receipts.c.size)).where(
        receipts.c.exchange.in_(ids), receipts.c.kind == SENT
    )
    left = {id: int(size) for id, size in connection.execute(query.group_by(receipts.c.exchange))}
    return [replace(row, finds=hidden.get(row.id, {}), left=left.get(row.id, 0)) for row in rows]
