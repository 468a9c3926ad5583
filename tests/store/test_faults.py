"""A full disk, a locked database, a damaged file: the error names file, fault and cure, and writing goes on after."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import in_time

from netgpt.errors import StoreError
from netgpt.store.database import store_error
from netgpt.store.encryption import Sealer
from netgpt.store.store import Store
from netgpt.types import Person

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes: a full disk that needs no special rights."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes and does not end its transaction."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        yield
        holder.communicate()


async def fill(store: Store, make_row: Any) -> tuple[list[str], StoreError]:
    """Save until it is refused; return the ids that were kept and the error."""
    kept: list[str] = []
    for _ in range(3000):
        row = make_row()
        try:
            await store.save_exchange(row)
        except StoreError as error:
            return kept, error
        kept.append(row.id)
    raise AssertionError("the disk never was full")


async def check_full(store: Store, kept: list[str], error: StoreError, make_row: Any) -> None:
    assert error.status == 507 and str(store.path) in error.message
    for id in kept:
        assert await store.exchange(id) is not None
    await store.save_exchange(make_row(id="ex_after"))
    assert await store.exchange("ex_after") is not None
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.file
async def test_a_full_disk_is_reported_and_writing_goes_on_after(store: Store, make_row: Any) -> None:
    with small_files(600_000):
        kept, error = await fill(store, make_row)
    assert kept and error.code in ("store_full", "store_disk")
    await check_full(store, kept, error, make_row)


@pytest.mark.file
async def test_many_writers_on_a_full_disk_lose_nothing_that_was_confirmed(store: Store, make_row: Any) -> None:
    rows = [make_row() for _ in range(300)]
    with small_files(600_000):
        results = await asyncio.gather(*(store.save_exchange(row) for row in rows), return_exceptions=True)
    kept = [row.id for row, result in zip(rows, results, strict=True) if result is None]
    refused = [result for result in results if result is not None]
    assert kept and refused and all(isinstance(result, StoreError) for result in refused)
    assert {row.id for row in await store.exchanges(None, 1000)} >= set(kept)


async def test_a_really_full_disk(tmp_path: Path, make_row: Any) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "none", disk], check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root; the file-size limit above tests the same path")
    try:
        store = Store.open(disk / "netgpt.db", Sealer.new())
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1_000_000))
        kept, error = await fill(store, make_row)
        assert error.code == "store_full" and "Free some space" in error.message
        ballast.unlink()
        await check_full(store, kept, error, make_row)
        await store.close()
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_too_little_free_room_is_refused_before_writing(database: Path, sealer: Sealer, make_row: Any) -> None:
    store = Store.open(database, sealer, min_free_bytes=1 << 60)
    with pytest.raises(StoreError, match="Free some space") as error:
        await store.save_exchange(make_row())
    assert error.value.code == "store_full" and str(database) in error.value.message
    assert await store.exchanges(None, 10) == []
    assert (await store.forget(Person("local", "ada")))["exchanges"] == 0  # what frees room is still allowed
    await store.close()


async def test_a_locked_database_is_reported_in_time_and_writing_goes_on_after(
    database: Path, sealer: Sealer, make_row: Any
) -> None:
    store = Store.open(database, sealer, busy_timeout_s=0.3)
    await store.save_exchange(make_row(id="ex_before"))
    with locked(database):
        start = time.monotonic()
        with pytest.raises(StoreError, match="locked by another program") as error:
            await store.save_exchange(make_row(id="ex_refused"))
        took = time.monotonic() - start
        assert took > 0.2 and in_time(took, 3)
        assert error.value.code == "store_locked" and error.value.retry_after
        assert await store.exchange("ex_before") is not None  # reading goes on
        second = Store.open(database, sealer, busy_timeout_s=0.3)  # and so does opening
        await second.close()
    await store.save_exchange(make_row(id="ex_after"))
    assert [row.id for row in await store.exchanges(None, 10)] == ["ex_after", "ex_before"]
    await store.close()


async def test_a_short_lock_is_waited_for(database: Path, sealer: Sealer, make_row: Any) -> None:
    store = Store.open(database, sealer, busy_timeout_s=10)
    with locked(database):
        waiting = asyncio.create_task(store.save_exchange(make_row()))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    await waiting
    await store.close()


@pytest.mark.parametrize("content", [b"somebody's notes\n" * 500, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(database: Path, sealer: Sealer, content: bytes) -> None:
    database.parent.mkdir()
    database.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged .* aside") as error:
        Store.open(database, sealer)
    assert str(database) in error.value.message and error.value.code == "store_damaged"
    assert database.read_bytes() == content


async def left_open(store: Store, folder: Path, make_row: Any) -> Path:
    """The files as a kill would leave them: a log with rows beside a file that nobody closed."""
    for _ in range(60):
        await store.save_exchange(make_row())
    raw = sqlite3.connect(store.path)
    raw.execute("PRAGMA wal_checkpoint")
    raw.close()
    await store.save_exchange(make_row())
    folder.mkdir()
    for end in ("", "-wal"):
        subprocess.run(["cp", f"{store.path}{end}", folder], check=True)
    return folder / "netgpt.db"


@pytest.mark.file
async def test_damage_is_found_when_the_last_run_was_killed(
    store: Store, sealer: Sealer, tmp_path: Path, make_row: Any
) -> None:
    path = await left_open(store, tmp_path / "copy", make_row)
    content = bytearray(path.read_bytes())
    content[20_000:28_000] = b"\xa5" * 8000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as error:
        Store.open(path, sealer)
    assert error.value.code == "store_damaged"
    assert path.read_bytes() == content


@pytest.mark.file
async def test_a_killed_run_without_damage_opens_with_every_row(
    store: Store, sealer: Sealer, tmp_path: Path, make_row: Any
) -> None:
    copy = Store.open(await left_open(store, tmp_path / "copy", make_row), sealer)
    assert len(await copy.exchanges(None, 1000)) == 61
    await copy.close()


@pytest.mark.file
async def test_damage_while_running_is_reported_and_the_store_stays_up(store: Store, make_row: Any) -> None:
    for _ in range(60):
        await store.save_exchange(make_row())
    other = sqlite3.connect(store.path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    overwrite = "import os, sys; file = open(sys.argv[1], 'r+b'); file.seek(os.path.getsize(sys.argv[1]) - 200_000)"
    subprocess.run([sys.executable, "-c", f"{overwrite}; file.write(b'?' * 160_000)", store.path], check=True)
    with pytest.raises(StoreError, match="damaged") as error:
        await store.exchanges(None, 100)
    assert error.value.code == "store_damaged" and "aside" in error.value.message
    assert not await store.has_keys()  # what lies on whole pages is still read


@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null/netgpt"])
def test_a_place_that_cannot_be_written_is_named(folder: str, sealer: Sealer) -> None:
    with pytest.raises(StoreError, match=folder):
        Store.open(Path(folder) / "netgpt.db", sealer)


@pytest.mark.file
async def test_a_second_open_store_sees_and_adds(store: Store, sealer: Sealer, make_row: Any) -> None:
    second = Store.open(store.path, sealer)
    await asyncio.gather(*(one.save_exchange(make_row()) for one in (store, second) for _ in range(20)))
    assert len(await store.exchanges(None, 100)) == len(await second.exchanges(None, 100)) == 40
    await second.close()
    await store.save_exchange(make_row())
    assert len(await store.exchanges(None, 100)) == 41


def test_every_fault_of_sqlite_is_mapped_without_values(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for code in [value for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and 0 < value < 29]:
        fault = sqlite3.OperationalError("near 'ada@example.org'")
        fault.sqlite_errorcode, fault.sqlite_errorname = code, f"code {code}"
        error = store_error(fault, path)
        assert isinstance(error, StoreError)
        assert str(path) in error.message and "ada@" not in error.message and error.message.count(".") >= 2
