"""The border to the database: what it raises becomes a StoreError that names file, fault and cure.

Messages never hold statement parameters. SQLite's result codes: https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, StatementError

from netgpt.errors import NetGPTError, StoreError

__all__ = ["damaged", "told"]

_PRIMARY = 0xFF  # SQLite's extended codes keep the primary code in the low byte


def told(error: BaseException, path: Path) -> NetGPTError:
    """The error to raise for `error`. Ours pass unchanged; every other becomes a StoreError."""
    if isinstance(error, StatementError) and isinstance(error.orig, NetGPTError):
        return error.orig  # a column's type refused a value before any statement ran
    if isinstance(error, NetGPTError):
        return error
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _told_by_sqlite(original, path)
    if isinstance(error, OSError):
        return StoreError(f"{path}: {error.strerror or type(error).__name__}. Check the disk and who owns the folder.")
    told = StoreError(f"{path}: nothing was written or read: {type(error).__name__}. A value has the wrong shape.")
    told.__cause__ = error
    return told


def damaged(path: Path, what: str) -> StoreError:
    """The error for a file that cannot be trusted any more. It is never overwritten or repaired in place."""
    return StoreError(
        f"{path}: the database file is damaged ({what}). Stop NetGPT and move it aside with {path.name}-wal and "
        f"{path.name}-shm: mv {path}* /some/where/. Then put a backup in its place, or start again and a new, empty "
        "database is made. `sqlite3 FILE .recover` rescues what is readable.",
        code="store_damaged",
    )


def _told_by_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, name)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"{path}: the database is locked by another program ({name}). Close what holds it (`fuser {path}` names "
            "it), then try again.",
            code="store_locked",
            retry_after=5.0,
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"{path}: the row was refused ({name}): one with this id is there already.", code="conflict")
    fault, cure, word = _FAULTS.get(code, ("the database failed", "Look at the disk and try again", "unavailable"))
    return StoreError(f"{path}: {fault} ({name}). {cure}.", code=f"store_{word}")


_FAULTS = {
    sqlite3.SQLITE_FULL: ("the disk or the file's quota is full", "Free some space; writing goes on by itself", "full"),
    sqlite3.SQLITE_IOERR: ("the disk gave an error", "Check its space and health; writing goes on by itself", "disk"),
    sqlite3.SQLITE_READONLY: ("the file may only be read", "Make it writable for this user", "readonly"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Check that the folder exists and who owns it", "unopened"),
    sqlite3.SQLITE_PERM: ("access is denied", "Check who owns the file", "denied"),
}
