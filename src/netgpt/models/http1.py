"""One keep-alive HTTP/1.1 connection: asyncio's transport below, httptools' parser (llhttp) above.

Own code where a library would do, because the library was the largest part of a call's CPU (figures: docs/log.md).
It raises httpx's errors. `connect` opens one: names, several addresses, TLS, and one time limit for all of it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from asyncio.staggered import staggered_race
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import httptools
import httpx

from netgpt.errors import BrokenStream
from netgpt.models.addresses import Proxy
from netgpt.types import KernelFacts, kernel_facts

_MAX_HEAD_BYTES: Final = 100_000
_PAUSE_BYTES: Final = 256_000
"""As much of a body waits here for its reader; then the socket is left alone until it is read."""
_JOIN_BYTES: Final = 64_000
"""A request up to this size goes out in one write."""

_KEEP_ALIVE: Final = re.compile(r"timeout=([0-9]{1,6})", re.IGNORECASE)
_KEEP_ALIVE_MARGIN_S: Final = 1.0
"""A server closes on its own clock; a connection this near to its end is not used again."""


class Silence(httpx.ReadTimeout):
    """No byte came for `limit_s` seconds; `begun`: after the first of the answer's body."""

    def __init__(self, words: str = "silence", *, limit_s: float = 0.0, begun: bool = False) -> None:
        super().__init__(words)
        self.limit_s, self.begun = limit_s, begun


class ProxyFailed(httpx.ConnectError):
    """The proxy on the way did not let us through; `status`: its answer, 0 for none."""

    def __init__(self, words: str = "no way through", *, proxy: str = "", status: int = 0) -> None:
        super().__init__(words)
        self.proxy, self.status = proxy, status


@dataclass(slots=True, eq=False)
class Answer:
    """Status and headers of one answer; its body comes from `read`, piece by piece."""

    status_code: int
    headers: dict[str, str]
    """Names in lower case; a name that came twice has its values joined by a comma."""
    connection: Http1

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code <= 299

    async def read(self) -> bytes:
        """What has come of the body, as soon as there is some; empty at its end. Raises httpx.HTTPError."""
        return await self.connection.read()


Way = socket.socket | asyncio.StreamWriter
"""What leads to a server: a socket, or a connection to a proxy inside of TLS."""


