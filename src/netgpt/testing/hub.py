"""`FakeHub`: a hub on loopback that speaks Hugging Face's protocol, with its files on another host, and faults.

For your own tests, and to try `netgpt models pull` without a network: point `NETGPT_MODELS__HUB` at `hub.address`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

_PIECE: Final = 1 << 20
_PAGE: Final = 2


class FileFault(StrEnum):
    """What can go wrong while a file is sent."""

    CUT = "cut"
    """Closes after half of what is left."""
    LONGER = "longer"
    """Says and sends more than there is."""
    SHORTER = "shorter"
    """Says and sends less."""
    OTHER_BYTES = "other_bytes"
    """Sends other bytes of the same number."""
    UNTOLD = "untold"
    """Says no length, and sends more than there is."""
    SLOW = "slow"
    """Sends in small pieces, with a pause after each."""
    PAGE = "page"
    """A web page with status 200."""
    ERROR = "error"
    """503."""


@dataclass
class Repo:
    """One repository. Files by path: their bytes, or where they are. Whatever is changed is the next commit's."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    license: str | None = "apache-2.0"
    gated: bool = False
    architecture: str | None = "llama"
    renamed_to: str | None = None
    lies: dict[str, str] = field(default_factory=dict, repr=False)
    """SHA-256 that its list names instead of the true one, by path."""
    etags: dict[str, str] = field(default_factory=dict, repr=False)
    """The same for `X-Linked-Etag`."""

    @property
    def commit(self) -> str:
        """Changes with the names and hashes of the files."""
        known = sorted((path, digest_of(content)) for path, content in self.files.items())
        return hashlib.sha1(repr(known).encode(), usedforsecurity=False).hexdigest()


def digest_of(content: bytes | Path) -> str:
    """SHA-256 of a file of a repository."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


class FakeHub(FakeHttp):
    """A context manager, sync and async.

    repos:  by "owner/name".
    token:  the one that gated repositories let in (empty: none); they name `X-Error-Code`, as the real hub does.
    faults: one for each file to be sent, in order, None for a good one; then all is well.
    """

    def __init__(
        self,
        repos: Mapping[str, Repo],
        *,
        token: str = "",
        faults: Iterable[FileFault | str | None] = (),
    ) -> None:
        super().__init__()
        self.repos, self.token = dict(repos), token
        self.received: list[ReceivedRequest] = []
        self.files = FileHost(faults)
        """The other host, to which the hub leads for a file's bytes."""

    @property
    def address(self) -> str:
        """What to configure as `models.hub`."""
        return f"http://127.0.0.1:{self.port}"

    def schedule(self, *faults: FileFault | str | None) -> None:
        """Add faults for the files to be sent, in order."""
        self.files.faults.extend(None if fault is None else FileFault(fault) for fault in faults)

    def start(self) -> None:
        self.files.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        self.files.stop()

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        """Answer one question; a file's address leads to the other host."""
        self.received.append(request)
        parts = unquote(urlsplit(request.path).path).strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        name, what, revision, path = "/".join(parts[:2]), *(*parts[2:4], "", "")[:2], "/".join(parts[4:])
        repo = self.repos.get(name)
        may = bool(self.token) and request.header("authorization") == f"Bearer {self.token}"
        if repo is None:
            return self._refuse(connection, 404 if may else 401, "RepoNotFound")
        if repo.renamed_to is not None:
            there = request.path.replace(name, repo.renamed_to)
            return connection.begin(307, f"location: {there}\r\ncontent-length: 0\r\n")
        if revision not in ("main", repo.commit):
            return self._refuse(connection, 404, "RevisionNotFound")
        if api:
            more = self._next_page(request, name, repo) if what == "tree" else ""
            document = self._tree(repo, more != "") if what == "tree" else self._about(name, repo)
            if "cursor=2" in request.path:
                document = self._tree(repo, False)[_PAGE:]
            return connection.answer(200, orjson.dumps(document), headers=more)
        if repo.gated and not may:
            return self._refuse(connection, 403 if request.header("authorization") else 401, "GatedRepo")
        if path not in repo.files:
            return self._refuse(connection, 404, "EntryNotFound")
        self._lead(connection, repo, path)

    def _lead(self, connection: Connection, repo: Repo, path: str) -> None:
        content = repo.files[path]
        digest = digest_of(content)
        self.files.contents[digest] = content
        connection.begin(
            302,
            f"location: {self.files.address}/{digest}?X-Signature=secret\r\nx-repo-commit: {repo.commit}\r\n"
            f'x-linked-etag: "{repo.etags.get(path, digest)}"\r\nx-linked-size: {_size(content)}\r\n'
            "content-length: 0\r\n",
        )

    def _about(self, name: str, repo: Repo) -> dict[str, Any]:
        card = {"license": repo.license} if repo.license else {}
        gguf = {"architecture": repo.architecture, "context_length": 2048} if repo.architecture else None
        return {
            "id": name,
            "sha": repo.commit,
            "gated": "auto" if repo.gated else False,
            "cardData": card,
            "gguf": gguf,
        }

    def _tree(self, repo: Repo, first_page: bool) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for path, content in repo.files.items():
            row = {"type": "file", "oid": "1" * 40, "size": _size(content), "path": path}
            if path.endswith(".gguf"):
                oid = repo.lies.get(path, digest_of(content))
                row |= {"lfs": {"oid": oid, "size": _size(content), "pointerSize": 135}}
            rows.append(row)
        return rows[:_PAGE] if first_page else rows

    def _next_page(self, request: ReceivedRequest, name: str, repo: Repo) -> str:
        if len(repo.files) < _PAGE or "cursor" in request.path:
            return ""
        return f'link: <{self.address}/api/models/{name}/tree/{repo.commit}?cursor=2>; rel="next"\r\n'

    def _refuse(self, connection: Connection, status: int, code: str) -> None:
        connection.answer(status, orjson.dumps({"error": "no"}), headers=f"x-error-code: {code}\r\n")


