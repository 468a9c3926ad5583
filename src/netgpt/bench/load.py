"""A small HTTP/1.1 load generator on asyncio: keep-alive connections, the same bytes again and again.

Own code because a Python HTTP client costs more per request (0.5 ms and up) than the gateways under test add.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from netgpt.errors import ModelError

__all__ = ["LoadResult", "LoadTarget", "drive"]


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
