"""Servers whose TLS is wrong, each in its way: what the owner is told, what is tried again; nothing is sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from clouds import KEY, SECRET, chat, everything, text_of
from outbounds import send
from patience import until

from netgpt.errors import ModelError
from netgpt.models.base import Endpoint, Trust, without_receipt
from netgpt.models.client import CloudModel
from netgpt.models.errors import UNREACHABLE
from netgpt.testing.server import FaultyCloud

Behaviour = Callable[[socket.socket], None]
"""What is done with each connection; it is closed afterwards."""
RETRIES = 1


class RawServer:
    """Takes connections, does one thing with each, and keeps every byte that came."""

    def __init__(self, behaviour: Behaviour, *, reset: bool = False) -> None:
        self._behaviour, self._reset = behaviour, reset
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.taken = 0
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken = self._listener.accept()[0]
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._one, args=(taken,), daemon=True).start()

    def _one(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            self._behaviour(taken)
            if self._reset:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self.ended.set()
        self._listener.close()


def says(answer: bytes, *, after_hello: bool = True) -> Behaviour:
    def behave(taken: socket.socket) -> None:
        if after_hello:
            taken.recv(65536)
        taken.sendall(answer)

    return behave


def reads(taken: socket.socket) -> None:
    """To the end, without a word."""
    while taken.recv(65536):
        pass


def drips(taken: socket.socket) -> None:
    """A long record, one byte at a time: it would take hours."""
    taken.recv(65536)
    for byte in b"\x16\x03\x03\x3f\xff" + bytes(16_000):
        taken.sendall(bytes([byte]))
        threading.Event().wait(0.05)


def shakes(context: ssl.SSLContext) -> Behaviour:
    def behave(taken: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(taken, server_side=True) as secure:
            seen.append(secure.recv(65536))

    return behave


seen: list[bytes] = []
"""What came inside a TLS that should not have been made."""


def alert(description: int) -> bytes:
    """A fatal alert, as a record (RFC 5246, 7.2)."""
    return bytes([21, 3, 3, 0, 2, 2, description])


def old(made: ssl.SSLContext) -> ssl.SSLContext:
    """TLS 1.0 and 1.1 alone."""
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return made


def weak(made: ssl.SSLContext) -> ssl.SSLContext:
    """No cipher that anybody wants."""
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
    return made


@dataclass(frozen=True)
class Case:
    """A server, and what must come of it. `lasting`: for its owner or ours to mend, so it is not tried again."""

    behaviour: Callable[[Authority], Behaviour]
    told: str
    lasting: bool = True
    tries: int = 1
    reset: bool = False
    silent: bool = False

    @property
    def waits(self) -> dict[str, float]:
        """A short time to connect in, where silence is what is wrong."""
        return {"connect_timeout_s": 0.5} if self.silent else {}


def certificate(*hosts: str, **options: object) -> Callable[[Authority], Behaviour]:
    return lambda authority: shakes(authority.make("cloud", *hosts, **options).server())  # type: ignore[arg-type]


def does(behaviour: Behaviour) -> Callable[[Authority], Behaviour]:
    return lambda _: behaviour


TWICE: Any = {"lasting": False, "tries": 1 + RETRIES}
SERVER_HELLO = bytes.fromhex("16030300300200002c0303") + bytes(20)
TABLE: dict[str, Case] = {
    "expired": Case(certificate("127.0.0.1", days=(-9, -1)), "it has expired: have it renewed"),
    "not valid yet": Case(certificate("127.0.0.1", days=(1, 9)), "it is not valid yet: check the clocks"),
    "for another address": Case(certificate("127.0.0.2"), "for another address than cloud.base_url"),
    "for another name": Case(certificate("cloud.example"), "for another address than cloud.base_url"),
    "signed by itself": Case(certificate("127.0.0.1", own=True), "named with cloud.ca_file"),
    "of a stranger": Case(
        lambda authority: shakes(Authority(authority.ca.parent, "stranger").make("s", "127.0.0.1").server()),
        "named with cloud.ca_file",
    ),
    "TLS 1.0 and 1.1 alone": Case(
        lambda authority: shakes(old(authority.make("cloud", "127.0.0.1").server())), "speaks no TLS 1.2 or newer"
    ),
    "an alert: old protocol": Case(does(says(alert(70))), "speaks no TLS 1.2 or newer"),
    "an alert: no cipher": Case(does(says(alert(40))), "offers no cipher"),
    "no cipher that is strong": Case(
        lambda authority: shakes(weak(authority.make("cloud", "127.0.0.1").server())), "offers no cipher"
    ),
    "an alert: name not known": Case(does(says(alert(112))), "check cloud.base_url"),
    "an alert: another certificate of ours": Case(does(says(alert(42))), "check cloud.client_cert"),
    "an alert: broken for now": Case(does(says(alert(80))), "TLS with it failed", **TWICE),
    "plain HTTP": Case(
        does(says(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")), "check scheme and port of cloud.base_url"
    ),
    "a banner": Case(does(says(b"SSH-2.0-OpenSSH_9.2\r\n", after_hello=False)), "check scheme and port"),
    "a mail server": Case(does(says(b"220 mail.example ESMTP ready\r\n", after_hello=False)), "check scheme and port"),
    "closes at once": Case(does(lambda taken: None), "closed the connection in the TLS handshake", **TWICE),
    "resets": Case(
        does(says(b"")), "closed the connection in the TLS handshake", lasting=False, tries=1 + RETRIES, reset=True
    ),
    "closes after the greeting": Case(does(says(b"")), "closed the connection in the TLS handshake", **TWICE),
    "closes in its greeting": Case(does(says(SERVER_HELLO)), "closed the connection in the TLS handshake", **TWICE),
    "is silent": Case(
        does(reads), "silent in the TLS handshake; is cloud.base_url a TLS port?", lasting=False, silent=True
    ),
    "drips": Case(does(drips), "silent in the TLS handshake", lasting=False, silent=True),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@contextmanager
def served(case: Case, authority: Authority) -> Iterator[RawServer]:
    server = RawServer(case.behaviour(authority), reset=case.reset)
    try:
        yield server
    finally:
        server.close()


def model(port: int, ca: Path, **more: Any) -> CloudModel:
    settings: dict[str, Any] = {
        "retries": RETRIES, "breaker_failures": 50, "breaker_reset_s": 60, "connect_timeout_s": 30, **more,
    }  # fmt: skip
    return CloudModel(
        "cloud", Endpoint(f"https://127.0.0.1:{port}/v1", KEY, Trust(ca)), timeout_s=30, max_connections=2,
        receipt_hook=without_receipt, seed=1, **settings,
    )  # fmt: skip


async def fault(far: CloudModel) -> ModelError:
    async with asyncio.timeout(60):
        with pytest.raises(ModelError) as caught:
            await everything(send(far, chat()))
    return caught.value


@pytest.mark.parametrize("what", TABLE)
async def test_what_is_wrong_is_named_with_its_cure_and_nothing_is_sent(authority: Authority, what: str) -> None:
    case = TABLE[what]
    seen.clear()
    with served(case, authority) as server:
        far = model(server.port, authority.ca, **case.waits)
        error = await fault(far)
        await until(lambda: server.taken >= case.tries)  # its thread may be behind
        await far.close()
    assert case.told in error.message and 'model "cloud" at 127.0.0.1' in error.message, error.message
    assert error.code == UNREACHABLE and error.status == (502 if case.lasting else 503)
    assert server.taken == case.tries, "what another try cannot better is not tried again"
    assert not any(seen), "no request went through"
    assert KEY not in error.message and SECRET not in error.message


@pytest.mark.parametrize("what", ["closes at once", "is silent"])
async def test_such_a_server_is_left_alone_after_a_while(authority: Authority, what: str) -> None:
    with served(TABLE[what], authority) as server:
        far = model(server.port, authority.ca, breaker_failures=2, retries=0, **TABLE[what].waits)
        for _ in range(2):
            assert (await fault(far)).code == UNREACHABLE
        assert not far.health().ok
        assert (await fault(far)).code == "breaker_open"
        await until(lambda: server.taken >= 2)
        assert server.taken == 2
        await far.close()


async def test_a_server_that_was_mended_is_asked_again(authority: Authority) -> None:
    cloud = FaultyCloud("mended")
    cloud.tls = authority.make("expired", "127.0.0.1", days=(-9, -1)).server()
    cloud.start()
    far = model(cloud.port, authority.ca, breaker_failures=1, breaker_reset_s=0, retries=0)
    try:
        assert (await fault(far)).status == 502
        await asyncio.to_thread(cloud.stop)
        cloud.tls = authority.make("renewed", "127.0.0.1").server()
        await asyncio.to_thread(cloud.start)
        assert await text_of(send(far, chat())) == "mended" and far.health().ok
    finally:
        await far.close()
        await asyncio.to_thread(cloud.stop)