class Http1(asyncio.Protocol):
    """One request at a time: `post`, `Answer.read` to the end, `release`. Opened by `connect`."""

    def __init__(self, timeout_s: float, first_byte_s: float | None = None) -> None:
        """`timeout_s`: seconds without a byte, in either direction; `first_byte_s`: before the first one of an answer's
        body, where that is another time."""
        self.closed = False
        """No request can be made over it any more."""
        self.used = False
        """Whether an answer came over it before: then a server may close it just as the next request leaves."""
        self.opened_s: float | None = None
        """How long it took to open, in seconds; None: not known."""
        self.idle_s = 60.0
        """How long it may lie idle, in seconds; less when the server says so (`Keep-Alive: timeout=5`)."""
        self.way: Way | None = None
        """What leads to the server, held as long as this: a writer that nobody holds closes its transport."""
        self._timeout_s, self._first_byte_s = timeout_s, first_byte_s or timeout_s
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._failure: httpx.HTTPError | None = None
        self._pieces: deque[bytes] = deque()
        self._clear()

    def _clear(self) -> None:
        """Ready for the next answer."""
        self._answer: Answer | None = None
        self._headers: dict[str, str] = {}
        self._unread_bytes = 0
        """Of the body: what came and was not taken yet."""
        self._other_bytes = 0
        """That came since the last of the body: head, and what stands between or behind its parts."""
        self._paused = self._whole = self._at_work = self._begun = False
        self._last = False
        """No request may follow this one."""
        self._endless = False
        """The body ends where the connection does."""

    async def post(self, head: bytes, content: bytes) -> Answer:
        """Send one request; the answer, once its headers are there. Raises httpx.HTTPError."""
        transport = self._transport
        if self.closed or transport is None:
            raise self._failure or httpx.RemoteProtocolError("the connection is closed")
        self._at_work = True
        if len(content) <= _JOIN_BYTES:
            transport.write(head + content)
        else:
            transport.writelines((head, content))
        while self._answer is None:
            await self._more(transport)
        return self._answer

    async def read(self) -> bytes:
        """As `Answer.read`."""
        while not self._pieces:
            if self._whole:
                return b""
            await self._more(self._transport)
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._unread_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return piece

    def kernel_facts(self) -> KernelFacts | None:
        """What the kernel knows of the connection; None: nothing, or it is closed."""
        return kernel_facts(self._transport.get_extra_info("socket")) if self._transport is not None else None

    def release(self) -> bool:
        """End of a request. False: the connection cannot be used again, and was closed at once."""
        usable = self._whole and not (self.closed or self._pieces or self._last)
        self.used = True
        if keeps := _KEEP_ALIVE.search(self._headers.get("keep-alive", "")):
            self.idle_s = max(0.0, float(keeps[1]) - _KEEP_ALIVE_MARGIN_S)
        if not usable or self._transport is None or self._transport.get_write_buffer_size():
            self.abort()
            return False
        self._clear()
        return True

    def abort(self) -> None:
        """Close at once, whatever is under way; whoever waits for an answer gets an error."""
        self._fail(httpx.ReadError("closed here"))
        if self._transport is not None:
            self._transport.abort()

    async def _more(self, transport: asyncio.Transport | None) -> None:
        """Wait until something came. A request that is still being taken in counts as something."""
        if self._failure is not None or transport is None:
            raise self._failure or httpx.ReadError("not open")
        unsent = transport.get_write_buffer_size()
        self._waiter = waiter = self._loop.create_future()
        limit_s = self._timeout_s if self._begun else self._first_byte_s
        timer = self._loop.call_later(limit_s, _wake, waiter, False)
        try:
            came = await waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not came and transport.get_write_buffer_size() >= unsent:
            raise Silence(limit_s=limit_s, begun=self._begun)

    def _fail(self, failure: httpx.HTTPError) -> None:
        self.closed = True
        self._failure = self._failure or failure
        if self._waiter is not None:
            _wake(self._waiter, True)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._at_work:
            self.abort()  # an answer that nobody asked for
            return
        self._other_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._last = True  # what follows a whole answer is not ours to read
            if not self._whole:
                self._fail(httpx.RemoteProtocolError("not HTTP/1.1"))
        if self._other_bytes > _MAX_HEAD_BYTES and not self._whole:
            self._fail(httpx.RemoteProtocolError("a head beyond reason"))
        if self._waiter is not None:
            _wake(self._waiter, True)

    def eof_received(self) -> None:
        """The default closes the transport, and `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._endless:
            self._whole = True
        failure = httpx.ReadError("closed by the server")
        failure.__cause__ = exc
        self._fail(failure)
        self._transport = None

    # httptools

    def on_message_begin(self) -> None:
        if self._whole:
            raise httpx.RemoteProtocolError("two answers to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if self._answer is not None:
            return  # a trailer: nothing in it is read
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        headers = self._headers
        self._answer = Answer(status, headers, self)
        sized = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        self._endless = not sized and status not in (204, 304)
        closes = self._parser.get_http_version() != "1.1" or "close" in headers.get("connection", "").lower()
        self._last = self._endless or closes

    def on_body(self, body: bytes) -> None:
        self._begun = True
        self._pieces.append(body)
        self._unread_bytes += len(body)
        self._other_bytes = 0
        if self._unread_bytes > _PAUSE_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._answer is None:
            self._headers = {}  # an interim answer, such as 100; the real one follows
        else:
            self._whole = True


def _wake(waiter: asyncio.Future[bool], came: bool) -> None:
    if not waiter.done():
        waiter.set_result(came)


_NEXT_ADDRESS_S = 0.25
"""An address that is silent for this long is not waited for alone (RFC 8305, section 5)."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """Where a connection goes to. Two requests share one only when this is equal."""

    host: str
    port: int
    tls: bool
    proxy: Proxy | None = None


class HandshakeFailed(httpx.ConnectError):
    """A server took the connection, and TLS with it failed; the cause says how."""


class HandshakeTimeout(httpx.ConnectTimeout):
    """A server took the connection, and TLS with it was not ready in time."""


async def connect(
    origin: PoolKey,
    tls: ssl.SSLContext | None,
    *,
    limit_s: float,
    timeout_s: float,
    first_byte_s: float | None = None,
    proxy_tls: ssl.SSLContext | None = None,
) -> Http1:
    """An open connection. `limit_s`: seconds to open it; `timeout_s` and `first_byte_s`: see `Http1`; `proxy_tls`: for
    a proxy that is spoken to over TLS.

    Raises httpx.ConnectTimeout, or httpx.ConnectError with its cause; where TLS was the matter, their children above.
    """
    loop = asyncio.get_running_loop()
    begun, in_tls = loop.time(), False
    try:
        async with asyncio.timeout(limit_s):
            way = await _way(origin, proxy_tls)
            in_tls = tls is not None
            connection = await _begun_on(way, origin, tls, partial(Http1, timeout_s, first_byte_s))
    except TimeoutError:
        raise (HandshakeTimeout if in_tls else httpx.ConnectTimeout)("not open in time") from None
    except OSError as error:  # ssl.SSLError and socket.gaierror are OSErrors
        if origin.proxy is not None and not in_tls:
            raise ProxyFailed(proxy=str(origin.proxy)) from error
        raise (HandshakeFailed if in_tls else httpx.ConnectError)("not open") from error
    connection.opened_s = loop.time() - begun
    return connection


async def _begun_on(way: Way, origin: PoolKey, tls: ssl.SSLContext | None, make: Callable[[], Http1]) -> Http1:
    """HTTP on the way, inside of TLS where the server wants it."""
    loop, name = asyncio.get_running_loop(), origin.host if tls else None
    if isinstance(way, socket.socket):
        try:
            return (await loop.create_connection(make, sock=way, ssl=tls, server_hostname=name))[1]
        except BaseException:
            way.close()
            raise
    connection, transport = make(), way.transport
    connection.way = way
    if tls is not None:
        inner = await loop.start_tls(transport, connection, tls, server_hostname=name)
        assert inner is not None
        connection.connection_made(inner)
    else:
        transport.set_protocol(connection)
        connection.connection_made(transport)
    return connection


async def _way(origin: PoolKey, proxy_tls: ssl.SSLContext | None) -> Way:
    """A connected socket to the server; through a proxy, what leads to it: a tunnel for TLS, else the proxy itself."""
    proxy = origin.proxy
    if proxy is None:
        return await _socket(origin.host, origin.port)
    sock = await _socket(proxy.host, proxy.port)
    try:
        if not proxy.tls and not origin.tls:
            return sock
        loop = asyncio.get_running_loop()
        if not proxy.tls:
            await loop.sock_sendall(sock, _asking(origin, proxy))
            head = b""
            while (
                b"\r\n\r\n" not in head and len(head) < _MAX_HEAD_BYTES and (piece := await loop.sock_recv(sock, 4096))
            ):
                head += piece
            _let_through(head, proxy)
            return sock
        reader, writer = await asyncio.open_connection(sock=sock, ssl=proxy_tls, server_hostname=proxy.host)
        if origin.tls:
            writer.write(_asking(origin, proxy))
            _let_through(await reader.readuntil(b"\r\n\r\n"), proxy)
        return writer
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        sock.close()
        raise ProxyFailed(proxy=str(proxy)) from None
    except BaseException:
        sock.close()
        raise


def _asking(origin: PoolKey, proxy: Proxy) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    name = f"{host}:{origin.port}".encode("ascii")
    key = b"Proxy-Authorization: " + proxy.authorization + b"\r\n" if proxy.authorization else b""
    return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (name, name, key)


_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


def _let_through(head: bytes, proxy: Proxy) -> None:
    found = _STATUS.match(head)
    if found is None or not found[1].startswith(b"2") or not head.endswith(b"\r\n\r\n"):
        raise ProxyFailed(proxy=str(proxy), status=int(found[1]) if found else 0)


async def _socket(host: str, port: int) -> socket.socket:
    """A connected socket: the first address that answers wins."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _connect_to(found[0])
    tries = [partial(_connect_to, info) for info in _families_in_turn(found)]
    winner: socket.socket | None
    winner, _, faults = await staggered_race(tries, _NEXT_ADDRESS_S)
    if winner is None:
        raise next(fault for fault in faults if fault is not None)
    return winner