class FileHost(FakeHttp):
    """Sends bytes by their hash, with ranges; keeps what was asked."""

    def __init__(self, faults: Iterable[FileFault | str | None] = ()) -> None:
        super().__init__()
        self.contents: dict[str, bytes | Path] = {}
        self.faults = deque(None if fault is None else FileFault(fault) for fault in faults)
        self.received: list[ReceivedRequest] = []
        self.pause_s = 0.002

    @property
    def address(self) -> str:
        """Another origin than the hub's."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        """Send one file, or the rest of it."""
        self.received.append(request)
        fault = self.faults.popleft() if self.faults else None
        content = self.contents[urlsplit(request.path).path.strip("/")]
        data = content if isinstance(content, bytes) else content.read_bytes()
        if fault is FileFault.PAGE:
            return connection.answer(200, b"<html>Please log in.</html>", "text/html; charset=utf-8")
        if fault is FileFault.ERROR:
            return connection.answer(503, b"")
        start = int((request.header("range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        whole = {FileFault.LONGER: len(data) + 9, FileFault.SHORTER: len(data) - 9}.get(
            fault or FileFault.CUT, len(data)
        )
        sent = (data + b"and more.")[start : whole + (9 if fault is FileFault.UNTOLD else 0)]
        sent = bytes(255 - byte for byte in sent[:4096]) + sent[4096:] if fault is FileFault.OTHER_BYTES else sent
        head = f"content-range: bytes {start}-{whole - 1}/{whole}\r\n" if start else ""
        if fault is not FileFault.UNTOLD:
            head += f"content-length: {len(sent)}\r\n"
        connection.begin(
            206 if start else 200, f"content-type: application/octet-stream\r\n{head}connection: close\r\n"
        )
        size = max(1, len(sent) // 20) if fault is FileFault.SLOW else _PIECE
        for at in range(0, len(sent) // 2 if fault is FileFault.CUT else len(sent), size):
            connection.write(
                sent[at : at + size] if fault is not FileFault.CUT else sent[at : min(at + size, len(sent) // 2)]
            )
            await asyncio.sleep(self.pause_s if fault is FileFault.SLOW else 0)
        connection.close()
