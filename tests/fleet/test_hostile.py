"""A box that answers nonsense, too much, or what would lead its control elsewhere: the others are served as ever."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError

from netgpt.errors import RequestError, SettingsError
from netgpt.fleet import control as controls
from netgpt.fleet.control import BoxState, Control, KnownBox
from netgpt.policy import own_text

Asked = list[tuple[str, str, bytes]]
Answer = Callable[[BaseHTTPRequestHandler, str, str, bytes], None]


def said(handler: BaseHTTPRequestHandler, body: bytes | dict[str, Any], status: int = 200, **headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def hostile(answer: Answer) -> Iterator[tuple[str, Asked]]:
    """The address of a box that answers so, and what it was asked."""
    asked: Asked = []

    class Box(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append((self.command, self.path, body))
            try:
                answer(self, self.command, self.path, body)
            except OSError:  # the control went away
                self.close_connection = True

        do_GET = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Box)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def control(tmp_path: Path) -> Control:
    made = Control.make(tmp_path / "control")
    rules = tmp_path / "rules.cedar"
    rules.write_text(own_text("strict")[0])
    made.order(policy=rules)
    return made


def pushed(control: Control, url: str) -> BoxState:
    async def once() -> BoxState:
        control.add(KnownBox(name="mill", url=url))
        try:
            return (await control.push(["mill"]))[0]
        finally:
            await control.close()

    return asyncio.run(once())


def lacking(*missing: str, have: int | None = None) -> Answer:
    """A box that says to lack these parts whatever came."""

    def answer(handler: BaseHTTPRequestHandler, method: str, path: str, body: bytes) -> None:
        if "/parts/" in path:
            return said(handler, {"have": len(body) if have is None else have})
        said(handler, {"version": 0, "missing": list(missing)} if method == "PUT" else {"version": 0})

    return answer


def test_no_file_of_the_control_but_those_of_its_orders_is_sent(control: Control, tmp_path: Path) -> None:
    newest = control.newest()
    assert newest is not None
    (tmp_path / "private.txt").write_text("only here")
    names = ["../control.key", "../boxes.json", str(tmp_path / "private.txt"), "/etc/hostname", "0" * 64]
    with hostile(lacking(*names, newest[1].parts[0].sha256)) as (url, asked):
        state = pushed(control, url)
    sent = [(path.partition("?")[0], body) for _, path, body in asked if "/parts/" in path]
    assert sent == [(f"/v1/fleet/parts/{newest[1].parts[0].sha256}", own_text("strict")[0].encode())]
    assert state.state == "behind" and "lacks parts" in state.why


NONSENSE: list[bytes | dict[str, Any]] = [
    b"", b"\xff\xfe", b"[]", b"null", b"3", b'"text"', b"[" * 100_000, b"<html>",
    b'{"version": ' + b"9" * 10_000 + b"}",
    {"version": "one"}, {"version": -1}, {"refused": "no"}, {"refused": {"orders": 3}}, {"refused": ["no"]},
    {"parts": "all"}, {"parts": {"store": "yes"}}, {"answered": ["many"]}, {"answered": {"edge ok": "x"}},
    {"missing": "all"}, {"orders": {}},
]  # fmt: skip


def test_nonsense_is_no_report_and_stops_nobody(control: Control) -> None:
    left = list(NONSENSE)

    def answer(handler: BaseHTTPRequestHandler, *_: object) -> None:
        said(handler, left[0])

    with hostile(answer) as (url, _):
        while left:
            state = pushed(control, url)
            assert state.state == "cut off" and "no box's report" in state.why, (left[0], state)
            left.pop(0)


@pytest.mark.parametrize("have", [0, -5, 10**12])
def test_a_box_that_never_has_enough_is_left_alone(control: Control, have: int) -> None:
    newest = control.newest()
    assert newest is not None
    with hostile(lacking(newest[1].parts[0].sha256, have=have)) as (url, asked):
        assert pushed(control, url).state == "cut off"
    assert len(asked) == 3


@pytest.mark.parametrize("told", ["0 bytes of this part are here", "³ bytes are here", "9999999999 bytes are here"])
def test_a_box_that_always_wants_other_bytes_is_left_alone(control: Control, told: str) -> None:
    newest = control.newest()
    assert newest is not None
    digest = newest[1].parts[0].sha256

    def answer(handler: BaseHTTPRequestHandler, method: str, path: str, _: bytes) -> None:
        if "/parts/" in path:
            return said(handler, {"error": {"message": told}}, 409)
        said(handler, {"version": 0, "missing": [digest] if method == "PUT" else []})

    with hostile(answer) as (url, asked):
        assert pushed(control, url).state in ("cut off", "behind")
    assert len(asked) <= 7


def test_endless_bytes_and_redirects_are_not_followed(control: Control) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler, *_: object) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("content-length", str(10**12))
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65_536)
            sent += 65_536

    with hostile(endless) as (url, _):
        state = pushed(control, url)
    assert state.state == "cut off" and "more than 1,000,000 bytes" in state.why and sent < 50_000_000

    def elsewhere(handler: BaseHTTPRequestHandler, *_: object) -> None:
        said(handler, b"", 307, location="/v1/elsewhere")

    with hostile(elsewhere) as (url, asked):
        assert pushed(control, url).state == "cut off"
    assert [path for _, path, _ in asked] == ["/v1/fleet"]


def test_a_byte_now_and_then_does_not_hold_up_the_control(control: Control) -> None:
    def dripping(handler: BaseHTTPRequestHandler, *_: object) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    control._silent.add("mill")  # the shorter patience
    with hostile(dripping) as (url, _):
        began = time.monotonic()
        assert pushed(control, url).state == "cut off"
        assert time.monotonic() - began < 3 * controls.PATIENT * controls.SILENT_S


def test_an_address_that_is_none_is_said_and_stops_nobody(control: Control) -> None:
    for url in ("http://127.0.0.1:99999999", "http://127.0.0.1:0", "http://[::1", "http://a:b"):
        with pytest.raises(ValidationError, match=r"no address|a port"):
            KnownBox(name="mill", url=url)
    for url in ("http://a..b", "http://" + "a" * 300):
        assert pushed(control, url).state == "cut off"


def test_boxes_that_two_commands_add_are_both_known_and_orders_have_one_number_each(control: Control) -> None:
    first, second = Control(control.folder), Control(control.folder)
    first.add(KnownBox(name="mill", url="http://127.0.0.1:1"))
    second.add(KnownBox(name="school", url="http://127.0.0.1:2"))
    first.remove("mill")
    assert list(Control(control.folder).boxes) == ["school"]
    threads = [Thread(target=each.order) for each in [Control(control.folder) for _ in range(8)]]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    newest = control.newest()
    assert newest is not None and newest[1].version == 9


def test_files_that_cannot_be_ordered_are_named_and_damage_is_told(control: Control, tmp_path: Path) -> None:
    empty = tmp_path / "empty.cedar"
    empty.write_text("")
    with pytest.raises(RequestError, match="1 to 256,000,000 bytes"):
        control.order(policy=empty)
    control.folder.chmod(0o755)
    assert Control(control.folder).folder.stat().st_mode & 0o077 == 0
    for damaged in ("{", "[{}]", '[{"name": "mill", "url": "ftp://a", "key": "ngpt_secret"}]'):
        (control.folder / "boxes.json").write_text(damaged)
        with pytest.raises(SettingsError, match=r"boxes\.json") as told:
            Control(control.folder)
        assert "ngpt_secret" not in told.value.message
