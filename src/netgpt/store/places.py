"""The rows of places of interest, one set for each source they were imported from."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import RequestError
from netgpt.store.rows import PlaceRow, values_of
from netgpt.store.schema import places

__all__ = ["all_places", "remove", "replace"]


def replace(connection: Connection, source: str, rows: Sequence[PlaceRow]) -> None:
    """Put `rows` in the place of all that came from `source` before. Readers see the old set or the new one."""
    seen: set[str] = set()
    for row in rows:
        if row.source != source:
            raise RequestError(f'place "{row.id}" comes from another source than the one to replace', param="source")
        if row.id in seen:
            raise RequestError(f'two places of the source have the id "{row.id}": ids must differ', param="id")
        seen.add(row.id)
    remove(connection, source)
    if rows:
        connection.execute(insert(places), [values_of(row) | {"tags": list(row.tags)} for row in rows])


def remove(connection: Connection, source: str) -> int:
    return connection.execute(delete(places).where(places.c.source == source)).rowcount


def all_places(connection: Connection) -> list[PlaceRow]:
    """Every place, by source and id."""
    found = connection.execute(select(places).order_by(places.c.source, places.c.id))
    return [PlaceRow(**row._asdict() | {"tags": tuple(row.tags)}) for row in found]
