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
    """`netgpt.proofs.FileProof` by the database. Blocks, from any thread: changes are rare and read once each.

    Where several boxes share a database, each has its own files, and marks with its name; a file that it never wrote is
    held against the mark without one, which the first opening made, or the move out of a box's own database brought.
    """

    def __init__(self, database: StoreDatabase, sealer: Sealer, box: str = "") -> None:
        """`box`: the name of this one among those that share the database."""
        self._database, self._sealer = database, sealer
        self._of_box = f"of {box} " if box else ""

    def known(self, name: str) -> tuple[bytes, ...] | None:
        """What the file may hold; None: this database is older than such marks. Raises StoreError: it was changed."""
        try:
            with self._database.reading.begin() as connection:
                require_newest(connection, marks, all_there=True)
                sealed = None
                for mark in (_MARK + self._of_box + name, _MARK + name):
                    if wrong := row_fault(connection, marks, "r.name = ?", mark):
                        raise tampered("marks", f"{mark} {wrong}")
                    sealed = connection.scalar(select(marks.c.value).where(marks.c.name == mark))
                    if sealed is not None or not self._of_box:
                        break
        except Exception as error:  # noqa: BLE001 - mapped to StoreError
            raise self._database.error(error) from None
        if sealed is None:
            return None
        texts = self._sealer.open_json(sealed, "marks", mark)
        return tuple(zlib.decompress(base64.b64decode(text)) for text in texts)

    def expect(self, name: str, *contents: bytes) -> None:
        """Let these count, on the disk whatever `store.power_safe` says: the file is written after it."""
        try:
            with self._database.writing.connect() as connection:
                self._database.make_durable(connection)
                self._database.watch(connection)
                with connection.begin():
                    require_newest(connection, marks)
                    expect(connection, self._sealer, self._of_box + name, *contents)
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
