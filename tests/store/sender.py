"""Sends requests that wait until it is killed: writes an id to a file where its first byte would leave. Run by
`test_waiting.py`."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netgpt.exchange import new_id
from netgpt.store.encryption import Sealer
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store


async def send(store: Store, out: int) -> None:
    while True:
        exchange = new_id()
        claimed = await store.waiting.claim(exchange, datetime.now(UTC))
        if claimed is None:
            await asyncio.sleep(0.002)
            continue
        row, claim = claimed
        receipt = NewReceipt("far.example", "m", b"{}", row.person, exchange)
        await store.receipts.add(receipt, first=store.waiting.departing(claim))
        os.write(out, f"{row.id}\n".encode())
        await asyncio.sleep(0.003)
        await store.waiting.end(claim, "answered", {"answer": {}}, datetime.now(UTC) + timedelta(days=1))


async def main(home: Path) -> None:
    store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    out = os.open(home / "sent.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    await asyncio.gather(*(send(store, out) for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
