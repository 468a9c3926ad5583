"""Changing the key, checking what is sealed, figures, copies, and starting over without what a lost key sealed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from netgpt.errors import RequestError, StoreError
from netgpt.store import rotation
from netgpt.store.chain import GENESIS, HEAD, Head, known_head
from netgpt.store.database import OpenMark, store_error
from netgpt.store.encryption import PREFIX_BYTES, KeyFile, Sealer, fresh_key
from netgpt.store.engine import StoreDatabase, database_of, driver_of, scrub
from netgpt.store.entries import audit, drop_faulty
from netgpt.store.files import expect_missing
from netgpt.store.ledger import ledger_in_use
from netgpt.store.people import delete_orphans
from netgpt.store.rotation import (
    FIRST,
    Progress,
    marks_sealed,
    opened_mark,
    place_of_row,
    rows_of,
    sealed_tables,
    user_tables,
)
from netgpt.store.schema import metadata, tokens_in_use
from netgpt.store.secrets import NAME, DatabaseSecrets
from netgpt.store.writer import Part, Transactions

_PAGE: Final = 500
_BEGAN: Final = {
    "exchanges": "received", "facts": "created", "maps": "used", "examples": "kept", "receipts": "time",
    "waiting": "created", "decisions": "time", "proposals": "created", "readings": "time", "reports": "time",
}  # fmt: skip
"""The column that retention goes by."""


@dataclass(frozen=True, slots=True)
class StoreFault:
    """A row (or the file itself) that is not as the box wrote it. Names tables and ids, never a content or a person."""

    table: str
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table: how many rows, and the oldest one's time where rows have one."""

    name: str
    rows: int
    oldest: datetime | None
    sealed_by: dict[str, int]
    """Sealed values by the id of their key; "none": nothing that this program sealed."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A database in figures. Sizes in bytes."""

    name: str
    """The file, or server and database."""
    bytes: int
    log_bytes: int
    key_source: str
    key_kind: str
    key_ids: tuple[str, ...]
    """The one that seals first."""
    tables: tuple[TableInfo, ...]


def check_ledger(connection: Connection, sealer: Sealer) -> list[StoreFault]:
    """The rows that are not as the box wrote them, those that are missing, and what the chain of receipts lacks."""
    ledger = ledger_in_use()
    if ledger is None:
        return [StoreFault("marks", NAME, "is gone: nothing vouches for the rows of the database")]
    faults = [StoreFault(*fault) for fault in audit(connection, ledger)]
    head = known_head(connection, sealer)
    if head is None or (ledger.ends is not None and ledger.ends.head[:8] > head.packed()[:8]):
        what = "is not the end of the receipts that the ledger tells of: `netgpt receipts verify` shows more"
        faults.append(StoreFault("marks", HEAD, what))
    return faults


def check_marks(connection: Connection, sealer: Sealer) -> list[StoreFault]:
    """The sealed marks that do not open."""
    faults = []
    for name, value in marks_sealed(connection):
        try:
            opened_mark(sealer, name, value)
        except StoreError:
            faults.append(StoreFault("marks", name, "does not open: it was changed"))
    return faults


def check_rows(connection: Connection, sealer: Sealer, table: str, after: Any) -> tuple[Any, int, list[StoreFault]]:
    """The next rows past the key `after`: the last one's key (None: the end), how many, and what is wrong."""
    rows, faults, tokens = rows_of(connection, table, after, _PAGE), [], tokens_in_use()
    for row in rows:
        try:
            if row.token is not None:
                tokens.user(row.token)
        except StoreError:
            faults.append(StoreFault(table, row.id, "does not tell whose it is: it was changed"))
            continue
        try:
            if row.private is not None:
                sealer.open(row.private, place_of_row(table, row, tokens))
        except StoreError:
            what = "does not open in its place: it was changed, or moved from another row"
            faults.append(StoreFault(table, row.id, what))
    return (rows[-1].key if rows else None), len(rows), faults


