"""The two boxes of `netgpt bench neighbours` as processes: `netgpt serve`, each with its edge beside it and a key."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from netgpt.bench.neighbours_net import LinkedSpots, Spot
from netgpt.build import open_store
from netgpt.errors import ModelUnavailable
from netgpt.settings import load_settings
from netgpt.store.keys import new_key
from netgpt.store.rows import KeyRow
from netgpt.types import Role

__all__ = ["NEIGHBOUR", "RunningBox", "served"]

NEIGHBOUR = "neighbour"
"""The name of the other box among each one's upstreams."""
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningBox:
    """A box that runs."""

    name: str
    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def explanation(self, exchange: str, user: str) -> dict[str, Any]:
        """The record of one exchange of this person."""
        async with httpx.AsyncClient(base_url=self.url, headers=self.headers, trust_env=False) as client:
            told: dict[str, Any] = (await client.get(f"/v1/exchanges/{exchange}", params={"user": user})).json()
            return told

    def __repr__(self) -> str:
        return f"<Served {self.name} at {self.url}>"


@asynccontextmanager
async def served(net: LinkedSpots, slots: int) -> AsyncIterator[list[RunningBox]]:
    """Both boxes, ready. Raises ModelUnavailable when one does not become so."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-neighbours-")))
        keys = [await _key(folder / spot.name) for spot in net.spots]
        for spot, others in zip(net.spots, reversed(keys), strict=True):
            home = folder / spot.name
            (home / "netgpt.toml").write_text(_settings(spot, slots, others), encoding="utf-8")
            edge = ("netgpt.bench.link_models", "--port", str(spot.edge_port), "--slots", str(slots))
            await stack.enter_async_context(_process(spot, home, edge))
            await stack.enter_async_context(_process(spot, home, ("netgpt", "serve")))
        boxes = [RunningBox(spot.name, spot.url, key) for spot, key in zip(net.spots, keys, strict=True)]
        await asyncio.gather(*map(_ready, boxes))
        yield boxes


async def _key(home: Path) -> str:
    """A key of the box in `home`, made before it starts: beyond loopback it listens only when one exists."""
    store = open_store(load_settings(environment={}, home=home))
    try:
        id, secret, hash = new_key()
        await store.add_key(KeyRow(id, hash, "local", Role.ADMIN, None, "bench", datetime.now(UTC), None))
    finally:
        await store.close()
    return secret


def _settings(spot: Spot, slots: int, neighbours_key: str) -> str:
    return f"""
[server]
host = "{spot.host}"
port = {spot.port}
[edge]
base_url = "http://127.0.0.1:{spot.edge_port}/v1"
model = "small"
slots = {slots}
[completion]
mode = "off"
[[upstreams]]
name = "{NEIGHBOUR}"
kind = "neighbour"
base_url = "{spot.neighbour_url}"
api_key = "{neighbours_key}"
trusted = true
"""


@asynccontextmanager
async def _process(spot: Spot, home: Path, module: Sequence[str]) -> AsyncIterator[None]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
    process = await asyncio.create_subprocess_exec(
        *spot.prefix, sys.executable, "-P", "-m", *module,
        env={**inherited, "NETGPT_HOME": str(home), "NETGPT_CONFIG": str(home / "netgpt.toml")}, cwd=home,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _ready(box: RunningBox) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + READY_S
    async with httpx.AsyncClient(base_url=box.url, timeout=2, trust_env=False) as client:
        while clock() < until:
            with suppress(httpx.HTTPError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise ModelUnavailable(f"the box {box.name} was not ready within {READY_S:.0f} s")
