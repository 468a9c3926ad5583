"""The connection itself: what counts as an answer, what as its end, and what is never used again."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from clouds import PATIENT_S, Says, chat, cloud_model, everything, text_of
from hypothesis import given
from hypothesis import strategies as st
from outbounds import send
from patience import in_time, unhurried, until

from netgpt.errors import BrokenStream, ModelError
from netgpt.models.http1 import Decoder, Http1, PoolKey, connect
from netgpt.models.transport import Connections

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(speak: Speak) -> AsyncIterator[PoolKey]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1_000_000)
    yield PoolKey("127.0.0.1", listening.sockets[0].getsockname()[1], tls=False)
    listening.close()


def says(*pieces: bytes, stay: bool = False, pause_s: float = 0.0) -> Speak:
    """Answers the first request with these bytes; `stay`: leaves the connection open."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if stay:
            await reader.read()

    return speak


async def asked(origin: PoolKey, timeout_s: float = PATIENT_S) -> tuple[Http1, int, bytes]:
    """One request over a new connection: the connection, the status, the whole body."""
    connection = await connect(origin, None, limit_s=PATIENT_S, timeout_s=timeout_s)
    try:
        answer = await connection.post(HEAD, b"{}")
        body = b""
        while piece := await answer.read():
            body += piece
    except BaseException:
        connection.abort()
        raise
    return connection, answer.status_code, body


@pytest.mark.parametrize(
    ("pieces", "body", "again"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"], b"hi", True),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], b"", True),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"], b"hi", True),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"], b"hi", True),
        ([b"HTTP/1.1 20", b"0 OK\r\ncontent-le", b"ngth: 2\r\n\r", b"\nh", b"i"], b"hi", True),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"], b"hi", False),
        ([b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi"], b"hi", False),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], b"hi", False),
    ],
)
async def test_an_answer_and_whether_another_may_follow(pieces: list[bytes], body: bytes, again: bool) -> None:
    async with server(says(*pieces, stay=True, pause_s=0.01)) as origin:
        connection, status, got = await asked(origin)
        assert (status, got, connection.release()) == (200, body, again)
        assert connection.closed is not again
        connection.abort()


async def test_what_follows_a_body_is_not_taken_for_its_head() -> None:
    async with server(says(CHUNKED + b"connection: close\r\nkeep-alive: timeout=0\r\n\r\n", stay=True)) as origin:
        connection, _, body = await asked(origin)
        assert body == b"hi" and connection.release() and connection.idle_s == 60.0
        connection.abort()


async def test_a_body_without_length_ends_with_its_connection() -> None:
    async with server(says(b"HTTP/1.1 200 OK\r\n\r\nhi")) as origin:
        connection, _, body = await asked(origin)
        assert body == b"hi" and not connection.release()


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nhi"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nhi\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
        [b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"],
        [b"SSH-2.0-OpenSSH\r\n"],
        [CHUNKED, *[b"x: " + b"y" * 9_000 + b"\r\n"] * 15],
        [CHUNKED.removesuffix(b"0\r\n"), *[b"1;" + b"y" * 60_000] * 3],
        [b"HTTP/1.1 103 Hints\r\nlink: " + b"y" * 9_000 + b"\r\n\r\n"] * 15,
        [b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 60_000 + b"\r\n", b"x: " + b"y" * 60_000 + b"\r\n"],
    ],
)
async def test_what_is_cut_or_malformed_is_no_answer(pieces: list[bytes]) -> None:
    async with server(says(*pieces, pause_s=0.02)) as origin:
        with pytest.raises(httpx.HTTPError):
            await asked(origin)


async def test_silence_ends_a_wait_and_bytes_begin_it_anew() -> None:
    slow = [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"s", b"l", b"o", b"w"]

    async def slow_but_not_silent() -> None:
        async with server(says(*slow, pause_s=0.15)) as origin:
            assert (await asked(origin, timeout_s=0.3))[2] == b"slow"

    await unhurried(slow_but_not_silent)
    async with server(says(slow[0], stay=True)) as origin:
        with pytest.raises(httpx.ReadTimeout):
            await asked(origin, timeout_s=0.1)


