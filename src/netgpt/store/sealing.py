"""A part of the store: `store.sealing`. Changing the key, checking what is sealed, figures, and copies."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from netgpt.errors import RequestError, StoreError
from netgpt.store import integrity, rotate
from netgpt.store.database import scrub
from netgpt.store.faults import told
from netgpt.store.integrity import StoreFault, StoreInfo, checked_tables
from netgpt.store.keysource import KeyFile, fresh_key
from netgpt.store.own_secrets import OwnSecrets
from netgpt.store.rotate import Progress
from netgpt.store.seal import Sealer
from netgpt.store.sealed import sealed_tables
from netgpt.store.writer import Read, Write

__all__ = ["Maintenance", "Rotated", "StoreReport"]

_SCRUB_TRIES: Final = 5
_SCRUB_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rotated:
    """What changing the key did."""

    key_id: str
    sealed: int
    dropped: int = 0
    damaged: tuple[StoreFault, ...] = field(default=())
    """Rows that no key opens. While there are any, the old key is kept."""
    old_keys_removed: bool = False


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What looking the database over found."""

    rows: int
    faults: tuple[StoreFault, ...]


def _silent(done: int, of: int) -> None:
    """Nobody watches."""


class Maintenance:
    """Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, submit: Write, sealer: Sealer, own: OwnSecrets, path: Path) -> None:
        self._read, self._submit = read, submit
        self._sealer, self._own, self._path = sealer, own, path

    async def rotate(self, progress: Progress = _silent, *, drop_damaged: bool = False) -> Rotated:
        """Seal everything with a new key and forget the old one. Goes on where a change was cut.

        A key file gets its new key here. Keys from the environment or a command must hold the new one first.
        `drop_damaged`: rows that no key opens are dropped instead of keeping the old key.
        """
        with _alone(self._path):
            _prepare(self._sealer)
            await self._submit(partial(rotate.change_secrets, sealer=self._sealer, own=self._own))
            sealed, damaged = await self._seal_all(progress)
            dropped = 0
            if damaged and drop_damaged:
                dropped = await self._submit(partial(rotate.drop_damaged, sealer=self._sealer))
                damaged = []
            await self._scrub()
            if not damaged:
                damaged = await self._look_again()
            done = Rotated(self._sealer.key_ids[0], sealed, dropped, tuple(damaged))
            if damaged or not isinstance(self._sealer.keys, KeyFile):
                return done
            self._sealer.keys.write(self._sealer.keys.read()[:1])
            return Rotated(done.key_id, done.sealed, done.dropped, (), old_keys_removed=True)

    async def _seal_all(self, progress: Progress) -> tuple[int, list[StoreFault]]:
        """Pass over the tables until nothing is left that a key opens: another process may move rows meanwhile."""
        left = await self._read(partial(rotate.left_to_seal, sealer=self._sealer))
        of, sealed = left, 0
        while True:
            damaged: list[StoreFault] = []
            before = sealed
            for table in sealed_tables():
                after = 0
                while True:
                    batch = await self._submit(
                        partial(rotate.reseal, sealer=self._sealer, table=table, after=after), needs_room=False
                    )
                    if batch.last is None:
                        break
                    after, sealed = batch.last, sealed + batch.sealed
                    damaged += [StoreFault(table, id, "no key opens it") for id in batch.damaged]
                    progress(min(sealed, of), of)
            left = await self._read(partial(rotate.left_to_seal, sealer=self._sealer))
            if left <= len(damaged) or sealed == before:
                return sealed, damaged

    async def _look_again(self) -> list[StoreFault]:
        """Before the old key goes: once more, in a turn of its own among the writes."""
        left = await self._submit(partial(rotate.left_to_seal, sealer=self._sealer), needs_room=False)
        what = f"{left} values were sealed with the old key meanwhile: rotate again"
        return [StoreFault("(all)", "", what)] if left else []

    async def _scrub(self) -> None:
        """Readers stand in the way for moments only. Raises StoreError: they did all the time; the old key stays."""
        for tried in range(_SCRUB_TRIES):
            try:
                await self._submit(lambda connection: None, after=scrub, needs_room=False)
                return
            except StoreError as error:
                if tried == _SCRUB_TRIES - 1:
                    raise StoreError(
                        f"{self._path}: everything is sealed with the new key, but traces of the old may be left in "
                        "the file, because another program reads it or the disk is full. The old key is kept: run "
                        "`netgpt store rotate` again.",
                        code=error.code,
                    ) from None
                await asyncio.sleep(_SCRUB_PAUSE_S)

    async def check(self, progress: Progress = _silent) -> StoreReport:
        """Read the whole file and open every sealed value. Changes nothing."""
        faults = await asyncio.to_thread(integrity.check_file, self._path)
        faults += await self._read(partial(integrity.check_marks, sealer=self._sealer))
        of = sum(table.rows for table in (await self.info()).tables if table.name in checked_tables())
        seen = 0
        for table in checked_tables():
            after: int | None = 0
            while after is not None:
                after, rows, found = await self._read(
                    partial(integrity.check_rows, sealer=self._sealer, table=table, after=after)
                )
                seen, faults = seen + rows, faults + found
                progress(seen, max(seen, of))
        return StoreReport(seen, tuple(faults))

    async def info(self) -> StoreInfo:
        """Sizes, rows, ages and keys."""
        return await self._read(partial(integrity.info_of, sealer=self._sealer, path=self._path))

    async def backup(self, target: Path) -> int:
        """Copy the database as it is at one moment, sealed as it is, while others go on. Returns its size in bytes.

        Raises RequestError: the file exists, or cannot be made.
        """
        return await asyncio.to_thread(_copy, self._path, target)


def _prepare(sealer: Sealer) -> None:
    """See that the source holds a new key before the old one."""
    keys = sealer.keys.read()
    if isinstance(sealer.keys, KeyFile):
        if len(keys) == 1:
            sealer.keys.write((fresh_key(), *keys))
    elif len(keys) == 1:
        raise RequestError(
            f"{sealer.source} holds one key, so there is none to change to. Make one (`netgpt store new-key`), put it "
            "before the old one with a space between, start NetGPT again with both, and rotate then."
        )
    sealer.reread()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One change of keys at a time. Raises StoreError: another one runs."""
    descriptor = os.open(path.with_name(path.name + "-rotate"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(f"{path}: the key is being changed already; wait for it.", code="store_busy") from None
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> int:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise RequestError(f"{target}: exists already. Name a new file.") from None
    except OSError as error:
        raise RequestError(f"{target}: cannot be made: {error.strerror}.") from None
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=1000, sleep=0.0)
            there.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise told(error, target) from None
    return target.stat().st_size
