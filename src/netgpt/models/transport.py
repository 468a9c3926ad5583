"""HTTP to one model server: a pool of connections, a timeout per phase, retries before the first byte.

No redirects, cookies or log lines, and no proxy but the one that is configured. The
connections are our own (`http1`); their errors are httpx's.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from netgpt.errors import BrokenStream, ModelUnavailable, SettingsError
from netgpt.files import read_bytes
from netgpt.models.addresses import address_of, headers_for, proxy_of
from netgpt.models.base import SYSTEM_TRUST, Endpoint, Trust, passed
from netgpt.models.errors import UNREACHABLE, Failure, Peer, RetryPolicy, busy, failed_status, failed_transport
from netgpt.models.http1 import Answer, Decoder, Http1, PoolKey, connect
from netgpt.models.observe import Call


def trusted_certificates(trust: Trust = SYSTEM_TRUST, section: str = "cloud") -> ssl.SSLContext:
    """TLS 1.2 or newer, the server's chain, dates and name checked, by `trust.ca_file` or the system's authorities.

    No setting turns the checks off. OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR itself; a system without any
    authorities gets certifi's. Raises SettingsError: a file is missing, or is not what it should be.
    """
    authority = _existing(trust.ca_file, f"{section}.ca_file")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
    except ssl.SSLError:
        raise SettingsError(f"{section}.ca_file: {trust.ca_file} holds no certificate that can be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    folder = ssl.get_default_verify_paths().capath
    anything = bool(folder) and any(Path(str(folder)).iterdir())
    if trust.ca_file is None and not context.cert_store_stats()["x509_ca"] and not anything:
        import certifi

        context.load_verify_locations(certifi.where())
    if trust.client_cert is not None:
        _load_client_cert(context, trust, section)
    return context


def check_trust(trust: Trust, *, tls: bool, section: str = "cloud") -> None:
    """Read the files now, so that what is wrong with them shows at the start. Raises SettingsError."""
    if (trust.client_cert is None) != (trust.client_key is None):
        raise SettingsError(f"{section}.client_cert and {section}.client_key go together: set both or none")
    if trust == SYSTEM_TRUST:
        return
    if not tls:
        raise SettingsError(f"{section}.base_url begins with http://, where certificates do nothing; use https://")
    trusted_certificates(trust, section)


def _load_client_cert(context: ssl.SSLContext, trust: Trust, section: str) -> None:
    names = f"{section}.client_cert", f"{section}.client_key"
    certificate, key = _existing(trust.client_cert, names[0]), _existing(trust.client_key, names[1])
    try:  # a key with a passphrase is refused: nobody is there to type one, and an empty one is wrong
        context.load_cert_chain(str(certificate), key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or ""
        if reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(f"{names[1]} is not the key of {names[0]}") from None
        why = f"no certificate with its key could be read ({reason or 'not PEM'})"
        raise SettingsError(f"{names[0]} and {names[1]}: {why}") from None


def _existing(file: Path | None, name: str) -> Path | None:
    """The file, after a look at whether it holds anything in PEM."""
    if file is None:
        return None
    try:
        text = read_bytes(file.expanduser(), SettingsError)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error.message}") from None
    if b"-----BEGIN " not in text:
        raise SettingsError(f"{name}: {file} holds no PEM (it should begin with -----BEGIN ...)")
    return file.expanduser()


class NoneFree(Exception):
    """Every connection stayed busy."""


class Connections:
    """A pool for at most `limit` calls at once, with constant cost per call. Belongs to the loop that first uses it.

    A call takes its turn (`enter`, `leave`), and within it a connection for each try (`take`, `release`): the one
    used last is used next.
    """

    def __init__(
        self,
        limit: int,
        *,
        connect_timeout_s: float,
        timeout_s: float,
        trust: Trust = SYSTEM_TRUST,
        first_byte_s: float | None = None,
    ) -> None:
        self._connect_timeout_s, self._timeout_s, self._first_byte_s = connect_timeout_s, timeout_s, first_byte_s
        self._turns = asyncio.Semaphore(limit)
        self._idle: deque[tuple[float, PoolKey, Http1]] = deque()
        """In the order in which they were released, each with the time until which it may be used."""
        self._busy: dict[Http1, PoolKey] = {}
        self._trust = trust
        self._tls: ssl.SSLContext | None = None

    async def enter(self) -> None:
        """Wait for one's turn. Raises NoneFree when none is free in time."""
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            await asyncio.wait_for(self._turns.acquire(), self._timeout_s)
        except TimeoutError:
            raise NoneFree from None

    def leave(self) -> None:
        """End of a turn."""
        self._turns.release()

    async def take(self, origin: PoolKey, *, fresh: bool = False) -> Http1:
        """A connection to `origin`: the one used last, or a new one. Raises httpx.ConnectTimeout and ConnectError."""
        connection = None if fresh else self._kept(origin)
        if connection is None:
            if origin.tls and self._tls is None:
                self._tls = trusted_certificates(self._trust)
            tls = self._tls if origin.tls else None
            proxy_tls = trusted_certificates() if origin.proxy is not None and origin.proxy.tls else None
            connection = await connect(
                origin, tls, limit_s=self._connect_timeout_s, timeout_s=self._timeout_s,
                first_byte_s=self._first_byte_s, proxy_tls=proxy_tls,
            )  # fmt: skip
        self._busy[connection] = origin
        return connection

    def _kept(self, origin: PoolKey) -> Http1 | None:
        while self._idle:
            until, where, connection = self._idle.pop()
            if where == origin and not connection.closed and time.monotonic() < until:
                return connection
            connection.abort()  # gone, too old, or to a server that has moved
        return None

    def release(self, connection: Http1) -> None:
        """Keep it for the next call, or close it when its answer was not read to the end."""
        origin = self._busy.pop(connection, None)
        if origin is None or not connection.release():
            connection.abort()
            return
        now = time.monotonic()
        self._idle.append((now + connection.idle_s, origin, connection))
        while self._idle and now > self._idle[0][0]:
            self._idle.popleft()[2].abort()

    async def close(self) -> None:
        """Close every connection, also those at work."""
        connections = [*(each for _, _, each in self._idle), *self._busy]
        self._idle.clear()
        self._busy.clear()
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn


