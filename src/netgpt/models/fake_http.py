"""The smallest HTTP/1.1 server that a fake cloud needs: keep-alive, chunked answers, every byte seen.

It runs on its own event loop in its own thread, so that a test may use it from any loop or from none.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import httptools

from netgpt.errors import NetGPTError

__all__ = ["Connection", "FakeHttp", "ReceivedRequest"]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_START_S = 10.0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came in. Header names are lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name."""
        return next((value for known, value in self.headers if known == name), None)


class Connection(asyncio.Protocol):
    """One client's connection: parses requests, hands each to the server, writes answers."""

    def __init__(self, server: FakeHttp) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None
        self._url, self._headers, self._body = b"", list[tuple[str, str]](), list[bytes]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        if self._server.refuses():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._server.saw(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self._work is not None and not self._work.done():
            self._server.hung_up()
            self._work.cancel()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("ascii")
        request = ReceivedRequest(method, self._url.decode("latin-1"), tuple(self._headers), b"".join(self._body))
        self._work = asyncio.get_running_loop().create_task(self._server.serve(request, self))

    def answer(self, status: int, body: bytes, kind: str = "application/json", *, headers: str = "") -> None:
        """Write a whole answer. `headers`: more header lines, each ended by CRLF."""
        self.begin(status, f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n{headers}", body)

    def begin(self, status: int, headers: str, body: bytes = b"") -> None:
        """Write the head of an answer, and what of its body is at hand."""
        self.write(f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n{headers}\r\n".encode("latin-1") + body)

    def begin_events(self) -> None:
        self.begin(200, "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")

    def chunk(self, data: bytes) -> None:
        """Write one piece of a chunked body; an empty one ends it."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """End the connection after what was written, whether or not an answer is complete."""
        self._end(gently=True)

    def abort(self) -> None:
        """End the connection at once."""
        self._end(gently=False)

    def _end(self, *, gently: bool) -> None:
        self._work = None
        if self._transport is not None:
            (self._transport.close if gently else self._transport.abort)()


class FakeHttp:
    """The server and its thread. Subclasses answer; starting and stopping may be done from anywhere, and twice."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        """0 takes a free one at the start."""
        self.tls = tls
        self.connections: set[Connection] = set()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None
        self._fault: OSError | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        """Answer one request; runs on the server's own loop."""
        raise NotImplementedError

    def refuses(self) -> bool:
        """Whether to hang up on a connection as it is made."""
        return False

    def saw(self, data: bytes) -> None:
        """Every byte received passes here."""

    def hung_up(self) -> None:
        """A client left while its answer was under way."""

    def start(self) -> None:
        """Return when the port answers. Raises NetGPTError when it cannot be had."""
        if self._thread is not None:
            return
        self._ready.clear()
        self._fault = None
        self._thread = threading.Thread(target=self._run, name="fake-cloud", daemon=True)
        self._thread.start()
        started = self._ready.wait(_START_S)
        if self._fault is not None or not started:
            self._thread = None
            raise NetGPTError(f"the fake cloud cannot listen on 127.0.0.1:{self.port}; is the port taken?")

    def stop(self) -> None:
        """End every connection and the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop()
            thread.join(_START_S)

    def _run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, ssl=self.tls)
        except OSError as error:
            self._fault = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        self._ready.set()
        await stopped.wait()
        server.close()
        while self.connections:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)
