"""The two far ends of a gateway under stress, and callers that may hang up: what overload, blackout and soak share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from netgpt.models.fake_cloud import FaultyCloud, ReceivedRequest
from netgpt.models.fake_http import Connection
from netgpt.models.script import last_user_text
from netgpt.settings import load_settings
from netgpt.store.from_settings import open_store
from netgpt.store.keys import new_key
from netgpt.store.rows import KeyRow
from netgpt.types import Role

__all__ = ["Counting", "LabRequest", "Process", "ask", "make_keys", "quantile"]


class Counting(FaultyCloud):
    """A server that works on `slots` answers at once, and notes by text when each came and when it ended."""

    def __init__(self, *, slots: int = 1_000, service_s: float = 0.0, **more: Any) -> None:
        """`service_s`: seconds of work before the first word, in one of the slots."""
        super().__init__(keep_log=False, **more)
        self._slots, self._service_s = asyncio.Semaphore(slots), service_s
        self.came: dict[str, int] = {}
        self.ended: dict[str, float] = {}
        """When the work on a text ended, well or not, in `time.monotonic()` seconds."""

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        text = _text(request)
        self.came[text] = self.came.get(text, 0) + 1
        try:
            async with self._slots:
                if self._service_s:
                    await asyncio.sleep(self._service_s)
                await super().serve(request, connection)
        finally:
            self.ended[text] = time.monotonic()


def _text(request: ReceivedRequest) -> str:
    with suppress(ValueError):
        return last_user_text(json.loads(request.body))
    return ""


@dataclass(slots=True)
class LabRequest:
    """What became of one request. Times in seconds; `ended` in `time.monotonic()`."""

    text: str
    status: int = 0
    """0: the connection broke, or was hung up, before an answer."""
    seconds: float = 0.0
    first_s: float | None = None
    ended: float = 0.0
    hung_up: bool = False
    done: bool = False
    """`[DONE]`, or a whole answer."""
    error: bool = False
    """An error object in the answer."""
    retry_after: int | None = None
    head: str = ""
    body: bytes = b""


async def ask(
    port: int,
    text: str,
    *,
    key: str | None = None,
    stream: bool = True,
    model: str = "netgpt/cloud",
    hang_up: Callable[[int, float], bool] = lambda _chunks, _s: False,
    limit_s: float = 120.0,
    **netgpt: Any,
) -> LabRequest:
    """One chat over a connection of its own. `hang_up` is asked with (chunks seen, seconds) every now and then."""
    asked, began = LabRequest(text), time.monotonic()
    body: dict[str, Any] = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    if netgpt:
        body["netgpt"] = netgpt
    raw = json.dumps(body).encode()
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{bearer}Connection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    writer = None
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + raw)
            await _read(reader, asked, began, hang_up)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass
    finally:
        asked.ended = time.monotonic()
        asked.seconds = asked.ended - began
        if writer is not None:
            writer.transport.abort()
    return asked


async def _read(
    reader: asyncio.StreamReader, asked: LabRequest, began: float, hang_up: Callable[[int, float], bool]
) -> None:
    received, chunks = b"", 0
    while True:
        if hang_up(chunks, time.monotonic() - began):
            asked.hung_up = True
            return
        try:
            async with asyncio.timeout(0.02 if not received else 5.0):
                piece = await reader.read(65_536)
        except TimeoutError:
            continue
        if not piece:
            break
        received += piece
        chunks = received.count(b"data: ")
        if chunks and asked.first_s is None:
            asked.first_s = time.monotonic() - began
    head, _, asked.body = received.partition(b"\r\n\r\n")
    asked.head = head.decode("latin-1").lower()
    asked.status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else 0
    asked.done = b"data: [DONE]" in received or (asked.status == 200 and b'"finish_reason":"stop"' in asked.body)
    asked.error = b'{"error":' in asked.body
    after = next((line for line in asked.head.split("\r\n") if line.startswith("retry-after:")), None)
    asked.retry_after = int(after.partition(":")[2]) if after else None


class Process:
    """Memory (MB) and open files of a process, sampled while it works."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[tuple[float, float, int]] = []

    async def watch(self, every_s: float = 1.0) -> None:
        """Until it is cancelled."""
        began = time.monotonic()
        while True:
            self.samples.append((time.monotonic() - began, *self.now()))
            await asyncio.sleep(every_s)

    def now(self) -> tuple[float, int]:
        return self._process.memory_info().rss / 1e6, self._process.num_fds()

    def quarters(self) -> list[tuple[float, int]]:
        """The median of memory and of open files in each quarter of the time."""
        size = max(1, len(self.samples) // 4)
        parts = [self.samples[n * size : (n + 1) * size] or self.samples[-1:] for n in range(4)]
        return [
            (sorted(s[1] for s in part)[len(part) // 2], sorted(s[2] for s in part)[len(part) // 2]) for part in parts
        ]


async def make_keys(home: Path, names: Sequence[str]) -> dict[str, str]:
    """New keys by their names, in the database of this home, before its gateway starts."""
    store = open_store(load_settings(environment={}, home=home))
    keys = {}
    try:
        for name in names:
            id, secret, digest = new_key()
            await store.add_key(KeyRow(id, digest, "local", Role.USER, None, name, datetime.now(UTC)))
            keys[name] = secret
    finally:
        await store.close()
    return keys


def quantile(values: Sequence[float], share: float) -> float | None:
    """None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
