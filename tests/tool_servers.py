"""Servers of tools for tests: a program that says what its file tells, and a server of the official SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from agents_door import Listening, approve, listening, program
from mcp.server import MCPServer

__all__ = ["ARGUMENTS", "TALKER", "Far", "behind", "served", "tool", "words"]

TALKER = Path(__file__).parent / "talker.py"
ARGUMENTS = {"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}}


def tool(name: str, description: str = "Does a thing.", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": ARGUMENTS, **more}


def words(*texts: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text} for text in texts], **more}


class Far:
    """A server of tools: what it is to say, and what it was called with."""

    def __init__(self, folder: Path, name: str, **says: Any) -> None:
        self.name, self.file = name, folder / f"{name}.json"
        self.says = says
        self.write(tools=[tool(each) for each in says], says=says)

    def write(self, **told: Any) -> None:
        known = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.file.write_text(json.dumps({**known, **told}))

    def settings(self, **more: Any) -> dict[str, Any]:
        made = program(self.name, TALKER, **more)
        return {**made, "command": (*made["command"], str(self.file))}

    @property
    def calls(self) -> list[dict[str, Any]]:
        file = Path(f"{self.file}.calls")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@asynccontextmanager
async def behind(
    far: Far, folder: Path, tools: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Listening]:
    """A box with this server of tools behind it, its words approved."""
    async with listening(folder / "home", tools=(far.settings(**(tools or {})),), **settings) as box:
        await approve(box)
        yield box


class served:
    """`async with served(server) as url`: a server of the official SDK behind a port."""

    def __init__(self, server: MCPServer) -> None:
        config = uvicorn.Config(server.streamable_http_app(), port=0, log_level="error", lifespan="on")
        self.server = uvicorn.Server(config)

    async def __aenter__(self) -> str:
        self.task = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}/mcp"

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = self.server.force_exit = True
        await self.task