def checked_tables() -> tuple[str, ...]:
    """Every table in which a change by hand can be found."""
    return tuple(sorted({*sealed_tables(), *user_tables()}))


def info_of(connection: Connection, sealer: Sealer) -> StoreInfo:
    """Figures of all tables."""
    database, tables = database_of(connection), tuple(_tables(connection))
    sizes = database.sizes(connection)
    return StoreInfo(database.name, *sizes, sealer.source, sealer.keys.kind, sealer.key_ids, tables)


def _tables(connection: Connection) -> Iterator[TableInfo]:
    for name in sorted(table.name for table in metadata.sorted_tables if table.name not in ("marks", "migrations")):
        rows = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608 - our own names
        oldest = None
        if name in _BEGAN:
            began = connection.exec_driver_sql(f'SELECT min("{_BEGAN[name]}") FROM {name}').scalar_one()  # noqa: S608
            oldest = None if began is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=began)
        yield TableInfo(name, rows, oldest, _sealed_by(connection, name) if name in sealed_tables() else {})


def _sealed_by(connection: Connection, table: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    value = database_of(connection).as_bytes("private")
    found = connection.exec_driver_sql(
        f"SELECT substr({value}, 1, {PREFIX_BYTES}), count(*) FROM {table} WHERE private IS NOT NULL GROUP BY 1"  # noqa: S608
    )
    for prefix, rows in found:
        prefix = bytes(prefix)
        counts[prefix[1:].hex() if prefix[:1] == b"\x02" else "none"] += rows
    return dict(counts)


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
    """What a check found."""

    rows: int
    faults: tuple[StoreFault, ...]


def _silent(done: int, of: int) -> None:
    """Show no progress."""


class Maintenance(Part):
    """`store.sealing`."""

    def __init__(
        self, transactions: Transactions, sealer: Sealer, secrets: DatabaseSecrets, database: StoreDatabase
    ) -> None:
        super().__init__(transactions, sealer)
        self._secrets, self._database = secrets, database

    async def rotate(self, progress: Progress = _silent, *, drop_damaged: bool = False) -> Rotated:
        """Seal everything with a new key and forget the old one. Goes on where a change was interrupted.

        A key file gets its new key here. Keys from the environment or a command must hold the new one first.
        `drop_damaged`: rows that no key opens are dropped instead of keeping the old key, and so are those that were
        changed or put in by hand; what is left is taken into a new ledger.
        """
        with self._database.alone("rotate"):
            _prepare(self._sealer)
            await self._submit(partial(rotation.change_secrets, sealer=self._sealer, secrets=self._secrets))
            sealed, damaged = await self._seal_all(progress)
            dropped = 0
            if drop_damaged:
                dropped = await self._change(partial(_drop, sealer=self._sealer), needs_room=False)
                damaged = []
            await self._scrub()
            if not damaged:  # before the old key goes: once more, in turn with the writes
                left = await self._submit(partial(rotation.left_to_seal, sealer=self._sealer), needs_room=False)
                what = f"{left} values were sealed with the old key meanwhile: rotate again"
                damaged = [StoreFault("(all)", "", what)] if left else []
            remove = not damaged and isinstance(self._sealer.keys, KeyFile)
            if remove and isinstance(self._sealer.keys, KeyFile):
                self._sealer.keys.write(self._sealer.keys.read()[:1])
            return Rotated(self._sealer.key_ids[0], sealed, dropped, tuple(damaged), old_keys_removed=remove)

    async def _seal_all(self, progress: Progress) -> tuple[int, list[StoreFault]]:
        """Pass over the tables until nothing is left that a key opens: another process may move rows meanwhile."""
        left = await self._read(partial(rotation.left_to_seal, sealer=self._sealer))
        of, sealed = left, 0
        while True:
            damaged: list[StoreFault] = []
            before = sealed
            for table in sealed_tables():
                after: Any = FIRST
                while True:
                    step = partial(rotation.reseal, sealer=self._sealer, table=table, after=after)
                    batch = await self._submit(step, needs_room=False)
                    if batch.last is None:
                        break
                    after, sealed = batch.last, sealed + batch.sealed
                    damaged += [StoreFault(table, id, "no key opens it") for id in batch.damaged]
                    progress(min(sealed, of), of)
            left = await self._read(partial(rotation.left_to_seal, sealer=self._sealer))
            if left <= len(damaged) or sealed == before:
                return sealed, damaged

    async def _scrub(self) -> None:
        """Readers block it for moments only. Raises StoreError: they did each time; the old key stays."""
        for left in reversed(range(_SCRUB_TRIES)):
            try:
                return await self._submit(lambda connection: None, after=scrub, needs_room=False)
            except StoreError as error:
                if not left:
                    raise StoreError(
                        f"{self._database.name}: everything is sealed with the new key, but traces of the old may be "
                        "left in the file, because another program reads it or the disk is full. The old key is kept: "
                        "run `netgpt store rotate` again.",
                        code=error.code,
                    ) from None
                await asyncio.sleep(_SCRUB_PAUSE_S)

    async def check(self, progress: Progress = _silent) -> StoreReport:
        """Read the whole file, open every sealed value, hold every row against the ledger. Changes nothing."""
        faults = [StoreFault("(file)", "", what) for what in await asyncio.to_thread(self._database.check)]
        faults += await self._read(partial(check_marks, sealer=self._sealer))
        faults += await self._read(partial(check_ledger, sealer=self._sealer))
        of = sum(table.rows for table in (await self.info()).tables if table.name in checked_tables())
        seen = 0
        for table in checked_tables():
            after: Any = FIRST
            while after is not None:
                step = partial(check_rows, sealer=self._sealer, table=table, after=after)
                after, rows, found = await self._read(step)
                seen, faults = seen + rows, faults + found
                progress(seen, max(seen, of))
        first = {(fault.table, fault.id): fault for fault in reversed(faults)}
        return StoreReport(seen, tuple(reversed(first.values())))

    async def info(self) -> StoreInfo:
        """Sizes, rows, ages and keys."""
        return await self._read(partial(info_of, sealer=self._sealer))

    async def backup(self, target: Path) -> int:
        """Copy the database as it is at one moment, sealed as it is, while others go on. Returns its size in bytes.

        Raises RequestError: the file exists, or cannot be made.
        """
        return await asyncio.to_thread(self._database.backup, target)


def _drop(connection: Connection, sealer: Sealer) -> int:
    ledger = ledger_in_use()
    head = known_head(connection, sealer) or Head(0, GENESIS)
    gone = 0 if ledger is None else drop_faulty(connection, ledger, head.packed())
    delete_orphans(connection)
    expect_missing(connection, sealer)
    return gone + rotation.drop_damaged(connection, sealer)


def _prepare(sealer: Sealer) -> None:
    """Make sure that the source holds a new key before the old one."""
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


_GONE: Final = (
    "facts", "fact_vectors", "maps", "examples", "lessons", "profiles", "consents", "receipts", "waiting",
    "decisions", "marks", "ledger", "proposals",
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
    """Keys of one person only: nobody can say of whom any more."""


def reset_sealed(path: Path) -> Reset:
    """Take over what is not sealed; move the old file to `<name>.lost-<time>`. The next opening seals with the new key.

    The old file is not changed: a copy of it loses what nobody can open, and then both change places. People's names
    are lost with the key: figures keep a stand-in for each ("lost-1a2b3c4d"). Raises StoreError: the database is open
    elsewhere, missing or damaged; then nothing was changed.
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
        raise store_error(error, path) from None
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
    """At the first opening after a reset: turn stand-ins into tokens, as all people's ids are kept."""
    driver = driver_of(connection)
    query = """SELECT DISTINCT "user" FROM exchanges WHERE "user" LIKE ?"""
    for (name,) in driver.execute(query, (f"{_STAND_IN}%",)).fetchall():
        token = tokens_in_use().token(name)
        driver.execute("""UPDATE exchanges SET "user" = ? WHERE "user" = ?""", (token, name))


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names
