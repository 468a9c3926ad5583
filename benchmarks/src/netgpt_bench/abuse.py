"""`netgpt bench abuse`: one caller, one cloud or one text against all: who else is answered, and how fast.

A real gateway process with keys; ten modest callers ask a cloud by the clock, first alone, then beside each kind of
abuse. Everything on loopback, bounded in count and time. Attackers who need no key have none; the others have one, the
same for all kinds.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from netgpt.testing.server import Connection, FaultyCloud, ReceivedRequest, last_user_text
from netgpt.types import Role
from netgpt_bench.harness import LabRequest, Progress, ask, gateway, make_keys
from netgpt_bench.report import percentile

MODEST: Final = tuple(f"modest {n}" for n in range(10))
TEXTS: Final = (
    "Which tyre pressure suits a loaded touring bicycle?",
    "Write two polite lines to Maria Keller, maria.keller@mill.example, about the late parcel.",
    "Explain what a mutex is, briefly.",
    "Please call Dr Okonkwo back on +44 20 7946 0958 about Tuesday.",
)
RECOVERY_LIMIT_S: Final = 30.0


@dataclass
class Bench:
    """What an abuse works with: the port, and the key of the one who misbehaves."""

    port: int
    key: str
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.open.append(writer)
        return reader, writer

    async def raw(self, pieces: Sequence[bytes], *, every_s: float = 0.0) -> None:
        """Send pieces over a connection of its own, until the server has had enough; the connection stays open."""
        with suppress(OSError):
            _, writer = await self.connect()
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every_s)

    def head(self, length: int) -> bytes:
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ).encode()

    async def post(self, body: Mapping[str, Any], limit_s: float = 30.0) -> None:
        """A whole request with this body; what comes back is read and dropped."""
        data = json.dumps(body).encode()
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await self.connect()
            async with asyncio.timeout(limit_s):
                writer.write(self.head(len(data)) + b"Connection: close\r\n\r\n" + data)
                while await reader.read(1 << 20):
                    pass

    async def chat(self, content: Any, **more: Any) -> None:
        await self.post({"model": "netgpt/cloud", "messages": [{"role": "user", "content": content}], **more})

    def hang_up(self) -> None:
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()


Abuse = Callable[[Bench, random.Random], Awaitable[None]]
"""Misbehaves once; called again and again, `AT_ONCE` of them at a time, while the abuse lasts."""


async def header_flood(bench: Bench, _dice: random.Random) -> None:
    """Small headers without an end: 1 MB a connection."""
    lines = b"".join(b"X-%06d: %s\r\n" % (number, b"a" * 40) for number in range(1_000))
    await bench.raw([b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *[lines] * 20])


async def endless_url(bench: Bench, _dice: random.Random) -> None:
    """A path of a megabyte."""
    await bench.raw([b"GET /", *[b"a" * 65_536] * 16])


async def idle_sockets(bench: Bench, _dice: random.Random) -> None:
    """A connection that never says anything, and stays."""
    await bench.raw([b""])


async def half_a_head(bench: Bench, _dice: random.Random) -> None:
    """A head that comes a letter at a time."""
    await bench.raw([b"GET /healthz HT", *[b"T"] * 20], every_s=0.5)


async def slow_bodies(bench: Bench, _dice: random.Random) -> None:
    """A body of which a few bytes come, with a valid key."""
    await bench.raw([bench.head(100_000) + b"\r\n", *[b" "] * 20], every_s=0.5)


async def quadratic_text(bench: Bench, dice: random.Random) -> None:
    """Thousands of the same address."""
    await bench.chat([{"type": "text", "text": f"a{dice.random()}@b.cc "} for _ in range(4_000)])


async def many_numbers(bench: Bench, _dice: random.Random) -> None:
    """A million numbers in a field that nobody knows."""
    await bench.chat("hello", unknown_field=[1] * 1_300_000)


async def many_calls(bench: Bench, _dice: random.Random) -> None:
    """A conversation of thousands of tool calls."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": f"tool_{n}", "arguments": '{"a": 1}'}}
        for n in range(5_000)
    ]
    messages = [{"role": "user", "content": "go on"}, {"role": "assistant", "content": None, "tool_calls": calls}]
    await bench.post({"model": "netgpt/cloud", "messages": messages})