MAX_ANSWER_BYTES = 16_000_000
"""More than any model writes, with pictures; read at once it holds nobody up for long."""
_MAX_ERROR_BYTES = 64_000
Before = Callable[[], Awaitable[None]]


class CallTarget:
    """One endpoint made ready for calls: its address and headers, worked out once. `repr` shows no key."""

    def __init__(self, name: str, section: str, endpoint: Endpoint) -> None:
        """Raises SettingsError when the address is no HTTP URL, or a key, header or proxy cannot be used."""
        self.address, self.dialect = address_of(endpoint.base_url, section), endpoint.dialect
        url = self.address.url
        told = {"told": self.dialect.error} if self.dialect is not None else {}
        self.peer = Peer(name, url.netloc.decode("ascii"), section, **told)
        self.headers = headers_for(self.address, section, endpoint.api_key, dict(endpoint.headers))
        proxy = proxy_of(endpoint.proxy, section, url.host)
        self.origin = PoolKey(url.raw_host.decode("ascii"), self.address.port, url.scheme == "https", proxy)
        self._paths, self._heads = list(self.address.paths), dict[str, bytes]()

    def __repr__(self) -> str:
        return f"<Target {self.peer}>"

    @property
    def path(self) -> str:
        """The path below which requests are posted."""
        return self._paths[0]

    def moves(self) -> bool:
        """The server knows no such path: whether there is another to try, which is remembered."""
        if len(self._paths) > 1:
            self._paths.pop(0)
            self._heads.clear()
            return True
        return False

    def stays(self) -> None:
        """The path was right."""
        del self._paths[1:]

    def head(self, path: str, length: int, once: str | None = None) -> bytes:
        """The head of a POST of `length` bytes to `path` below the URL; `once`: its `Idempotency-Key`."""
        head = self._heads.get(path)
        if head is None:
            url, proxy = self.address.url, self.origin.proxy
            url = url.copy_with(path=self.path + path, query=self.address.query or None)
            lines = [b"POST " + url.raw_path + b" HTTP/1.1", b"Host: " + url.netloc]
            if proxy is not None and not self.origin.tls:  # it reads the request, and passes it on
                lines[0] = b"POST " + str(url).encode("ascii") + b" HTTP/1.1"
                lines += [b"Proxy-Authorization: " + proxy.authorization] if proxy.authorization else []
            lines += [name + b": " + value for name, value in self.headers]
            head = self._heads[path] = b"\r\n".join(lines) + b"\r\nContent-Length: "
        key = b"" if once is None else b"\r\nIdempotency-Key: " + once.encode("ascii")
        hops = passed()
        came = b"\r\nX-NetGPT-Hops: " + hops.encode("ascii") if hops else b""
        return b"%b%d%b%b\r\n\r\n" % (head, length, key, came)


