"""What a connection may cost before a key is known: every bound over a raw socket, and every flood with another caller
served beside it. The box has 256 open files, as little as any system gives."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import in_time
from serving import Served

from netgpt.settings.sections import Server
from netgpt.web.protocol import places

FILES = 256
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
PATIENT: dict[str, Any] = {
    "server__head_timeout_s": "60", "server__body_timeout_s": "5", "server__keep_alive_s": "4",
    "server__max_connections": str(places(Server(), FILES)), "privacy__names": "false", "lockout__failures": "100000",
}  # fmt: skip
QUICK = {
    **PATIENT,
    **dict.fromkeys(("server__head_timeout_s", "server__body_timeout_s", "server__keep_alive_s"), "1.5"),
}
"""For what ends by its time, and for floods."""


class Box(Served):
    """A box with few open files, and two callers with a key each."""

    def _started(self, args: list[str], environment: dict[str, str]) -> Any:
        process = super()._started(args, environment)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        return process

    def new_key(self) -> str:
        made = self.netgpt("keys", "create", "--role", "user", "--name", "one").stdout
        return str(re.findall(r"ngpt_\S{30,}", made)[0])

    def memory(self) -> int:
        """Bytes that the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024

    def connect(self) -> socket.socket:
        host, port = self.url.removeprefix("http://").split(":")
        line = socket.create_connection((host, int(port)), timeout=60)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def says(self, *pieces: bytes, gap_s: float = 0.02) -> list[tuple[int, dict[bytes, bytes], bytes]]:
        """Send these bytes, piece by piece; the answers until the box closes the connection."""
        with self.connect() as line:
            for piece in pieces:
                with contextlib.suppress(OSError):  # it may have answered and closed before the end
                    line.sendall(piece)
                time.sleep(gap_s)
            return answers_in(rest_of(line))


@contextlib.contextmanager
def opened_box(home: Path, settings: dict[str, Any]) -> Iterator[Box]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("NETGPT_"):
                patch.delenv(name)
        with Box(home, **settings) as opened:
            opened.key = opened.new_key()
            yield opened
            log = opened.log()
            assert "Traceback" not in log and "unforeseen" not in log and "Too many open files" not in log


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with opened_box(tmp_path_factory.mktemp("box"), PATIENT) as opened:
        yield opened


@pytest.fixture(scope="module")
def quick_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with opened_box(tmp_path_factory.mktemp("quick"), QUICK) as opened:
        yield opened


def rest_of(line: socket.socket) -> bytes:
    taken = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65536):
            taken += piece
    return taken


