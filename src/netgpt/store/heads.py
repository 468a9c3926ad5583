"""The head noted outside the database: an old copy of the whole database proves itself by everything that is inside.

A note says when, how many writes the ledger had counted, and the last receipt (number and hash). Notes go to a file
beside the database (so an old copy of the database alone is told), the system's log, or an auditor's URL. They hold no
person and no text.
"""

from __future__ import annotations

import asyncio
import os
import re
import syslog
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, select

from netgpt.errors import StoreError
from netgpt.files import lines_in, open_own, why_not
from netgpt.store.chain import Head
from netgpt.store.ledger import ledger_in_use
from netgpt.store.schema import receipts
from netgpt.store.writer import Part

_LINE: Final = re.compile(r"(\S+) (\d{1,20}) (\d{1,20}:[0-9a-f]{64})")
_LONGEST: Final = 200
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class HeadNote:
    """Where a database stood at a moment."""

    time: datetime
    writes: int
    head: Head

    def __str__(self) -> str:
        return f"{self.time.isoformat(timespec='seconds')} {self.writes} {self.head}"

    @classmethod
    def read(cls, line: str) -> Self:
        """Raises ValueError: not a note."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError("not a note")
        return cls(datetime.fromisoformat(found[1]), int(found[2]), Head.read(found[3]))


class HeadsNoted(Part):
    """`store.heads`."""

    async def now(self) -> HeadNote | None:
        """Where the database stands; None: its ledger was taken away."""
        return await self._read(_now)

    async def faults(self, file: Path) -> list[str]:
        """What the notes in `file` know and the database does not. Raises StoreError: the file cannot be read."""
        notes = await asyncio.to_thread(_notes, file)
        return await self._read(lambda connection: _faults(connection, notes, file))


def _notes(file: Path) -> list[HeadNote]:
    return list(notes_in(file)) if file.exists() else []


def _now(connection: Connection) -> HeadNote | None:
    ledger = ledger_in_use()
    if ledger is None or ledger.ends is None:
        return None
    head = ledger.ends.head
    return HeadNote(datetime.now(UTC), ledger.ends.changes, Head(int.from_bytes(head[:8], "big"), head[8:]))


def _faults(connection: Connection, notes: list[HeadNote], file: Path) -> list[str]:
    """Notes are in order: one that is smaller than one before it was made over an older copy."""
    here, found = _now(connection), []
    most = max(notes, key=lambda note: note.writes, default=None)
    if most is not None and here is not None and here.writes < most.writes:
        found.append(
            f"an older copy of the database was put in its place: at {most.time:%Y-%m-%d %H:%M} UTC it had "
            f"{most.writes} writes, now it has {here.writes} ({file})"
        )
    for before, note in pairwise(notes):
        if note.writes < before.writes:
            when = f"{before.time:%Y-%m-%d %H:%M} and {note.time:%Y-%m-%d %H:%M} UTC"
            found.append(f"an older copy of the database was put in its place between {when} ({file})")
    heads = sorted({note.head for note in notes if note.head.seq}, key=lambda head: head.seq)
    wrong = [head for head in heads if _hash_of(connection, head.seq) != head.hash]
    found += [f"receipt {head.seq} was noted, and is missing or another one ({file})" for head in wrong]
    return found[:_SHOWN]


def _hash_of(connection: Connection, seq: int) -> bytes | None:
    return connection.scalar(select(receipts.c.hash).where(receipts.c.seq == seq))


def notes_in(file: Path) -> Iterator[HeadNote]:
    """The notes of a file, oldest first. Raises StoreError, with file and line: not a note."""
    for number, line in lines_in(file, StoreError, longest=_LONGEST):
        try:
            yield HeadNote.read(line)
        except ValueError:
            raise StoreError(f"{file}:{number}: not a note of a head: somebody changed the file") from None


def append_note(file: Path, note: HeadNote) -> None:
    """Add a line, on the disk when this returns. The file may be made append-only (`chattr +a`). Raises StoreError."""
    try:
        with os.fdopen(open_own(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as out:
            out.write(f"{note}\n".encode("ascii"))
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreError(f"{file}: the head cannot be noted: {why_not(error)}") from None


def log_note(note: HeadNote) -> None:
    """Tell the system's log."""
    syslog.syslog(syslog.LOG_NOTICE | syslog.LOG_AUTHPRIV, f"netgpt head {note}")
