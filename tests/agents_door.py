"""A box that listens on a real port for the official client, and a server of tools that says what a test likes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from doors import Door, door
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from netgpt.tools.approvals import Approvals
from netgpt.tools.servers import ToolConnection
from netgpt.web.mcp import agents_of

__all__ = ["MODES", "Listening", "approve", "listening", "program", "text_of"]

MODES = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
"""Version of the protocol -> mode of the official client."""


class Listening:
    """A box behind a real port."""

    def __init__(self, here: Door, port: int) -> None:
        self.door, self.gateway = here, here.gateway
        self.url = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def client(self, key: str | None = None, mode: str = "2026-07-28", **headers: str) -> AsyncIterator[Any]:
        """The official client, connected."""
        sent = {**headers, **({"authorization": f"Bearer {key}"} if key else {})}
        async with (
            httpx2.AsyncClient(headers=sent, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=mode, cache=None) as client,
        ):
            yield client


@asynccontextmanager
async def listening(home: Path, *arguments: Any, **settings: Any) -> AsyncIterator[Listening]:
    """As `doors.door`, behind a port. The gateway is started by the door, not by the server."""
    async with door(home, *arguments, **settings) as here:
        config = uvicorn.Config(here.app, port=0, log_level="error", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield Listening(here, server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await serving
            await agents_of(here.app).close()


def program(name: str, script: Path, **more: Any) -> dict[str, Any]:
    """Settings of a server of tools that is a script of this test."""
    return {"name": name, "command": (sys.executable, "-I", str(script)), "start_s": 60, "timeout_s": 60, **more}


async def approve(box: Listening, *names: str) -> None:
    """What `netgpt tools approve` does, for all servers or those named."""
    settings = box.gateway.settings
    approvals = Approvals(settings.home, box.gateway.store.files)
    for each in settings.tools:
        if not names or each.name in names:
            connection = ToolConnection(each, settings.home)
            approvals.approve(each.name, await connection.offers())
            await connection.close()


def text_of(result: Any) -> str:
    """All that a result of the official client holds, as one text."""
    return json.dumps(result.model_dump(mode="json", by_alias=True), ensure_ascii=False)
