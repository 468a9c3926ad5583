"""`kill -9` at random moments: the database stays whole and holds every row whose write was confirmed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netgpt.store.encryption import Sealer
from netgpt.store.store import Store

SAVER = Path(__file__).with_name("saver.py")


def save_until_killed(home: Path, seconds: float) -> list[str]:
    """Run the saver, kill it `seconds` after its first row, and return the ids that it confirmed."""
    confirmed = home / "confirmed.txt"
    with confirmed.open("w") as out:
        process = subprocess.Popen([sys.executable, str(SAVER), str(home)], stdout=out)
        deadline = time.monotonic() + 120
        while not confirmed.stat().st_size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(seconds)
        assert process.poll() is None, "the saver ended by itself"
        process.kill()
        process.wait(60)
    return [line.strip() for line in confirmed.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
async def test_nothing_confirmed_is_lost(tmp_path: Path) -> None:
    dice, confirmed, kills = random.Random(7), set[str](), 0
    while kills < 4 or len(confirmed) < 100:
        confirmed |= set(save_until_killed(tmp_path, dice.uniform(0.0, 0.25)))
        kills += 1
        connection = sqlite3.connect(tmp_path / "netgpt.db")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {row[0] for row in connection.execute("SELECT id FROM exchanges")}
        connection.close()
        assert confirmed <= kept
    store = Store.open(tmp_path / "netgpt.db", Sealer.from_file(tmp_path / "secret.key"))
    for id in confirmed:
        row = await store.exchange(id)
        assert row is not None and row.private == {"answer": "words of a person " * 200}
    assert (await store.sealing.check()).faults == ()  # a kill looks like no tampering
    await store.close()
    print(f"{kills} kills, {len(confirmed)} rows confirmed")
