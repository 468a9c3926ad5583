"""Saves exchanges until it is killed, and prints each id once its row is committed. Run by `test_kill.py`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from netgpt.exchange import new_id
from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store


async def save(store: Store) -> None:
    while True:
        texts = {"answer": "words of a person " * 200}
        row = ExchangeRecord(
            new_id(), "local", "ada", None, datetime.now(UTC), "complete", "m", "edge", "r", 1, 2, False, 0.0, {}, texts
        )
        await store.save_exchange(row)
        print(row.id, flush=True)


async def main(home: Path) -> None:
    store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    await asyncio.gather(*(save(store) for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
