"""`store.files`: what small files of the home must hold, so that a change of them by hand is found.

A mark for each file holds, sealed, the contents that count: one, or two while the file is written. The ledger vouches
for the marks, so a mark that was changed, deleted or put back from an older copy vouches for nothing. The whole content
is kept, not its hash alone: `netgpt store check` can say what differs.
"""

from __future__ import annotations

import base64
import zlib
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from netgpt.proofs import NO_FILE
from netgpt.store.encryption import Sealer
from netgpt.store.engine import StoreDatabase
from netgpt.store.entries import enter_changes, require_newest, row_fault, tampered
from netgpt.store.ledger import ledger_in_use
from netgpt.store.schema import marks

VOUCHED: Final = ("adapters/index.json", "models/index.json", "capability.json", "tools.json")
_MARK: Final = "file "


class VouchedFiles:
    """`netgpt.proofs.FileProof` by the database. Blocks, from any thread: changes are rare and read once each."""

    def __init__(self, database: StoreDatabase, sealer: Sealer) -> None:
        self._database, self._sealer = database, sealer

    def known(self, name: str) -> tuple[bytes, ...] | None:
        """What the file may hold; None: this database is older than such marks. Raises StoreError: it was changed."""
        try:
            with self._database.reading.begin() as connection:
                require_newest(connection, marks, all_there=True)
                if wrong := row_fault(connection, marks, "r.name = ?", _MARK + name):
                    raise tampered("marks", f"{_MARK}{name} {wrong}")
                sealed = connection.scalar(select(marks.c.value).where(marks.c.name == _MARK + name))
        except Exception as error:  # noqa: BLE001 - mapped to StoreError
            raise self._database.error(error) from None
        if sealed is None:
            return None
        texts = self._sealer.open_json(sealed, "marks", _MARK + name)
        return tuple(zlib.decompress(base64.b64decode(text)) for text in texts)

    def expect(self, name: str, *contents: bytes) -> None:
        """Let these count, on the disk whatever `store.power_safe` says: the file is written after it."""
        try:
            with self._database.writing.connect() as connection:
                self._database.make_durable(connection)
                self._database.watch(connection)
                with connection.begin():
                    require_newest(connection, marks)
                    expect(connection, self._sealer, name, *contents)
                    enter_changes(connection)
                    if (ledger := ledger_in_use()) is not None:
                        ledger.finish(connection, follow=False)
        except Exception as error:  # noqa: BLE001 - mapped to StoreError
            raise self._database.error(error) from None


def expect(connection: Connection, sealer: Sealer, name: str, *contents: bytes) -> None:
    """Within a write: the file holds one of these; with none of them it counts only when its owner accepts it."""
    texts = [base64.b64encode(zlib.compress(content)).decode() for content in dict.fromkeys(contents)]
    sealed = sealer.seal_json(texts, "marks", _MARK + name)
    connection.execute(delete(marks).where(marks.c.name == _MARK + name))
    connection.execute(insert(marks).values(name=_MARK + name, value=sealed))


def expect_none(connection: Connection, sealer: Sealer) -> None:
    """A new database: files that are there already were not written with it."""
    for name in VOUCHED:
        expect(connection, sealer, name, NO_FILE)


def expect_missing(connection: Connection, sealer: Sealer) -> None:
    """Marks that are gone may have been taken away: such a file counts only when its owner accepts it."""
    there = set(connection.scalars(select(marks.c.name)))
    for name in VOUCHED:
        if _MARK + name not in there:
            expect(connection, sealer, name)
