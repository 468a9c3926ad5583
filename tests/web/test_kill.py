"""Processes die: the engine during streams, the gateway during writes. Nothing hangs, nothing finished is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import in_time, until
from serving import Served

from netgpt.testing.server import FaultyCloud

pytestmark = pytest.mark.slow

STREAMS = 8


def children(pid: int, marker: str) -> list[int]:
    """Process ids of the descendants of `pid` whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if marker in command and parent == pid:
                found.append(int(entry.name))
    return found


async def stream(client: httpx.AsyncClient, url: str, number: int, started: asyncio.Event) -> list[Any]:
    body = {
        "model": "netgpt/edge",
        "messages": [{"role": "user", "content": f"Tell me a long story about the number {number}."}],
        "stream": True,
        "max_tokens": 400,
    }
    events: list[Any] = []
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        if answer.status_code != 200:
            return [json.loads(await answer.aread())]
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                started.set()
                data = line.removeprefix("data: ")
                events.append(data if data == "[DONE]" else json.loads(data))
    return events


async def test_the_engine_is_killed_during_its_streams(tmp_path: Path, bundled_weights: Path) -> None:
    with Served(tmp_path / "home", edge_url="", edge__model=str(bundled_weights)) as gateway:
        (engine,) = children(gateway.process.pid, "engine_child")
        started = asyncio.Event()
        async with httpx.AsyncClient(timeout=300) as client:
            tasks = [asyncio.create_task(stream(client, gateway.url, n, started)) for n in range(STREAMS)]
            await asyncio.wait_for(started.wait(), 120)
            await asyncio.sleep(0.3)
            os.kill(engine, signal.SIGKILL)
            killed = time.monotonic()
            answers = await asyncio.wait_for(asyncio.gather(*tasks), 300)
            after = await answered(client, gateway.url, killed)
        assert in_time(after, 5.0), f"answered only after {after:.1f} s"
        broken = 0
        for events in answers:
            if events[-1] == "[DONE]":
                continue  # finished before the kill, or asked again of the new engine before its first word
            assert "error" in events[-1], events[-1]
            reasons = [c.get("finish_reason") for e in events if "choices" in e for c in e["choices"]]
            assert "stop" not in reasons
            broken += 1
        assert broken > 0
        assert gateway.process.poll() is None
        page = gateway.get("/metrics").text
        assert 'netgpt_engine_events_total{event="died"} 1.0' in page


async def answered(client: httpx.AsyncClient, url: str, since: float) -> float:
    """Seconds until a new request gets an answer."""
    body = {"model": "netgpt/edge", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
    while time.monotonic() - since < 60:
        answer = await client.post(f"{url}/v1/chat/completions", json=body)
        if answer.status_code == 200:
            break
        assert answer.json()["error"]["code"], answer.text
        await asyncio.sleep(0.1)
    return time.monotonic() - since


async def test_the_gateway_is_killed_during_its_writes(tmp_path: Path) -> None:
    finished: list[str] = []
    with FaultyCloud() as cloud:
        gateway = Served(tmp_path / "home", cloud=cloud)
        with gateway:

            async def asks(client: httpx.AsyncClient) -> None:
                while True:
                    answer = await client.post(
                        f"{gateway.url}/v1/chat/completions",
                        json={"model": "netgpt/cloud", "messages": [{"role": "user", "content": "count me"}]},
                    )
                    finished.append(answer.json()["netgpt"]["exchange"])

            async with httpx.AsyncClient(timeout=120) as client:
                tasks = [asyncio.create_task(asks(client)) for _ in range(16)]
                await until(lambda: len(finished) >= 100, 300)
                gateway.kill()
                await asyncio.gather(*tasks, return_exceptions=True)
        assert len(finished) >= 100
        database = sqlite3.connect(gateway.home / "netgpt.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {row[0] for row in database.execute("SELECT id FROM exchanges")}
        database.close()
        assert set(finished) <= kept
        with Served(gateway.home, cloud=cloud) as again:
            assert again.get(f"/v1/exchanges/{finished[-1]}").json()["status"] == "complete"
