"""What several benchmarks share: child processes, the servers under test, load generators, and watching a process."""

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

import httpx
import psutil

from netgpt.errors import ModelError, ModelUnavailable
from netgpt.settings import load_settings
from netgpt.store.keys import new_key
from netgpt.store.schema import KeyRow
from netgpt.store.store import open_store
from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest, last_user_text
from netgpt.types import Role

Progress = Callable[[str], None]
"""Hears of each step of a benchmark, in words."""

# --- Work in a process of its own: one JSON line in, one JSON line out.


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
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def answer_parent(work: Callable[[Any], Any]) -> None:
    """In the child of `result_of`: read what is asked, do the `work`, print its result. Ends when the parent does."""
    answers = own_stdout()
    with os.fdopen(os.dup(0), "r", encoding="utf-8") as given:
        asked = json.loads(given.readline())
        end_with_parent()
        answers.write(json.dumps(work(asked)) + "\n")
    answers.flush()


def own_stdout() -> Any:
    """Stdout for the caller alone: what libraries print goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def end_with_parent() -> None:
    """In the child: end when stdin does, which is when the parent is gone or has had enough."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


# --- The servers of a benchmark, each in its own process.

START_S = 60.0


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def fake_cloud() -> AsyncIterator[int]:
    """The shipped fake, answering at once. Yields its port."""
    port = free_port()
    command = [sys.executable, "-m", "netgpt.testing.server", "--port", str(port)]
    async with listening("the fake cloud", command, port):
        yield port


@asynccontextmanager
async def gateway(home: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[int, int]]:
    """`netgpt serve` with these settings (names of environment variables), and nothing done about doubtful answers
    unless they say so: others than that of cascades measure the line. Yields port and process id."""
    plain = {"NETGPT_ROUTING__CASCADE": "false", "NETGPT_ROUTING__ON_LOW_CONFIDENCE": "answer"}
    port = free_port()
    command = [sys.executable, "-m", "netgpt", "serve", "--port", str(port)]
    async with listening("netgpt serve", command, port, {"NETGPT_HOME": str(home), **plain, **settings}) as process:
        yield port, process


@asynccontextmanager
async def portkey(script: Path) -> AsyncIterator[tuple[int, int]]:
    """Portkey's gateway from its npm package. Yields port and process id."""
    port = free_port()
    async with listening("Portkey", ["node", str(script), f"--port={port}", "--headless"], port) as process:
        yield port, process