def _families_in_turn(found: list[Any]) -> list[Any]:
    """The addresses with IPv6 and IPv4 taking turns, so that one family that is cut off costs little."""
    first = [info for info in found if info[0] == found[0][0]]
    other = [info for info in found if info[0] != found[0][0]]
    mixed = [info for pair in zip(first, other, strict=False) for info in pair]
    return mixed + first[len(other) :] + other[len(first) :]


async def _connect_to(info: Any) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


_PART_BYTES = 256_000
"""A small piece can stand for gigabytes: it is unpacked part by part, so that the reader can stop."""


class Decoder:
    """Bodies that came compressed although we ask for plain ones (gzip, deflate: RFC 9110, section 8.4.1)."""

    def __init__(self, coding: str, source: str) -> None:
        """`coding`: the header's value in lower case; `source` names the server in errors. Raises BrokenStream: not
        known here."""
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise BrokenStream(f"{source} sent an answer in a compression that nobody asked for")
        self._source = source
        self._raw = coding == "deflate"
        """Whether the piece to come may be the start of a deflate without its zlib header: some servers do that."""
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads both headers, gzip's and zlib's

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The plain parts of `piece`. Raises BrokenStream when it is damaged."""
        try:
            while piece:
                yield self._part(piece)
                piece = self._unpack.unconsumed_tail
        except zlib.error:
            raise BrokenStream(f"{self._source} sent an answer whose compression is damaged") from None

    def _part(self, piece: bytes) -> bytes:
        raw, self._raw = self._raw, False
        try:
            return self._unpack.decompress(piece, _PART_BYTES)
        except zlib.error:
            if not raw:
                raise
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._unpack.decompress(piece, _PART_BYTES)