async def short_paragraphs(bench: Bench, dice: random.Random) -> None:
    """Twenty kilobytes of paragraphs of three letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    await bench.chat("\n\n".join("".join(dice.choices(letters, k=3)) for _ in range(4_000)))


async def large_texts(bench: Bench, dice: random.Random) -> None:
    """Half a megabyte of names and numbers, another each time."""
    await bench.chat(" ".join(f"Maria K{dice.randrange(10**6)} owes {dice.randrange(10**4)}." for _ in range(18_000)))


async def amplified(bench: Bench, dice: random.Random) -> None:
    """A long private value, and a cloud that repeats its placeholder for ever."""
    name = "".join(dice.choices("abcdefghij", k=1_000))
    await bench.chat(f"AMPLIFY the e-mail address {name}@mill.example")


async def many_choices(bench: Bench, _dice: random.Random) -> None:
    """A cloud that answers with ten thousand choices."""
    await bench.chat("CHOICES please")


async def deep_answer(bench: Bench, _dice: random.Random) -> None:
    """A cloud whose answer is nested hundreds deep."""
    await bench.chat("DEEP please")


KINDS: Final[dict[str, tuple[Abuse, int]]] = {
    "header flood": (header_flood, 8),
    "endless URL": (endless_url, 8),
    "idle sockets": (idle_sockets, 400),
    "half a head": (half_a_head, 200),
    "slow bodies of one key": (slow_bodies, 330),
    "thousands of addresses": (quadratic_text, 2),
    "a million numbers": (many_numbers, 2),
    "thousands of tool calls": (many_calls, 2),
    "three-letter paragraphs": (short_paragraphs, 4),
    "large texts": (large_texts, 4),
    "amplifying cloud": (amplified, 4),
    "ten thousand choices": (many_choices, 2),
    "deep answers": (deep_answer, 2),
}
"""Each kind, and how many misbehave at once."""


class HostileCloud(FaultyCloud):
    """Answers at once; to those who abuse, in ways that abuse the gateway."""

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        text = ""
        with suppress(ValueError, KeyError, TypeError):
            text = last_user_text(json.loads(request.body))
        answer = self._hostile(text)
        if answer is None:
            await super().serve(request, connection)
        else:
            connection.answer(200, answer)

    @staticmethod
    def _hostile(text: str) -> bytes | None:
        if text.startswith("AMPLIFY"):
            found = re.search(r"\[[A-Z]+_\d+\]", text)
            return _answered([(found.group() if found else "[EMAIL_1]") * 6_000])
        if text.startswith("CHOICES"):
            return _answered(["hello"] * 10_000)
        if text.startswith("DEEP"):
            return _answered(["hello"])[:-1] + b',"more":' + b"[" * 400 + b"]" * 400 + b"}"
        return None


def _answered(texts: Sequence[str]) -> bytes:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for n, text in enumerate(texts)
    ]
    return json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": choices}).encode()


async def run(*, seconds: float, rate: float, kinds: Sequence[str], seed: int, progress: Progress) -> dict[str, Any]:
    """Each of `kinds` for `seconds`, beside ten modest callers that together ask `rate` times a second.

    Returns rows: share answered, p95 against the quiet p95, memory against the quiet one, blocks of the event loop
    above 50 ms, and seconds until the modest are answered as before.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, files[1]), files[1]))
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="netgpt-bench-") as folder, HostileCloud(keep_log=False) as cloud:
        keys = await make_keys(Path(folder), ("greedy", *MODEST))
        admin = (await make_keys(Path(folder), ("watch",), Role.OPERATOR))["watch"]
        settings = {"NETGPT_CLOUD__BASE_URL": cloud.base_url, "NETGPT_COMPLETION__MODE": "off",
                    "NETGPT_EDGE__BASE_URL": cloud.base_url, "NETGPT_LOG_LEVEL": "error"}  # fmt: skip
        async with gateway(Path(folder), settings) as (port, pid):
            watched = _Watched(port, pid, admin)
            await _modest(port, keys, rate, 3.0, dice)  # warm
            progress("quiet")
            before = await watched.blocks()
            quiet = _row(
                "quiet", await _modest(port, keys, rate, seconds, dice), watched, before, await watched.blocks()
            )
            rows = [quiet]
            for kind in kinds:
                progress(kind)
                rows.append(await _under(kind, Bench(port, keys["greedy"]), watched, keys, rate, seconds, dice, quiet))
    return {"rows": rows, "seconds_each": seconds, "modest_per_second": rate, "seed": seed,
            "not_shown": "attackers on other machines; the attackers share the cores with the gateway"}  # fmt: skip


