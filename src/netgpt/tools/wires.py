"""The wires to a server of tools: a child process or HTTP, each with a bound on what comes in.

The SDK's own wires read lines and answers of any length into memory; a server that floods would take the box along.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

_PIECE: Final = 65_536
_NOISE: Final = 100
"""Lines that are no message, after which a program counts as speaking another language."""
_LOOK_S: Final = 0.01
_GRACE_S: Final = 1.0
"""For a program to end by itself once its input is closed."""


class Flooded(Exception):
    """More came than was allowed."""


class Meter:
    """Counts what a server sends. Each call allows it `most` bytes more; what comes beyond ends the connection."""

    def __init__(self, most: int) -> None:
        self.most, self._left = most, most
        self.heard = 0
        """Bytes that came so far."""
        self.fault: str | None = None
        """Why the wire was cut, in words; None: it was not."""

    def allow(self) -> None:
        """One more call: what earlier ones left is not kept for later."""
        self._left = max(self._left, 0) + self.most

    def done(self) -> None:
        """The call has ended."""
        self._left = min(self._left, self.most)

    def count(self, size: int) -> None:
        """Raises Flooded."""
        self._left -= size
        self.heard += size
        if self._left < 0:
            self.fault = f"it sent more than {self.most:,} bytes (max_bytes)"
            raise Flooded


@asynccontextmanager
async def program(
    command: tuple[str, ...], env: dict[str, str], folder: Path, meter: Meter
) -> AsyncIterator[tuple[Any, Any]]:
    """Run a program without a shell, with this environment alone, and talk to it by lines. It ends with the block, and
    all that it started. Raises OSError: it cannot be started."""
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=folder, start_new_session=True,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    heard, hearing = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    said, saying = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        assert process.stdout is not None
        async with heard:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, Flooded):
                async for line in _lines(process.stdout, meter):
                    try:
                        await heard.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))
                    except ValidationError:  # a line for people: programs print them by mistake
                        continue
            if meter.fault is None:
                await _ended(process)  # its end is told a moment after its last word
                code = process.returncode
                meter.fault = "the program said no more" if code is None else f"the program ended with {code}"

    async def write() -> None:
        assert process.stdin is not None
        async with saying:
            with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for message in saying:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(write)
            try:
                yield hearing, said
            finally:
                group.cancel_scope.cancel()
    finally:
        for stream in (hearing, said, heard, saying):
            stream.close()
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _lines(stdout: asyncio.StreamReader, meter: Meter) -> AsyncIterator[bytes]:
    """The lines of a program. Raises Flooded."""
    parts: list[bytes] = []
    noise = 0
    while piece := await stdout.read(_PIECE):
        meter.count(len(piece))
        *whole, rest = piece.split(b"\n")
        for line in whole:
            text = b"".join([*parts, line])
            parts = []
            if text.lstrip()[:1] in (b"{", b"["):
                yield text
            elif (noise := noise + bool(text.strip())) > _NOISE:
                meter.fault = "what it says is not the Model Context Protocol"
                raise Flooded
        parts.append(rest)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, wait a moment, then end it and its children."""
    if process.stdin is not None:
        process.stdin.close()
    await _ended(process)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await _ended(process)
    process._transport.close()  # type: ignore[attr-defined] # nothing else lets go of what it still had to say


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait a moment for its end; `process.wait` would wait for all who hold its output, too."""
    for _ in range(int(_GRACE_S / _LOOK_S)):
        if process.returncode is not None:
            return
        await asyncio.sleep(_LOOK_S)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, meter: Meter) -> None:
        self._stream, self._meter = stream, meter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._meter.count(len(piece))
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Measured(httpx2.AsyncHTTPTransport):
    """Counts the bytes of all answers, packed or not: packed ones are not asked for."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(trust_env=False)
        self._meter = meter

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            self._meter.fault = "it packs its answers although it was not asked to"
            raise httpx2.ReadError("packed")
        response.stream = _Counted(response.stream, self._meter)
        return response


@asynccontextmanager
async def address(url: str, headers: dict[str, str], timeout_s: float, meter: Meter) -> AsyncIterator[tuple[Any, Any]]:
    """Talk to a server by streamable HTTP: no proxy of the environment, no redirect to another host."""
    from mcp.client.streamable_http import streamable_http_client

    limits = httpx2.Timeout(timeout_s, read=timeout_s)
    async with httpx2.AsyncClient(
        transport=_Measured(meter), headers=headers, timeout=limits, trust_env=False, follow_redirects=False
    ) as client, streamable_http_client(url, http_client=client, terminate_on_close=False) as streams:  # fmt: skip
        yield streams
