"""What the store holds of one person beyond exchanges and facts, for whoever has a right to all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from netgpt.store import keyring, maps
from netgpt.store.rows import KeyRow
from netgpt.store.seal import Sealer
from netgpt.store.writer import Read
from netgpt.types import Person

__all__ = ["Holdings", "KeptMap"]


@dataclass(frozen=True, slots=True)
class KeptMap:
    """The pseudonym map of one conversation. `data` is the vault's; the conversation's name is not kept."""

    used: datetime
    data: bytes = field(repr=False)


class Holdings:
    """A part of the store: `store.holdings`. Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, sealer: Sealer) -> None:
        self._read, self._sealer = read, sealer

    async def maps(self, person: Person) -> list[KeptMap]:
        """All pseudonym maps of the person, the one used longest ago first."""

        def opened(connection: Connection) -> list[KeptMap]:
            return [KeptMap(used, data) for used, data in maps.kept_of(connection, self._sealer, person)]

        return await self._read(opened)

    async def keys(self, person: Person) -> list[KeyRow]:
        """The keys that speak for this person alone."""

        def bound(connection: Connection) -> list[KeyRow]:
            rows = keyring.all_keys(connection)
            return [row for row in rows if row.user is not None and Person(row.tenant, row.user) == person]

        return await self._read(bound)
