"""The servers of a benchmark, each in its own process: the fake cloud, this gateway, and Portkey's when installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from netgpt.errors import ModelUnavailable

__all__ = ["fake_cloud", "free_port", "gateway", "portkey", "portkey_script"]

START_S = 60.0


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def fake_cloud() -> AsyncIterator[int]:
    """The shipped fake, answering at once."""
    port = free_port()
    command = [sys.executable, "-m", "netgpt.models.fake_cloud", "--port", str(port)]
    async with _server("the fake cloud", command, port, {}):
        yield port


@asynccontextmanager
async def gateway(home: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[int, int]]:
    """`netgpt serve` with these settings (names of environment variables). Yields port and process id."""
    port = free_port()
    command = [sys.executable, "-m", "netgpt", "serve", "--port", str(port)]
    environment = {"NETGPT_HOME": str(home), **settings}
    async with _server("netgpt serve", command, port, environment) as process:
        yield port, process


@asynccontextmanager
async def portkey(script: Path) -> AsyncIterator[tuple[int, int]]:
    """Portkey's gateway from its npm package. Yields port and process id."""
    port = free_port()
    async with _server("Portkey", ["node", str(script), f"--port={port}", "--headless"], port, {}) as process:
        yield port, process


def portkey_script(folder: Path) -> Path | None:
    """The start script of `@portkey-ai/gateway` under `folder`/node_modules, when node and the package are there."""
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return script if shutil.which("node") and script.is_file() else None


@asynccontextmanager
async def _server(what: str, command: list[str], port: int, settings: Mapping[str, str]) -> AsyncIterator[int]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NETGPT_")}
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**inherited, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _answers(what, process, port)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answers(what: str, process: asyncio.subprocess.Process, port: int) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_S
    while loop.time() < deadline:
        if process.returncode is not None:
            raise ModelUnavailable(f"{what} ended with code {process.returncode} before it listened")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise ModelUnavailable(f"{what} did not listen on port {port} within {START_S:.0f} s")
