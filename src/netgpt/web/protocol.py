"""The door: what a connection may cost before anybody is known to stand behind it.

uvicorn's protocol, bounded: heads, targets, trailers and pipelines by size and count, silence by time, connections by
what the limit of open files allows. Where places or memory run out, the account that holds most of them pays: a
connection belongs to its address, and to the key that it brought once that is known. So nobody is refused for what
another does. One timer sweeps all connections; a plain request pays for a few comparisons.
"""

from __future__ import annotations

import asyncio
import re
import resource
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

from netgpt.errors import NetGPTError, Overloaded, RateLimited, RequestError
from netgpt.exchange import new_id
from netgpt.settings.sections import Server
from netgpt.web.errors import REQUEST_ID, shaped
from netgpt.web.lockout import address_of, is_among, is_loopback, proxies

CONNECTION: Final = "netgpt.connection"
"""Key of a request's scope: the connection that it came by."""
KEPT_FILES: Final = 64
"""Files kept free for the store, the engine and the detector. A third of the others is for calls to the cloud."""
MOST_CONNECTIONS: Final = 2_048
"""Unless `server.max_connections` says more."""
MOST_HELD_BYTES: Final = 64_000_000
"""Of unfinished heads and bodies of all connections together."""
PIPELINED: Final = 16
"""Requests that may wait behind the one in work; the connection is closed after them, and the caller sends the rest
again (RFC 9112, section 9.3.2)."""
SWEEP_S: Final = 0.25
LINGER_S: Final = 1.0
"""A refused caller may take so long to read why, while what it still sends is dropped."""
LINGER_BYTES: Final = 8_000_000
STALL_S: Final = 60.0
"""An answer of which nothing is taken for so long is given up."""
_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]+")
_SILENT, _HEAD, _BODY = range(3)


