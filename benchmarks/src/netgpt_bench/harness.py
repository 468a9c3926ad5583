"""Work in a process of its own that ends with its parent: one JSON line in, one JSON line out."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from netgpt.errors import ModelError, ModelUnavailable
from netgpt.settings import load_settings
from netgpt.store.keys import new_key
from netgpt.store.schema import KeyRow
from netgpt.store.store import open_store
from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest, last_user_text
from netgpt.types import Role


async def result_of(what: str, module: str, *words: str, asked: Any = None) -> dict[str, Any]:
    """Run `python -m MODULE WORDS...`, give it `asked` as a JSON line, return the last line that it printed.

    The child is killed when the caller is cancelled. Raises ModelUnavailable with `what` failed and the child's last
    words.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *words, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdin.write(json.dumps(asked).encode() + b"\n")  # and stays open: its end is the parent's end
        out, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    lines = out.decode().splitlines()
    if code or not lines:
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with code {code}"]
        raise ModelUnavailable(f"{what} failed: {last[0]}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def end_with_parent() -> None:
    """In the child: end when stdin does, which is when the parent is gone or has had enough."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


# --- The servers of a benchmark, each in its own process: the fake cloud, this gateway, and Portkey's when installed.

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
    command = [sys.executable, "-m", "netgpt.testing.server", "--port", str(port)]
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


# --- A small HTTP/1.1 load generator on asyncio: keep-alive connections, the same bytes again and again.
#
# Own code because a Python HTTP client costs more per request (0.5 ms and up) than the gateways under test add.


@dataclass(frozen=True)
class LoadTarget:
    """Where to post, and what."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def request(self) -> bytes:
        parts = urlsplit(self.url)
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(frozen=True)
class LoadResult:
    """What a run gave: each request's seconds, sorted, and the seconds that the whole run took."""

    seconds: list[float]
    took: float

    def at(self, share: float) -> float:
        """The quantile, in milliseconds."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))] * 1000

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took


async def drive(target: LoadTarget, *, connections: int, requests: int) -> LoadResult:
    """Post `requests` times over `connections` keep-alive connections. Raises ModelError on any status but 200."""
    seconds: list[float] = []
    left = iter(range(requests))
    started = time.perf_counter()
    await asyncio.gather(*(_one(target, left, seconds) for _ in range(connections)))
    return LoadResult(sorted(seconds), time.perf_counter() - started)


async def _one(target: LoadTarget, left: object, seconds: list[float]) -> None:
    parts = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    raw = target.request()
    try:
        for _ in left:  # type: ignore[attr-defined]
            started = time.perf_counter()
            writer.write(raw)
            await _read_answer(reader, target.url)
            seconds.append(time.perf_counter() - started)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader, url: str) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if b"content-length" in headers:
        body = await reader.readexactly(int(headers[b"content-length"]))
    else:
        body = await _read_chunked(reader)
    if status != b"200":
        raise ModelError(f"{url} answered {status.decode()}: {body[:200]!r}")


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return body


# --- The two far ends of a gateway under stress, and callers that may hang up: what overload, blackout and soak share.


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
