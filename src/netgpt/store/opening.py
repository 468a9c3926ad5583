"""What happens to a database before its first use, and after somebody was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import StoreError
from netgpt.store.chaining import begin_chain
from netgpt.store.database import Database
from netgpt.store.faults import told
from netgpt.store.files import OpenMark, make_private
from netgpt.store.migrations import is_current, migrate
from netgpt.store.own_secrets import OwnSecrets, other_key
from netgpt.store.reset import seal_stand_ins
from netgpt.store.schema import marks
from netgpt.store.seal import Sealer, place_of

__all__ = ["open_database", "prove_anew"]

_PROOF: Final = "sealed-with"
_PROOF_PLACE: Final = place_of("marks", _PROOF)


def open_database(database: Database, sealer: Sealer, own: OwnSecrets) -> OpenMark:
    """Prepare the file for use and return the mark that says it is open. Raises StoreError."""
    make_private(database.path)
    mark = OpenMark(database.path)
    try:
        if mark.take():
            database.check()  # left open by a crash or a kill: cheap for a box's database, and then only
        database.use_wal()
        if not is_current(database.reading):
            migrate(database.writing)
        prove_key(database, sealer, own)
        mark.share()
    except Exception as error:  # noqa: BLE001 - mapped to StoreError
        mark.release()
        database.forget_connections()
        raise told(error, database.path) from None
    return mark


def prove_key(database: Database, sealer: Sealer, own: OwnSecrets) -> None:
    """Open the value that the first use sealed, so that a wrong key is told at the start. Raises StoreError."""
    query = select(marks.c.value).where(marks.c.name == _PROOF)
    with database.reading.connect() as connection:
        proof = connection.scalar(query)
    if proof is None:
        with database.writing.begin() as connection:
            proof = connection.scalar(query)  # again: another process may have been faster
            if proof is None:
                prove_anew(connection, sealer)
                own.make(connection, begin_chain(connection, sealer))
                seal_stand_ins(connection)
    if proof is not None:
        _prove(proof, sealer, database.path)


def prove_anew(connection: Connection, sealer: Sealer) -> None:
    """Seal the proof with the newest key. Within a transaction."""
    connection.execute(delete(marks).where(marks.c.name == _PROOF))
    connection.execute(insert(marks).values(name=_PROOF, value=sealer.seal(_PROOF.encode(), _PROOF_PLACE)))


def _prove(proof: bytes, sealer: Sealer, path: Path) -> None:
    """Raises StoreError: another key sealed it."""
    try:
        sealer.open(proof, _PROOF_PLACE)
    except StoreError:
        raise other_key(path, sealer) from None