def raise_file_limit() -> None:
    """Take as many open files as the system gives a process that asks: a caller at work needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = KEPT_FILES + MOST_CONNECTIONS * 3 // 2
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def places(server: Server, files: int | None = None) -> int:
    """How many connections may be open: `server.max_connections`, as far as the limit of open `files` allows."""
    if files is None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = MOST_CONNECTIONS if files == resource.RLIM_INFINITY else max(8, (files - KEPT_FILES) * 2 // 3)
    return min(server.max_connections or MOST_CONNECTIONS, room)


def most_in_work(server: Server) -> int:
    """How many requests may be in work: fewer than there are places, and those at work need a second file each."""
    room = places(server)
    return room * 3 // 4 if server.max_concurrency <= room // 2 else room // 2


class Doorkeeper:
    """All connections of one server: who may come in, who has waited for too long, who must go where it is full."""

    def __init__(
        self, server: Server, refused: Callable[[str], None], tls: ssl.SSLContext | None = None, most: int | None = None
    ) -> None:
        """`refused`: called with the code of every refusal. `most`: connections; else as `places` says."""
        self.server, self.refused, self.tls = server, refused, tls
        self.most = most or places(server)
        self.open: dict[GuardedProtocol, None] = {}
        """All that are not gone, in the order in which they came."""
        self.taken = 0
        """Places: connections that are not leaving."""
        self.addresses: Counter[str] = Counter()
        self.held = 0
        """Bytes of unfinished heads and bodies."""
        self.now = self._swept = 0.0
        """Seconds in which callers were listened to: where the loop itself was late, no caller is."""
        self._proxies = proxies(server.trusted_proxies)
        self._sweeping = False

    def protocol(self, **given: Any) -> GuardedProtocol:
        """What uvicorn asks for one of, for each connection."""
        return GuardedProtocol(self, **given)

    def admits(self, connection: GuardedProtocol) -> NetGPTError | None:
        """Take it in, if need be in the place of one that waits for its caller; else say why not."""
        if not self._sweeping:
            self._sweeping, self._swept = True, connection.loop.time()
            connection.loop.call_later(SWEEP_S, self._sweep, connection.loop)
        address, server = connection.address, self.server
        own = server.max_connections_per_address or (self.most if connection.is_many else max(1, self.most // 2))
        if self.addresses[address] >= own:
            self._make_room([each for each in self.open if each.address == address])
            if self.addresses[address] >= own:
                return RateLimited(
                    f"{own} connections of this address are at work; use fewer (server.max_connections_per_address)",
                    code="too_many_connections",
                    retry_after=1,
                )
        if self.taken >= self.most:
            self._make_room(list(self.open))
            if self.taken >= self.most:
                return Overloaded(
                    f"all {self.most} connections are at work; try again (server.max_connections, ulimit -n)",
                    code="too_many_connections",
                    retry_after=1,
                )
        self.open[connection] = None
        self.addresses[address] += 1
        self.taken += 1
        connection.has_place = True
        return None

    def is_many(self, peer: str) -> bool:
        """Whether this address is not one caller: programs of this machine, and proxies that bring others."""
        return is_loopback(peer) or is_among(peer, self._proxies)

    def leaves(self, connection: GuardedProtocol) -> None:
        """It gives up its place; twice does no harm."""
        self.let_go(connection)
        if connection.has_place:
            connection.has_place = False
            self.taken -= 1
            self.addresses[connection.address] -= 1
            if not self.addresses[connection.address]:
                del self.addresses[connection.address]

    def gone(self, connection: GuardedProtocol) -> None:
        self.leaves(connection)
        self.open.pop(connection, None)

    def holds(self, connection: GuardedProtocol, more: int) -> None:
        """It sent `more` bytes of what is unfinished. Past the bound, whoever holds most gives up the largest."""
        connection.held += more
        self.held += more
        while self.held > MOST_HELD_BYTES:
            by_account: Counter[str] = Counter()
            for each in self.open:
                by_account[each.account] += each.held
            heaviest = by_account.most_common(1)[0][0]
            largest = max((each for each in self.open if each.account == heaviest), key=lambda each: each.held)
            self.let_go(largest)
            largest.refuse(_unfinished())

    def let_go(self, connection: GuardedProtocol) -> None:
        self.held -= connection.held
        connection.held = 0

    def _make_room(self, among: list[GuardedProtocol]) -> None:
        """Close some that wait for their callers, of the account with most of them: those that never had an answer
        first, then those silent for longest."""
        waiting = [each for each in among if each.has_place and each.waits_for_caller()]
        if not waiting:
            return
        (heaviest, most), *others = Counter(each.account for each in waiting).most_common(2)
        few = max(1, min(len(among) // 64, most - (others[0][1] if others else 0)))
        mine = sorted(
            (each for each in waiting if each.account == heaviest), key=lambda each: (each.answered, each.since)
        )
        for each in mine[:few]:
            self._out(each)

    def _out(self, connection: GuardedProtocol) -> None:
        """Its place is needed, and its file."""
        if connection.reading == _SILENT or connection.is_leaving:
            connection.leave(at_once=connection.is_leaving)
        else:
            connection.refuse(_unfinished(), lingers=False)
        self.leaves(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.now += min(now - self._swept, 2 * SWEEP_S)
        self._swept = now
        for connection in list(self.open):
            connection.look(self.now)
        self._sweeping = bool(self.open)
        if self._sweeping:
            loop.call_later(SWEEP_S, self._sweep, loop)


def _unfinished() -> RateLimited:
    return RateLimited(
        "too much is begun and not sent to its end, most of it from here; end some before you begin more",
        code="too_many_unfinished",
        retry_after=1,
    )


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `reading` is where its newest request is: nothing of it yet, in its head, in its body."""

    def __init__(self, keeper: Doorkeeper, **given: Any) -> None:
        super().__init__(**given)
        self.keeper = keeper
        self.account = self.address = ""
        self.has_place = self.is_many = False
        self.reading = _SILENT
        self.since = self._began = 0.0
        """When what is waited for began; bytes of a body move it on. When the body began."""
        self.answered = 0
        self.held = 0
        self._head_bytes = self._body_bytes = self._quiet_bytes = self._dropped_bytes = 0
        self._fault: RequestError | None = None
        self._upgrade_is_passed_over = self._replays = False
        """Java's client asks for HTTP/2 beside a whole request; a second parser is told of its body."""
        self._deaf = False
        """Nothing more is read: what comes is dropped."""
        self._close_by: float | None = None
        self._unsent, self._stalled_since = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self.transport is not None:  # once more, behind the handshake
            super().connection_made(transport)
            return
        self.transport = transport
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) else ""
        self.account = self.address = address_of(host)
        self.is_many = self.keeper.is_many(host)
        refusal, tls = self.keeper.admits(self), self.keeper.tls
        self.since = self._stalled_since = self.keeper.now
        if refusal is not None:
            self.keeper.refused(refusal.code)
            self._deaf = True
            if tls is None:
                transport.write(self._as_bytes(refusal))
            transport.close()
        elif tls is None:
            super().connection_made(transport)
        else:
            self._begin_tls(transport, tls)

    def _begin_tls(self, plain: asyncio.Transport, context: ssl.SSLContext) -> None:
        """TLS begins here rather than before, so that a caller that never ends the handshake has a place to lose."""
        shell = SSLProtocol(
            self.loop, self, context, None, server_side=True, ssl_handshake_timeout=self.keeper.server.head_timeout_s
        )
        plain.set_protocol(shell)
        shell.connection_made(plain)

    def connection_lost(self, exc: Exception | None) -> None:
        self.keeper.gone(self)
        if self.flow is not None:
            super().connection_lost(exc)

    def belongs_to(self, key_id: str) -> None:
        """From now on it counts for this key, no longer for its address."""
        self.account = key_id

    @property
    def is_leaving(self) -> bool:
        return self._close_by is not None

    def waits_for_caller(self) -> bool:
        """Whether nothing is lost but the caller's own time when it is closed."""
        is_incomplete = self.reading == _BODY and not self.pipeline
        return self.is_leaving or (not self._deaf and (is_incomplete or not self._is_busy()))

    def _is_busy(self) -> bool:
        """Whether an answer is awaited or under way."""
        return self.cycle is not None and not self.cycle.response_complete

    # What comes in

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        while data and not self._deaf:
            room = len(data)
            if self.reading != _BODY:
                room = min(room, self.keeper.server.max_head_bytes - self._head_bytes)
                if room <= 0:
                    self.refuse(self._too_large("the head"))
                    return
            piece, data = (data, b"") if room == len(data) else (data[:room], data[room:])
            self._feed(piece)

    def _feed(self, piece: bytes) -> None:
        quiet, rest = self._body_bytes, b""
        try:
            rest = self._parse(piece)
        except httptools.HttpParserError:
            if not self._deaf:
                self.refuse(
                    self._fault or RequestError("this is no HTTP/1.1 request that can be read", code="bad_http")
                )
            return
        self._account(len(piece) - len(rest), quiet)
        if rest:
            self._feed(rest)

    def _parse(self, piece: bytes) -> bytes:
        """What the parser left of it. Raises HttpParserError."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as other:
            if self._upgrade_is_passed_over:
                self._read_as_if_not_asked()
                return piece[other.args[0] :]
            # nothing else is spoken here: it is answered, and that is all
            self.cycle.keep_alive, self._deaf = False, True
        return b""

    def _read_as_if_not_asked(self) -> None:
        """A server may pass over `Upgrade` (RFC 9110, section 7.8), and the body is this request's. The parser takes
        what follows for another protocol, so a new one is told how the body is framed."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        kept = [(name, value) for name, value in self.headers if name in (b"content-length", b"transfer-encoding")]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            kept.append((b"connection", b"close"))
        self._replays = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % each for each in kept) + b"\r\n")

    def _account(self, size: int, quiet: int) -> None:
        """Count `size` bytes that were read. `quiet`: bytes of the body before them."""
        if self.reading == _SILENT:
            if self.held:
                self.keeper.let_go(self)
            return
        if self.reading == _HEAD:
            self._head_bytes += size
        elif self._body_bytes == quiet:  # neither body nor its end: trailers, or what stands behind a chunk's size
            self._quiet_bytes += size
            if self._quiet_bytes > self.keeper.server.max_head_bytes:
                self.refuse(self._too_large("what stands around the body"))
                return
        if not (self.reading == _BODY and self.cycle.response_complete):
            self.keeper.holds(self, size)

    def _too_large(self, what: str) -> RequestError:
        most = self.keeper.server.max_head_bytes
        return RequestError(
            f"{what} is larger than {most} bytes (server.max_head_bytes)", code="head_too_large", status=431
        )

    def _stop(self, message: str, code: str, status: int = 400) -> None:
        """End the parsing within a callback."""
        self._fault = RequestError(message, code=code, status=status)
        raise self._fault

    def on_message_begin(self) -> None:
        if self._replays:
            return
        if len(self.pipeline) >= PIPELINED:
            self.cycle.keep_alive, self._deaf = False, True
            raise RequestError("too many requests at once")
        super().on_message_begin()
        cast(Any, self.scope)[CONNECTION] = self
        self.reading, self.since = _HEAD, self.keeper.now
        self._head_bytes = self._body_bytes = self._quiet_bytes = 0

    def on_url(self, url: bytes) -> None:
        if self._replays:
            return
        self.url += url
        if len(self.url) > self.keeper.server.max_target_bytes:
            most = self.keeper.server.max_target_bytes
            self._stop(f"the URL is longer than {most} bytes (server.max_target_bytes)", "target_too_long", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading == _BODY:
            return  # a trailer: nobody asked for one, and what is read has been decided
        if len(self.headers) >= self.keeper.server.max_headers:
            most = self.keeper.server.max_headers
            self._stop(f"the head has more than {most} headers (server.max_headers)", "head_too_large", 431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._replays:
            self._replays = self._upgrade_is_passed_over = False
            return
        self._check_host()
        super().on_headers_complete()
        other = self._get_upgrade() if self.parser.should_upgrade() else None
        self._upgrade_is_passed_over = other not in (None, b"websocket") and self.parser.get_method() != b"CONNECT"
        self.reading, self.since = _BODY, self.keeper.now
        self._began = self.keeper.now

    def _check_host(self) -> None:
        """One name, well formed (RFC 9112, section 3.2). HTTP/1.0 knew none, and some that look after servers speak
        it."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            self._stop("send one header `Host`", "bad_host")
        if hosts and not _HOST.fullmatch(hosts[0]):
            self._stop("the header `Host` is not the name of a host", "bad_host")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self.since = min(self.keeper.now, self.since + len(body) / self.keeper.server.min_body_rate)
        self._quiet_bytes = 0
        if self.cycle.response_complete and self._body_bytes > self.keeper.server.max_body_bytes:
            self._stop("the body is too large", "payload_too_large", 413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrade_is_passed_over:
            return  # its body is still to come
        self.reading = _SILENT
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.answered += 1
        self.since = self.keeper.now
        if self.held:
            self.keeper.let_go(self)
        if self.expect_100_continue and self.reading == _BODY:
            self.leave()  # whether the body comes after all is not known, so neither is where the next head begins
        elif not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    # What goes out

    def refuse(self, error: NetGPTError, *, lingers: bool = True) -> None:
        """Say why, and read no more. What is being answered is answered first. `lingers`: it stays open until the
        caller has read that, for `LINGER_S` at most."""
        self.keeper.refused(error.code)
        self._deaf = True
        if self._is_busy():
            if self.reading != _BODY:
                self.cycle.keep_alive = False  # an earlier request's
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.flow is None or (self.reading == _BODY and (self.cycle.response_started or self.pipeline)):
            self.leave()
            return
        self.transport.write(self._as_bytes(error))
        if lingers and self.transport.can_write_eof():
            self.transport.write_eof()
            self._close_by = self.keeper.now + LINGER_S
            self.flow.resume_reading()
        else:
            self.leave()

    def leave(self, *, at_once: bool = False) -> None:
        """Close it. What is written already goes out, within `LINGER_S`, unless `at_once`."""
        self._deaf = True
        self._close_by = self.keeper.now + LINGER_S
        if at_once or self.flow is None:
            self.transport.abort()
        else:
            self.transport.close()

    def _as_bytes(self, error: NetGPTError) -> bytes:
        request_id = new_id()
        status, body = shaped(error, (self.url or b"").partition(b"?")[0].decode("latin-1"), request_id)
        content = orjson.dumps(body)
        headers = [*self.server_state.default_headers, (b"content-type", b"application/json")]
        headers += [(b"content-length", b"%d" % len(content)), (b"connection", b"close")]
        headers += [(name.encode(), request_id.encode()) for name in REQUEST_ID]
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return STATUS_LINE[status] + lines + b"\r\n" + content

    def look(self, now: float) -> None:
        """Whether what is waited for has taken too long."""
        server = self.keeper.server
        if self._close_by is not None:
            if now > self._close_by:
                self.transport.abort()
                if self.flow is None:
                    self.keeper.gone(self)
        elif self.flow is None:
            if self.transport.is_closing():  # a handshake that failed is not told to the protocol behind it
                self.keeper.gone(self)
        elif self._stalls(now):
            self.transport.abort()
        elif self.reading == _BODY:
            if self.flow.read_paused:
                self.since += SWEEP_S  # it is we who do not read
            elif now - self.since > server.body_timeout_s or now - self._began > server.deadline_s:
                self.refuse(self._timed_out("the body", "server.body_timeout_s, server.min_body_rate"))
        elif self._is_busy():
            self.since = now
        elif self.reading == _HEAD:
            if now - self.since > server.head_timeout_s:
                self.refuse(self._timed_out("the head", "server.head_timeout_s"))
        elif now - self.since > (server.keep_alive_s if self.answered else server.head_timeout_s):
            self.leave()

    def _stalls(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._stalled_since = now
        self._unsent = unsent
        return now - self._stalled_since > STALL_S

    def _timed_out(self, what: str, settings: str) -> RequestError:
        return RequestError(
            f"{what} of the request did not come in time ({settings})", code="request_timeout", status=408
        )
