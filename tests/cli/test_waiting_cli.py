"""`netgpt waiting`: what the owner of the box sees of requests that wait."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from netgpt.cli.waiting import app
from netgpt.settings import load_settings
from netgpt.store.queue import QueueLimits
from netgpt.store.store import open_store
from netgpt.types import Person

RUN = CliRunner()


def parked() -> str:
    async def park() -> str:
        store = open_store(load_settings())
        payload = {"request": {"body": {"messages": [{"role": "user", "content": "my umbrella"}]}}, "caller": {}}
        bounds = QueueLimits(9, 9_999, timedelta(hours=1))
        row = await store.waiting.park(Person("local", "ada"), None, payload, bounds, datetime.now(UTC))
        await store.close()
        return row.id

    return asyncio.run(park())


def test_list_show_and_cancel() -> None:
    id = parked()
    listed = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)
    assert [(row["id"], row["status"], row["person"]) for row in listed] == [(id, "waiting", "ada")]
    assert "umbrella" not in str(listed) and "wt_" in RUN.invoke(app, ["list", "--user", "ada"]).stdout
    assert RUN.invoke(app, ["list", "--user", "bob", "--json"]).stdout.strip() == "[]"
    shown = json.loads(RUN.invoke(app, ["show", id, "--json"]).stdout)
    assert "umbrella" in str(shown["request"]) and shown["answer"] is None
    assert RUN.invoke(app, ["cancel", id]).exit_code == 0
    gone = RUN.invoke(app, ["show", id])
    assert gone.exit_code == 2
