"""The rows of finished exchanges."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from netgpt.errors import NotFound
from netgpt.store import limits
from netgpt.store.answers import question_of
from netgpt.store.quick import QuickInsert
from netgpt.store.rows import ExchangeRow, values_of
from netgpt.store.schema import exchanges, of_person
from netgpt.store.seal import Sealer, place_of
from netgpt.types import Person

__all__ = ["expire", "find", "forget", "page", "rate", "save"]

_INSERT = QuickInsert(exchanges)


def save(connection: Connection, sealer: Sealer, row: ExchangeRow) -> None:
    """Add a row; an id that is there already is refused (StoreError `conflict`), never overwritten."""
    values = values_of(row)
    complete = row.status == "complete"
    values["question"] = question_of(sealer, row.tenant, row.user, row.private) if complete else None
    if row.private is not None:
        values["private"] = sealer.seal(_encoded(row.private), _place(row.id, row.tenant, row.user))
    _INSERT.run(connection, values)
    if row.key_id is not None:
        limits.book(connection, row)


def rate(connection: Connection, id: str, rating: int) -> bool:
    return connection.execute(update(exchanges).where(exchanges.c.id == id).values(rating=rating)).rowcount > 0


def find(connection: Connection, sealer: Sealer, id: str) -> ExchangeRow | None:
    row = connection.execute(select(exchanges).where(exchanges.c.id == id)).one_or_none()
    return None if row is None else _opened(row, sealer)


def page(
    connection: Connection,
    sealer: Sealer,
    person: Person | None,
    limit: int,
    before: str | None,
    rating: int | None = None,
    tenant: str | None = None,
    texts: bool = True,
) -> list[ExchangeRow]:
    """Newest first; `before` is the id of the last row of the page before. Raises NotFound for an unknown id."""
    query = select(exchanges).order_by(exchanges.c.received.desc(), exchanges.c.id.desc()).limit(limit)
    if person is not None:
        query = query.where(of_person(exchanges, person))
    if tenant is not None:
        query = query.where(exchanges.c.tenant == tenant)
    if rating is not None:
        query = query.where(exchanges.c.rating == rating)
    if before is not None:
        last = connection.execute(query.where(exchanges.c.id == before)).one_or_none()
        if last is None:
            raise NotFound("no such exchange to list from: start again without `before`", param="before")
        same_moment = and_(exchanges.c.received == last.received, exchanges.c.id < last.id)
        query = query.where(or_(exchanges.c.received < last.received, same_moment))
    return [_opened(row, sealer if texts else None) for row in connection.execute(query)]


def expire(connection: Connection, received_before: datetime) -> int:
    return connection.execute(delete(exchanges).where(exchanges.c.received < received_before)).rowcount


def forget(connection: Connection, person: Person) -> int:
    mine = of_person(exchanges, person)
    return connection.execute(delete(exchanges).where(mine)).rowcount


def _opened(row: Row[tuple[object, ...]], sealer: Sealer | None) -> ExchangeRow:
    """`sealer=None` leaves the texts closed, as if they were not kept."""
    values = row._asdict()
    del values["question"]
    values["adapters"] = tuple(row.adapters or ())
    if sealer is None:
        values["private"] = None
    elif row.private is not None:
        values["private"] = json.loads(sealer.open(row.private, _place(row.id, row.tenant, row.user)))
    return ExchangeRow(**values)


def _encoded(private: dict[str, Any]) -> bytes:
    """JSON. orjson refuses lone surrogates and huge integers, which are legal JSON; the slow way takes them."""
    try:
        return orjson.dumps(private)
    except TypeError:
        return json.dumps(private).encode("ascii")


def _place(id: str, tenant: str, user: str) -> bytes:
    return place_of("exchanges", id, tenant, user)