async def _under(
    kind: str, bench: Bench, watched: _Watched, keys: Mapping[str, str], rate: float, seconds: float,
    dice: random.Random, quiet: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    abuse, at_once = KINDS[kind]
    before = await watched.blocks()
    watched.peak_mb = 0.0

    async def again() -> None:
        while True:
            await abuse(bench, dice)
            await asyncio.sleep(0.05 if at_once < 100 else seconds)

    attackers = [asyncio.create_task(again()) for _ in range(at_once)]
    memory = asyncio.create_task(watched.watch())
    await asyncio.sleep(0.5)
    asked = await _modest(bench.port, keys, rate, seconds, dice)
    for task in (*attackers, memory):
        task.cancel()
    await asyncio.gather(*attackers, memory, return_exceptions=True)
    bench.hang_up()
    recovered = await _recovered(bench.port, keys[MODEST[0]], (quiet["p95_ms"] or 100.0) / 1000)
    row = _row(kind, asked, watched, before, await watched.blocks())
    usual = quiet["p95_ms"]
    row["p95_ratio"] = round(row["p95_ms"] / usual, 2) if usual and row["p95_ms"] else None
    row["memory_ratio"] = round(row["memory_mb"] / quiet["memory_mb"], 2)
    row["recovered_s"] = recovered
    return row


async def _modest(
    port: int, keys: Mapping[str, str], rate: float, seconds: float, dice: random.Random
) -> list[LabRequest]:
    """Ten callers that ask by the clock, answered or not; each text is a little different."""
    asked: list[LabRequest] = []

    async def one(name: str, number: int) -> None:
        text = f"{dice.choice(TEXTS)} ({number})"
        asked.append(await ask(port, text, key=keys[name], stream=False, limit_s=20.0))

    async with asyncio.TaskGroup() as group:
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            await asyncio.sleep(dice.expovariate(rate))
            group.create_task(one(MODEST[number % len(MODEST)], number))
            number += 1
    return asked


async def _recovered(port: int, key: str, usual_s: float) -> float | None:
    """Seconds until three answers in a row take at most twice the usual p95 (or 50 ms). None: not within the limit."""
    began, good = time.monotonic(), 0
    while time.monotonic() - began < RECOVERY_LIMIT_S:
        one = await ask(port, f"still there? {time.monotonic()}", key=key, stream=False, limit_s=10.0)
        good = good + 1 if one.done and one.seconds <= max(0.05, 2 * usual_s) else 0
        if good == 3:
            return round(time.monotonic() - began, 2)
    return None


class _Watched:
    """The gateway as the system and its own metrics see it."""

    def __init__(self, port: int, pid: int, key: str) -> None:
        self._url, self._key, self._process = f"http://127.0.0.1:{port}", key, psutil.Process(pid)
        self.peak_mb = 0.0

    def memory_mb(self) -> float:
        """Of the gateway and its children."""
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 1e6

    async def watch(self) -> None:
        """The peak, sampled until cancelled."""
        while True:
            self.peak_mb = max(self.peak_mb, self.memory_mb())
            await asyncio.sleep(0.1)

    async def blocks(self) -> int | None:
        """How often the event loop has worked for over 50 ms at a stretch since the start; None: it does not say."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                page = await client.get(f"{self._url}/metrics", headers={"Authorization": f"Bearer {self._key}"})
        except httpx.HTTPError:
            return None
        found = {label: float(value) for label, value in _BUCKET.findall(page.text)}
        return round(found["+Inf"] - found["0.05"])


_BUCKET: Final = re.compile(r'netgpt_loop_block_seconds_bucket\{le="([^"]+)"\} (\S+)')


def _row(
    kind: str, asked: Sequence[LabRequest], watched: _Watched, before: int | None, after: int | None
) -> dict[str, Any]:
    times = sorted(one.seconds for one in asked if one.done)
    return {
        "kind": kind,
        "asked": len(asked),
        "answered": round(len(times) / len(asked), 3) if asked else 0.0,
        "p50_ms": round(percentile(times, 0.5) * 1000, 1) if times else None,
        "p95_ms": round(percentile(times, 0.95) * 1000, 1) if times else None,
        "memory_mb": round(max(watched.peak_mb, watched.memory_mb()), 1),
        "blocks_over_50_ms": None if before is None or after is None else after - before,
    }
