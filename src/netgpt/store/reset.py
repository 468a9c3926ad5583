"""Starting over without what a lost key sealed, and with all the rest.

The old database is not changed: it is copied, the copy loses what nobody can open, and then both change places.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from netgpt.errors import StoreError
from netgpt.store.faults import told
from netgpt.store.files import OpenMark
from netgpt.store.users import tokens_in_use

__all__ = ["Reset", "reset_sealed", "seal_stand_ins"]

_GONE: Final = (
    "facts", "maps", "examples", "lessons", "profiles", "consents", "receipts", "waiting", "decisions", "marks"
)  # fmt: skip
"""Tables whose rows mean nothing without their sealed part, or without the person."""
_KEPT: Final = ("exchanges", "keys", "places")
_STAND_IN: Final = "lost-"


@dataclass(frozen=True, slots=True)
class Reset:
    """Where the old database lies now, and how many rows were taken over or left behind, by table."""

    aside: Path
    kept: dict[str, int]
    left: dict[str, int]
    keys_revoked: int
    """Keys that spoke for one person only: nobody can say for whom any more."""


def reset_sealed(path: Path) -> Reset:
    """Take over what is not sealed; move the old file to `<name>.lost-<time>`. The next opening seals with the new key.

    People's names are lost with the key: figures keep a stand-in for each ("lost-1a2b3c4d"). Raises StoreError: the
    database is open elsewhere, missing or damaged; then nothing was changed.
    """
    if not path.exists():
        raise StoreError(f"{path}: there is no database, so there is nothing to reset.")
    mark = OpenMark(path)
    try:
        if not mark.alone():
            raise StoreError(f"{path}: a NetGPT has it open. Stop it first (`netgpt serve`).", code="store_busy")
        return _reset(path)
    finally:
        mark.release()


def _reset(path: Path) -> Reset:
    draft = path.with_name(f".{path.name}.reset")
    aside = path.with_name(f"{path.name}.lost-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(draft, isolation_level=None)) as new:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the file alone is then all of it
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            counted = _strip(new)
            new.execute("VACUUM")
        os.link(path, aside)  # both names for a moment: a kill never leaves the box without a database
        draft.replace(path)
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).unlink()
    except (sqlite3.Error, OSError) as error:
        draft.unlink(missing_ok=True)
        raise told(error, path) from None
    return Reset(aside, *counted)


def _strip(new: sqlite3.Connection) -> tuple[dict[str, int], dict[str, int], int]:
    left = {table: _count(new, table) for table in _GONE if table != "marks"}
    new.execute("BEGIN IMMEDIATE")
    new.execute("PRAGMA secure_delete=ON")
    for table in _GONE:
        new.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    revoked = new.execute(
        "UPDATE keys SET revoked = coalesce(revoked, ?), user = NULL WHERE user IS NOT NULL",
        (int(datetime.now(UTC).timestamp() * 1_000_000),),
    ).rowcount
    texts = new.execute("UPDATE exchanges SET private = NULL WHERE private IS NOT NULL").rowcount
    new.create_function("stand_in", 1, stand_in, deterministic=True)
    new.execute("UPDATE exchanges SET user = stand_in(user)")
    new.execute("COMMIT")
    return {table: _count(new, table) for table in _KEPT}, left | {"texts of exchanges": texts}, revoked


def stand_in(token: str) -> str:
    """A name for someone whose name is lost: the same person keeps the same one."""
    return _STAND_IN + hashlib.sha256(token.encode()).hexdigest()[:8]


def seal_stand_ins(connection: Connection) -> None:
    """The first opening after a reset turns stand-ins into tokens, as all people's ids are kept."""
    query = f"SELECT DISTINCT user FROM exchanges WHERE user LIKE '{_STAND_IN}%'"  # noqa: S608 - our own word
    for name in connection.exec_driver_sql(query).scalars().all():
        token = tokens_in_use().token(name)
        connection.exec_driver_sql("UPDATE exchanges SET user = ? WHERE user = ?", (token, name))


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names
