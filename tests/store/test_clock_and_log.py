"""A clock that jumps deletes nothing; a log with flipped bytes is told, and the rows that are left are counted."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netgpt.store.clock import RetentionClock
from netgpt.store.encryption import Sealer
from netgpt.store.receipts import NewReceipt
from netgpt.store.schema import KeyRow
from netgpt.store.store import Store
from netgpt.store.wal import lost_commits
from netgpt.types import Fact, Person, Role

ADA = Person("local", "ada")


class Times:
    """A wall clock that can be set, and seconds that only pass."""

    def __init__(self) -> None:
        self.now, self.seconds = datetime.now(UTC), 1000.0

    def pass_(self, **by: float) -> None:
        self.now += timedelta(**by)
        self.seconds += timedelta(**by).total_seconds()

    def of(self, store: Store) -> RetentionClock:
        return RetentionClock(store._transactions, store._sealer, lambda: self.now, lambda: self.seconds)


@pytest.mark.parametrize("jump", [timedelta(hours=5), timedelta(days=40), timedelta(days=4000)])
async def test_a_jump_ahead_is_not_believed_before_it_stayed_for_a_day(store: Store, jump: timedelta) -> None:
    times = Times()
    clock, began = times.of(store), times.now
    assert await clock.now() == began
    times.now += jump
    for hours in range(1, 24, 6):
        times.pass_(hours=6)
        assert timedelta(0) <= await times.of(store).now() - began <= timedelta(hours=6 * 5), (
            hours
        )  # after a start, too
        assert await clock.now() <= began + timedelta(hours=6 * 5)
    times.now -= jump  # set right again
    assert await clock.now() == times.now
    times.now += jump
    await clock.now()
    times.pass_(days=1, hours=1)
    assert await clock.now() == times.now  # so it is


async def test_a_clock_that_goes_back_deletes_nothing_and_is_believed(store: Store) -> None:
    times = Times()
    clock = times.of(store)
    await clock.now()
    times.now -= timedelta(hours=9)
    assert await clock.now() == times.now
    times.pass_(hours=12)
    assert await clock.now() == times.now


async def test_nothing_is_erased_or_given_up_by_a_jump(store: Store, make_row: Any) -> None:
    times = Times()
    clock = times.of(store)
    await clock.now()
    await store.save_exchange(make_row())
    await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None))
    await store.add_fact(ADA, Fact("till tomorrow", "note", expires=times.now + timedelta(days=1)))
    times.now += timedelta(days=4000)
    gone = await store.delete_expired(await clock.now(), 30, 30, 30, 30)
    assert not any(gone.values()) and len(await store.facts(ADA)) == 1
    key = KeyRow("key_a", "h", "local", Role.USER, None, "app", times.now, expires=times.now + timedelta(hours=1))
    assert not key.usable(times.now + timedelta(hours=2)) and key.usable(times.now)  # right again with the clock


async def written(store: Store, make_row: Any, folder: Path) -> Path:
    """A database as a kill leaves it: every row in the log."""
    for _ in range(30):
        await store.save_exchange(make_row())
    for file in store.path.parent.iterdir():
        shutil.copy(file, folder / file.name)
    return folder / store.path.name


@pytest.mark.file
async def test_a_whole_log_loses_nothing(store: Store, sealer: Sealer, make_row: Any, tmp_path: Path) -> None:
    path = await written(store, make_row, tmp_path)
    assert lost_commits(path.with_name("netgpt.db-wal")) == 0
    again = Store.open(path, sealer)
    assert len(await again.exchanges(None, 100)) == 30 and (await again.sealing.check()).faults == ()
    await again.close()
    assert lost_commits(tmp_path / "none") == 0


@pytest.mark.file
@pytest.mark.parametrize("spot", [0.3, 0.6, 0.9])
async def test_a_flipped_byte_is_told_and_the_rows_before_it_are_whole(
    store: Store, sealer: Sealer, make_row: Any, tmp_path: Path, spot: float, caplog: pytest.LogCaptureFixture
) -> None:
    path = await written(store, make_row, tmp_path)
    log = path.with_name("netgpt.db-wal")
    data = bytearray(log.read_bytes())
    data[int(len(data) * spot)] ^= 0x40
    log.write_bytes(data)
    lost = lost_commits(log)
    assert lost > 0
    again = Store.open(path, sealer)
    rows = await again.exchanges(None, 100)
    assert (
        30 - lost - 2 <= len(rows) < 30
    )  # the commit of the flipped byte itself, and one that the ends had, count, too
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    assert (await again.sealing.check()).faults == ()
    assert "the log is damaged" in caplog.text and len(list(tmp_path.glob("*-wal.damaged-*"))) == 1
    await again.close()


@pytest.mark.file
async def test_a_log_that_is_cut_short_is_no_damage(
    store: Store, sealer: Sealer, make_row: Any, tmp_path: Path
) -> None:
    """So a kill in the middle of a write leaves it."""
    path = await written(store, make_row, tmp_path)
    log = path.with_name("netgpt.db-wal")
    log.write_bytes(log.read_bytes()[:-1000])
    assert lost_commits(log) == 0
    again = Store.open(path, sealer)
    assert (await again.sealing.check()).faults == ()
    await again.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