def answers_in(content: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Status, headers and body of each answer."""
    found = []
    while content:
        head, _, content = content.partition(b"\r\n\r\n")
        line, *rest = head.split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(b": ") for each in rest)}
        size = int(headers.get(b"content-length", b"0"))
        found.append((int(line.split()[1]), headers, content[:size]))
        content = content[size:]
    return found


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/chat/completions", length: int | None = None) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"Content-Length: %d" % (length or len(body)), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def bearer(key: str) -> bytes:
    return b"Authorization: Bearer " + key.encode()


@pytest.mark.parametrize(
    ("pieces", "status", "code"),
    [
        ([HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n"], 431, "head_too_large"),
        ([HEAD, *[b"X: " + b"a" * 1_000 + b"\r\n"] * 50], 431, "head_too_large"),
        ([HEAD + b"X: " + b"a" * 20_000, b"a" * 20_000, b"a"], 431, "head_too_large"),
        ([HEAD + b"X: y\r\n" * 101 + b"\r\n"], 431, "head_too_large"),
        ([b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"], 414, "target_too_long"),
        ([b"GET /?" + b"a" * 9_000], 414, "target_too_long"),
        ([b"G" * 40_000], 400, "bad_http"),
        ([post(b"{", length=100)], 401, "invalid_api_key"),
        ([b"GET /healthz HTTP/1.1\r\n\r\n"], 400, "bad_host"),
        ([HEAD + b"Host: localhost\r\n\r\n"], 400, "bad_host"),
        ([b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n"], 400, "bad_host"),
        ([b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n"], 400, "bad_host"),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400, "bad_http"),
        ([b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n"], 400, "bad_http"),
        ([b"GET /healthz\xff HTTP/1.1\r\nHost: a\r\n\r\n"], 400, "bad_http"),
        ([b"GET /healthz HTTP/1.1\nHost: a\n\n"], 400, "bad_http"),
        ([HEAD + b"X: a\r\n folded\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Transfer-Encoding : chunked\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Transfer-Encoding: identity\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], 400, "bad_http"),
        ([HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"], 400, "bad_http"),
        ([HEAD + b"Content-Length: +3\r\n\r\nabc"], 400, "bad_http"),
    ],
)  # fmt: skip
def test_what_is_refused_at_the_door(box: Box, pieces: list[bytes], status: int, code: str) -> None:
    found = box.says(*pieces)
    assert [each[0] for each in found] == [status]
    _, headers, body = found[0]
    error = json.loads(body)["error"]
    assert error["code"] == code and set(error) == {"message", "type", "code", "param"}
    assert status == 401 or headers[b"connection"] == b"close"


def test_half_a_head_is_waited_for_only_so_long(quick_box: Box) -> None:
    ((status, _, body),) = quick_box.says(HEAD)
    assert status == 408 and json.loads(body)["error"]["code"] == "request_timeout"


@pytest.mark.parametrize(
    ("pieces", "statuses"),
    [
        ([b"GET /healthz HTTP/1.0\r\n\r\n"], [200]),
        ([b"\r\n\r\n" + HEAD + b"Connection: close\r\n\r\n"], [200]),
        ([HEAD + b"X: " + b"a" * 30_000 + b"\r\n", b"Connection: close\r\n\r\n"], [200]),
        ([HEAD + b"X: y\r\n" * 98 + b"Connection: close\r\n\r\n"], [200]),
        ([b"GET /healthz?" + b"a" * 8_000 + b" HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n"], [200]),
        ([bytes([each]) for each in HEAD + b"Connection: close\r\n\r\n"], [200]),
        ([HEAD + b"\r\n" + HEAD + b"\r\n", HEAD + b"Connection: close\r\n\r\n"], [200] * 3),
        ([HEAD + b"\r\n" + b"NOT HTTP\r\n\r\n"], [200]),
        ([HEAD + b"Connection: close\r\n\r\n" + HEAD + b"\r\n"], [200]),
        ([HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"], [200]),
        ([b"GET /healthz/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"], [404]),
        ([b"GET //evil.example/.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"], [404]),
    ],
)  # fmt: skip
def test_what_is_answered_all_the_same(box: Box, pieces: list[bytes], statuses: list[int]) -> None:
    found = box.says(*pieces, gap_s=0.002)
    assert [each[0] for each in found] == statuses
    assert not [headers for _, headers, _ in found if b"location" in headers]


ASKED = b'{"model": "netgpt/edge", "messages": [{"role": "user", "content": "hello"}]}'
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
CHUNKED = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (ASKED[:9], ASKED[9:])) + b"0\r\n\r\n"


def asking(framing: bytes, body: bytes, more: bytes = b"", upgrade: bytes = H2C) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer KEY\r\n"
    return head + upgrade + framing + b"\r\n" + more + b"\r\n" + body


SIZED = b"Content-Length: %d" % len(ASKED)
CLOSING = HEAD + b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (asking(SIZED, ASKED) + CLOSING, [200, 200]),
        (asking(b"Transfer-Encoding: chunked", CHUNKED) + CLOSING, [200, 200]),
        (asking(SIZED, ASKED, b"Expect: 100-continue\r\n") + CLOSING, [200, 200]),
        (asking(SIZED, ASKED, upgrade=b"Connection: upgrade\r\nUpgrade: TLS/1.3, h2c\r\n") + CLOSING, [200, 200]),
        (asking(SIZED, ASKED, upgrade=b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"), [200]),
        (asking(SIZED, ASKED) * 3 + CLOSING, [200] * 4),
        (HEAD + H2C + b"\r\n" + asking(SIZED, ASKED) + CLOSING, [200, 200, 200]),
        (asking(SIZED, b"{" + b" " * (len(ASKED) - 1)) + CLOSING, [400, 200]),
        (asking(SIZED + b"\r\nTransfer-Encoding: chunked", CHUNKED) + CLOSING, [400]),
        (asking(b"Transfer-Encoding: xchunked", CHUNKED) + CLOSING, [400]),
        (asking(b"Transfer-Encoding: chunked", b"zz\r\n") + CLOSING, [400]),
    ],
)
@pytest.mark.parametrize("step", [7, 61, 100_000])
def test_an_upgrade_is_passed_over_and_its_body_read(box: Box, sent: bytes, statuses: list[int], step: int) -> None:
    if b"Expect" in sent and step != 100_000:
        statuses = statuses[:1]  # only one that waits for 100 gets it, and this client does not read it
    sent = sent.replace(b"KEY", (box.key or "").encode())
    pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
    found = [each for each in box.says(*pieces, gap_s=0.0005) if each[0] != 100]
    assert [each[0] for each in found][: len(statuses)] == statuses, found


def test_a_pipeline_is_answered_in_order_up_to_a_bound_and_then_closed(box: Box) -> None:
    found = box.says((HEAD + b"\r\n") * 5_000)
    assert {each[0] for each in found} == {200} and 10 <= len(found) <= 40
    assert found[-1][1][b"connection"] == b"close"


def test_trailers_are_dropped_and_bounded(box: Box) -> None:
    body = b'{"model": "netgpt/edge", "messages": [{"role": "user", "content": "hello"}]}'
    head = b"\r\n".join(
        [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", bearer(box.key or ""), b"Connection: close",
         b"Transfer-Encoding: chunked", b"", b""]
    )  # fmt: skip
    whole = head + b"%x;ext=1\r\n%b\r\n0\r\n" % (len(body), body)
    assert box.says(whole, b"X-Forwarded-For: 1.2.3.4\r\nHost: evil\r\n\r\n")[0][0] == 200
    for around in (b"0\r\nX: ", b"3;ext="):
        found = box.says(head + around, *[b"a" * 20_000] * 3)
        assert [each[0] for each in found] == [431], around


def test_a_body_is_asked_for_only_where_the_caller_may_send_it(box: Box) -> None:
    body = b'{"model": "netgpt/edge", "messages": [{"role": "user", "content": "hello"}]}'
    expecting = post(b"", bearer(box.key or ""), b"Connection: close", b"Expect: 100-continue", length=len(body))
    assert [each[0] for each in box.says(expecting, body)] == [100, 200]
    began = time.monotonic()
    assert [each[0] for each in box.says(post(b"", b"Expect: 100-continue", length=10))] == [401]
    assert in_time(time.monotonic() - began, 1.2), "closed at once: whether a body follows is not known"


def test_bodies_come_with_a_least_rate(quick_box: Box) -> None:
    began = time.monotonic()
    with quick_box.connect() as line:
        line.sendall(post(b"{", bearer(quick_box.key or ""), length=1_000))
        line.settimeout(0.1)
        taken = b""
        while not taken:
            with contextlib.suppress(TimeoutError):
                taken = line.recv(65536)
            if not taken:
                line.sendall(b" ")
    assert answers_in(taken)[0][0] == 408 and 1 < time.monotonic() - began < 30


def test_an_idle_connection_is_closed_without_a_word(quick_box: Box) -> None:
    for said in (b"", HEAD + b"\r\n"):
        began = time.monotonic()
        found = quick_box.says(said)
        assert [each[0] for each in found] == [200] * bool(said)
        assert 1 < time.monotonic() - began < 30


def silent(line: socket.socket, _key: str) -> None:
    del line


def half_a_head(line: socket.socket, _key: str) -> None:
    line.sendall(HEAD + b"X: y\r\n")


def many_small_headers(line: socket.socket, _key: str) -> None:
    line.sendall(HEAD + b"a: b\r\n" * 99)
    line.sendall(b"c: " + b"d" * 30_000)


def a_wrong_head(line: socket.socket, _key: str) -> None:
    line.sendall(b"NOT HTTP\r\n\r\n")


def an_unfinished_body(line: socket.socket, key: str) -> None:
    line.sendall(post(b"{" + b" " * 50_000, bearer(key), length=1_000_000))


def a_body_that_nobody_reads(line: socket.socket, _key: str) -> None:
    line.sendall(post(b"{" + b" " * 50_000, length=1_000_000))


@pytest.mark.parametrize(
    "attack",
    [silent, half_a_head, many_small_headers, a_wrong_head, an_unfinished_body, a_body_that_nobody_reads],
)
def test_others_are_served_during_a_flood(quick_box: Box, attack: Callable[[socket.socket, str], None]) -> None:
    """400 connections at 256 open files."""
    box, other_key = quick_box, quick_box.new_key()
    before = box.memory()
    with contextlib.ExitStack() as open_lines:
        for number in range(1, 401):
            line = open_lines.enter_context(box.connect())
            with contextlib.suppress(OSError):  # it may be closed for a later one
                attack(line, other_key)
            if number % 200 == 0:
                answer = box.ask("hello", "netgpt/edge")
                assert answer.status_code == 200, answer.text
        assert box.memory() - before < 60_000_000
    assert box.ask("hello", "netgpt/edge").status_code == 200


def test_sixty_megabytes_of_headers_leave_no_trace(box: Box) -> None:
    before = box.memory()
    lines = b"".join(b"h%d: v\r\n" % number for number in range(30_000))
    for _ in range(60_000_000 // len(lines)):
        with box.connect() as line, contextlib.suppress(OSError):
            line.sendall(HEAD + lines)
    assert box.memory() - before < 60_000_000
    assert box.get("/healthz").status_code == 200


def test_one_key_that_sends_much_at_once_pays_for_it_itself(box: Box) -> None:
    """Unfinished bodies of 100 MB: the bound of memory is reached by one key, and another one's long body comes
    through."""
    other_key = box.new_key()
    body = b'{"model": "netgpt/edge", "messages": [{"role": "user", "content": "' + b"long " * 20_000 + b'"}]}'
    with contextlib.ExitStack() as open_lines:
        modest = open_lines.enter_context(box.connect())
        greedy = [open_lines.enter_context(box.connect()) for _ in range(30)]
        content, rounds = post(body, bearer(box.key or ""), b"Connection: close"), 34
        for line in greedy:
            line.sendall(post(b"{", bearer(other_key), length=3_900_000))
        for number in range(rounds):  # all of them go on, so that none is too slow
            step = -(-len(content) // rounds)
            modest.sendall(content[number * step : (number + 1) * step])
            for line in greedy:
                with contextlib.suppress(OSError):
                    line.sendall(b" " * 100_000)
        assert answers_in(rest_of(modest))[0][0] == 200
        refused = [answer for line in greedy for answer in answers_in(rest_of(line))]
    codes = [json.loads(content)["error"]["code"] for _, _, content in refused]
    assert "too_many_unfinished" in codes and set(codes) <= {"too_many_unfinished", "request_timeout"}


@pytest.mark.parametrize(
    ("files", "wanted", "most"),
    [(256, None, 128), (1024, None, 640), (65_536, None, 2_048), (256, 1_000, 128), (65_536, 5_000, 5_000), (70, 8, 8)],
)  # fmt: skip
def test_places_leave_files_for_the_rest_of_the_box(files: int, wanted: int | None, most: int) -> None:
    assert places(Server(max_connections=wanted), files) == most