@asynccontextmanager
async def litellm(program: Path, cloud: str, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """LiteLLM's proxy, without a database or keys, in front of the API at `cloud`. Yields port and process id."""
    port, config = free_port(), folder / "litellm.json"
    target = {"model": "openai/any", "api_base": cloud, "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "any", "litellm_params": target}]}))
    settings = {
        "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }  # fmt: skip
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    async with listening("LiteLLM", command, port, settings) as process:
        yield port, process


def portkey_script(folder: Path) -> Path | None:
    """The start script of `@portkey-ai/gateway` under `folder`/node_modules, when node and the package are there."""
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return script if shutil.which("node") and script.is_file() else None


@asynccontextmanager
async def listening(
    what: str, command: Sequence[str], port: int | None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run a server and wait until it listens on `port` (None: do not wait); yields its process id.

    `settings`: further environment variables; NetGPT's own are not inherited. Raises ModelUnavailable.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env={**inherited, **(settings or {})}, stdin=nothing, stdout=nothing, stderr=nothing
    )
    try:
        if port is not None:
            await _listens(what, process, port)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(what: str, process: asyncio.subprocess.Process, port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
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


async def until_ready(what: str, url: str, limit_s: float, parts: Sequence[str] | None = None) -> None:
    """Wait until the gateway at `url` can answer and these `parts` of its /readyz are well (None: all).

    Raises ModelUnavailable after `limit_s` seconds.
    """
    until = time.monotonic() + limit_s
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client:
        while time.monotonic() < until:
            with suppress(httpx.HTTPError):
                answer = await client.get("/readyz")
                health = answer.json().get("parts", {})
                wanted = health if parts is None else parts
                if answer.status_code == 200 and all(health[name]["ok"] for name in wanted):
                    return
            await asyncio.sleep(0.1)
    raise ModelUnavailable(f"{what} was not ready within {limit_s:.0f} s")


async def make_keys(home: Path, names: Sequence[str], role: Role = Role.USER) -> dict[str, str]:
    """New keys by their names, in the database of this home, before its gateway starts."""
    store = open_store(load_settings(environment={}, home=home))
    keys = {}
    try:
        for name in names:
            id, secret, digest = new_key()
            await store.add_key(KeyRow(id, digest, "local", role, None, name, datetime.now(UTC)))
            keys[name] = secret
    finally:
        await store.close()
    return keys


# --- A small HTTP/1.1 load generator: keep-alive connections, the same bytes again and again. A Python HTTP client
# costs more a request (0.5 ms and up) than the gateways under test add.


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
    """Each request's seconds, sorted, and the seconds that the whole run took."""

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
    parts, raw = urlsplit(target.url), target.request()

    async def post() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            for _ in left:
                started = time.perf_counter()
                writer.write(raw)
                await read_answer(reader, target.url)
                seconds.append(time.perf_counter() - started)
        finally:
            writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(post() for _ in range(connections)))
    return LoadResult(sorted(seconds), time.perf_counter() - started)


async def read_answer(reader: asyncio.StreamReader, url: str) -> None:
    """Read one whole answer. Raises ModelError on any status but 200."""
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


# --- The far ends of a gateway under stress, and callers that may hang up.


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
        text = ""
        with suppress(ValueError):
            text = last_user_text(json.loads(request.body))
        self.came[text] = self.came.get(text, 0) + 1
        try:
            async with self._slots:
                if self._service_s:
                    await asyncio.sleep(self._service_s)
                await super().serve(request, connection)
        finally:
            self.ended[text] = time.monotonic()


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


HangUp = Callable[[int, float], bool]
"""Asked every now and then with (chunks seen, seconds): whether the caller leaves."""


async def ask(
    port: int,
    text: str,
    *,
    key: str | None = None,
    stream: bool = True,
    model: str = "netgpt/cloud",
    hang_up: HangUp = lambda _chunks, _s: False,
    limit_s: float = 120.0,
    **netgpt: Any,
) -> LabRequest:
    """One chat over a connection of its own; `netgpt`: fields of the object of that name in the body."""
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


async def _read(reader: asyncio.StreamReader, asked: LabRequest, began: float, hang_up: HangUp) -> None:
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


# --- Processes as the system sees them.


class Process:
    """Memory (MB) and open files of a process, sampled while it works."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[tuple[float, int]] = []

    async def watch(self, every_s: float = 1.0) -> None:
        """Until it is cancelled."""
        while True:
            self.samples.append(self.now())
            await asyncio.sleep(every_s)

    def now(self) -> tuple[float, int]:
        return self._process.memory_info().rss / 1e6, self._process.num_fds()

    def quarters(self) -> list[tuple[float, int]]:
        """The median of memory and of open files in each quarter of the time."""
        size = max(1, len(self.samples) // 4)
        parts = [self.samples[n * size : (n + 1) * size] or self.samples[-1:] for n in range(4)]
        return [
            (sorted(m for m, _ in part)[len(part) // 2], sorted(f for _, f in part)[len(part) // 2]) for part in parts
        ]


def children(pid: int) -> dict[int, str]:
    """The direct children of a process, with their command lines."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            with suppress(psutil.Error):
                found[child.pid] = " ".join(child.cmdline())
    return found


def resident_mb(pid: int | None = None) -> float:
    """Resident memory of a process (None: this one) in MB of 10^6 bytes; 0 when it is gone."""
    try:
        return float(psutil.Process(pid).memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


def peak_mb(pid: int | None = None) -> float:
    """The most resident memory that a process (None: this one) ever had, in MB of 10^6 bytes.

    The kernel's own high-water mark (`VmHWM`): nothing is sampled, so nothing is missed. Weights mapped from a file
    count as far as they were read. Raises ModelUnavailable: the process is gone, or this is not Linux.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    raise ModelUnavailable(f"the peak memory of process {pid} cannot be read: it ended, or this is not Linux")