class Transport:
    """Posts JSON and gives the answer once its headers say 2xx. Made of nothing until the first call."""

    def __init__(
        self,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        max_connections: int,
        retry: RetryPolicy,
        trust: Trust = SYSTEM_TRUST,
        first_byte_s: float | None = None,
    ) -> None:
        """`timeout_s`: seconds without a byte; `first_byte_s`: before the first of an answer, where that is another
        time; `connect_timeout_s`: seconds to open a connection."""
        self.timeout_s, self.first_byte_s = timeout_s, first_byte_s
        self._connect_timeout_s = connect_timeout_s
        self._max_connections, self._retry, self._trust = max_connections, retry, trust
        self._pool: Connections | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def post(
        self,
        target: CallTarget,
        path: str,
        content: bytes,
        before: Before | None = None,
        call: Call | None = None,
        once: str | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """The open answer, status 2xx, closed at the end of the block. The turn is held while retries wait.

        `before` is awaited once, on an open connection before the first byte; when it raises, nothing is sent.
        `call` notes how it goes. `once`: an id that goes along as `Idempotency-Key`; what has left is then not tried
        again, whatever became of it.

        Raises ModelError and its children, ContextTooLong.
        """
        pool = self._connections()
        try:
            await pool.enter()
        except NoneFree:
            raise busy(target.peer) from None
        try:
            tries = _Tries(call or Call(), once is not None, before)
            answer = await self._answer(pool, target, lambda: target.head(path, len(content), once), content, tries)
            try:
                yield answer
            finally:
                tries.call.returns(answer.connection)
                pool.release(answer.connection)
        finally:
            pool.leave()

    async def _answer(
        self, pool: Connections, target: CallTarget, head: Callable[[], bytes], content: bytes, tries: _Tries
    ) -> Answer:
        # What leaves once does not leave over a kept connection, which may have died unseen.
        has_left, fresh, tried = False, tries.once, 0
        while True:
            result, stale = await self._try(pool, target, head(), content, tries, fresh=fresh)
            if isinstance(result, Answer):
                target.stays()
                return result
            if tries.once and tries.receipt_written:
                raise result.error
            if result.nothing_there and target.moves():
                continue  # an address without a path: the next that servers have
            if stale and not fresh:
                fresh = True  # the server closed a kept connection as the request left: not a try that failed
                tries.call.forgets()
                continue
            has_left = has_left or result.error.code != UNREACHABLE
            if has_left and result.error.code == UNREACHABLE:
                result.error.code = ModelUnavailable.code  # an earlier try did leave
            wait_s = self._retry.wait_s(tried, result.error.retry_after) if result.again else None
            if wait_s is None:
                raise result.error
            await asyncio.sleep(wait_s)
            tried += 1

    async def _try(
        self, pool: Connections, target: CallTarget, head: bytes, content: bytes, tries: _Tries, *, fresh: bool
    ) -> tuple[Answer | Failure, bool]:
        """The answer or the failure, and whether a kept connection was found closed."""
        connection = None
        keep = False
        try:
            connection = await pool.take(target.origin, fresh=fresh)
            await tries.write_receipt()
            tries.call.leaves(connection, len(head) + len(content))
            answer = await connection.post(head, content)
            keep = answer.is_success
            if keep:
                return answer, False
            return failed_status(target.peer, answer.status_code, answer.headers, await _beginning(answer)), False
        except httpx.HTTPError as error:
            stale = connection is not None and connection.used and isinstance(error, httpx.ReadError)
            return failed_transport(target.peer, error, answering=False), stale
        finally:
            if connection is not None and not keep:
                tries.call.returns(connection)
                pool.release(connection)

    def _connections(self) -> Connections:
        """The pool of the running loop: sockets of a loop that has ended are of no use."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._pool, self._loop = Connections(
                self._max_connections, trust=self._trust, connect_timeout_s=self._connect_timeout_s,
                timeout_s=self.timeout_s, first_byte_s=self.first_byte_s,
            ), loop  # fmt: skip
        return self._pool

    async def pieces(self, target: CallTarget, answer: Answer, call: Call | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer as they come; `call` notes them.

        Raises BrokenStream (cut, wrongly compressed, or larger than 16 MB in all) and ModelTimeout.
        """
        total = 0
        coding = answer.headers.get("content-encoding", "").strip().lower()
        decoder = None if coding in ("", "identity") else Decoder(coding, str(target.peer))
        call = call or Call()
        while piece := await self._read(target, answer, call):
            for part in decoder.decode(piece) if decoder else (piece,):
                total += len(part)
                if total > MAX_ANSWER_BYTES:
                    raise BrokenStream(f"the answer of {target.peer} is larger than {MAX_ANSWER_BYTES} bytes")
                yield part

    async def _read(self, target: CallTarget, answer: Answer, call: Call) -> bytes:
        call.asks()
        try:
            piece = await answer.read()
            call.came(len(piece))
            return piece
        except httpx.HTTPError as error:
            raise failed_transport(target.peer, error, answering=True).error from None

    async def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.close()
        self._loop = None


@dataclass(slots=True)
class _Tries:
    """What all tries of one call share: its notes, whether it may leave only once, and its receipt."""

    call: Call
    once: bool
    before: Before | None
    receipt_written: bool = False

    async def write_receipt(self) -> None:
        """Await `before` at the first try, and nothing at the others."""
        first, self.receipt_written = not self.receipt_written, True
        if first and self.before is not None:
            await self.before()


async def _beginning(answer: Answer) -> bytes:
    """As much of an error's body as is worth reading; what fails to arrive is done without."""
    body = bytearray()
    try:
        while len(body) <= _MAX_ERROR_BYTES and (piece := await answer.read()):
            body += piece
    except httpx.HTTPError:
        return b""
    return bytes(body)