async def test_a_slow_reader_is_not_flooded() -> None:
    size, sent = 30_000_000, 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    async with server(flood) as origin:
        connection = await connect(origin, None, limit_s=PATIENT_S, timeout_s=PATIENT_S)
        answer = await connection.post(HEAD, b"{}")
        await asyncio.sleep(0.2)
        assert sent < 20_000_000
        total = 0
        while piece := await answer.read():
            total += len(piece)
        assert total == size and connection.release()
        connection.abort()


async def test_a_request_that_is_taken_in_slowly_is_not_silence() -> None:
    async def sip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = len(HEAD) + 24_000_000
        while left:
            left -= len(await reader.read(500_000))
            await asyncio.sleep(0.03)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async def sent() -> None:
        async with server(sip) as origin:
            connection = await connect(origin, None, limit_s=PATIENT_S, timeout_s=0.7)
            try:
                assert (await connection.post(HEAD, b"x" * 24_000_000)).status_code == 200
            finally:
                connection.abort()

    await unhurried(sent)


async def test_what_nobody_asked_for_ends_an_idle_connection() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    async with server(says(whole, b"HTTP/1.1 200 OK\r\n", stay=True, pause_s=0.05)) as origin:
        connection, _, _ = await asked(origin)
        assert connection.release()
        await until(lambda: connection.closed)
        with pytest.raises(httpx.HTTPError):
            await connection.post(HEAD, b"{}")


async def test_a_connection_that_the_server_closed_while_idle_is_not_taken_again() -> None:
    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", pause_s=0.05)(reader, writer)

    async with server(one_each) as origin:
        pool = Connections(1, connect_timeout_s=PATIENT_S, timeout_s=PATIENT_S)
        seen = []
        for _ in range(3):
            await pool.enter()
            connection = await pool.take(origin)
            assert connection not in seen
            seen.append(connection)
            answer = await connection.post(HEAD, b"{}")
            while await answer.read():
                pass
            pool.release(connection)
            pool.leave()
            await until(lambda: seen[-1].closed)
        await pool.close()


async def test_a_name_with_several_addresses_is_reached_by_the_one_that_answers() -> None:
    async with server(says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", stay=True)) as origin:
        connection, _, body = await asked(PoolKey("localhost", origin.port, tls=False))  # ::1 refuses
        assert body == b"hi"
        connection.abort()


async def test_an_unknown_name_is_reported() -> None:
    model = cloud_model("http://no-such-host.invalid/v1")
    with pytest.raises(ModelError, match="cannot be reached"):
        await everything(send(model, chat()))
    await model.close()


ANSWER = b'{"choices": [{"message": {"content": "hello"}}]}'


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(ANSWER, mtime=0)),
        ("deflate", zlib.compress(ANSWER)),
        ("deflate", zlib.compress(ANSWER)[2:-4]),
        ("identity", ANSWER),
    ],
)
async def test_compression_that_was_not_asked_for_is_undone(coding: str, body: bytes) -> None:
    with Says(body, "application/json", headers=f"content-encoding: {coding}\r\n") as says_it:
        model = cloud_model(says_it.base_url)
        assert await text_of(send(model, chat())) == "hello"
        await model.close()


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", b"plain", "damaged"),
        ("br", b"x", "nobody asked"),
        ("gzip", gzip.compress(b" " * 40_000_000, mtime=0), "larger"),
    ],
)
async def test_compression_that_cannot_be_undone_is_broken(coding: str, body: bytes, message: str) -> None:
    with Says(body, "application/json", headers=f"content-encoding: {coding}\r\n") as says_it:
        model = cloud_model(says_it.base_url)
        start = time.perf_counter()
        with pytest.raises(BrokenStream, match=message):
            await everything(send(model, chat()))
        assert in_time(time.perf_counter() - start, 3)
        await model.close()


@given(st.binary(max_size=3000), st.integers(1, 100))
def test_however_it_is_cut_it_is_unpacked(data: bytes, size: int) -> None:
    packed, decoder = gzip.compress(data, mtime=0), Decoder("gzip", "it")
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(part for piece in pieces for part in decoder.decode(piece)) == data
