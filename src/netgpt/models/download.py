"""Large files and small indexes on the disk: hashed, locked, put in place in one step; and downloads.

A download is resumed where it was cut and checked by its hash. It blocks and belongs to commands; nothing in the
gateway ever downloads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from netgpt.errors import ModelUnavailable, NetGPTError, RequestError

if TYPE_CHECKING:
    import httpx


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_other(path: Path, sha256: str, origin: str) -> None:
    """Delete `path` and raise RequestError unless its hash is `sha256`."""
    found = file_sha256(path)
    if found != sha256:
        path.unlink()
        raise RequestError(
            f"{origin}: wrong hash: {found[:12]}..., expected {sha256[:12]}...; refused and deleted. "
            "The file was changed or replaced on its way; try another source with --from."
        )


def move_into_place(part: Path, target: Path) -> None:
    """Make a finished file visible: on the disk, owner-only, in one step."""
    with part.open("rb+") as file:
        os.fchmod(file.fileno(), 0o600)
        os.fsync(file.fileno())
    part.replace(target)


@contextlib.contextmanager
def locked(folder: Path, name: str, failure: type[NetGPTError]) -> Iterator[None]:
    """Keep every other process and thread from changing `folder`: by the file `name` in it. Raises `failure`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failure(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_whole(path: Path, text: str, failure: type[NetGPTError], *, modified_ns: int | None = None) -> None:
    """Write a small file (0600): whole and on the disk, or not at all. Raises `failure`."""
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if modified_ns is not None:  # the clock of a file system is coarse: two changes must not look alike
            os.utime(part, ns=(modified_ns, modified_ns))
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise failure(f"{path}: cannot be written: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the total (None: unknown)."""

TRIES: Final = 4
"""Cuts in a row, without one new byte, after which it gives up."""
_LOOK_BYTES: Final = 1_000_000
_SLOW_S: Final = 1_800.0
"""A server that sends less than that many bytes in so many seconds is left alone."""
_RESERVE_BYTES: Final = 200_000_000
"""Stays free on the disk where the server does not say how much is to come."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class _Cut(Exception):
    """The connection ended or failed; going on makes sense."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    ca_file: str | None = None,
    pause_s: float = 0.5,
) -> Path:
    """Fetch `url` to `target` (0600). With a hash the file is checked, and a cut download goes on next time.

    `size`: the bytes that must come, no more are taken. `headers`: for the server of `url`; a redirect to another
    one loses what authorizes. `pause_s`: seconds before going on after a cut; doubles with each that brought nothing.

    Raises RequestError (address that is neither https nor loopback, wrong hash or size), ModelUnavailable (network,
    server, disk). Leaves nothing but the resumable part behind.
    """
    _check_address(url)
    part = target.with_name(f".{target.name}.{(sha256 or hashlib.sha256(url.encode()).hexdigest())[:12]}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sha256 is None:
            part.unlink(missing_ok=True)  # nothing proves that an old part belongs to today's file
        _check_room(part, (size or 0) - _size(part))
        with open_client(url, ca_file) as client:
            wanted = _Wanted(url, part, size, dict(headers or {}), progress or (lambda done, total: None))
            _fetch_all(client, wanted, pause_s, kept=sha256 is not None)
        if sha256 is not None:
            refuse_other(part, sha256, shown(url))
        move_into_place(part, target)
    except OSError as error:
        raise _disk_trouble(error, target) from None
    finally:
        if sha256 is None:
            part.unlink(missing_ok=True)
    return target


def shown(url: str) -> str:
    """A URL without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_address(url: str | httpx.URL, first: str = "") -> None:
    """`first`: the address that led here: a server elsewhere does not lead to what listens on this machine."""
    parts = urlsplit(str(url))
    here = parts.hostname in LOOPBACK
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise RequestError(f"{shown(str(url))}: weights are fetched over https only (http on loopback)")
    if here and first and urlsplit(first).hostname not in LOOPBACK:
        raise RequestError(f"{shown(first)}: leads back to this machine, which is refused")


def open_client(url: str, ca_file: str | None) -> httpx.Client:
    """For `url` and where it leads. Trusts the system's authorities ($SSL_CERT_FILE included), and `ca_file` as well
    when given."""
    import httpx

    context = ssl.create_default_context()
    if ca_file and Path(ca_file).is_file():
        context.load_verify_locations(cafile=ca_file)
    return httpx.Client(
        verify=context,
        follow_redirects=True,
        timeout=httpx.Timeout(60.0, connect=15.0),
        headers={"User-Agent": "netgpt", "Accept-Encoding": "identity"},
        event_hooks={"request": [lambda request: _check_address(request.url, url)]},
    )


@dataclass(frozen=True)
class _Wanted:
    """One download."""

    url: str
    part: Path
    size: int | None
    headers: dict[str, str] = field(repr=False)
    progress: Progress


def _fetch_all(client: httpx.Client, wanted: _Wanted, pause_s: float, *, kept: bool) -> None:
    """Fetch until it is whole, going on after each cut; `kept`: the part survives giving up."""
    cuts, part = 0, wanted.part
    while True:
        before = _size(part)
        try:
            return _fetch_some(client, wanted)
        except _Cut as cut:
            after = _size(part)
            cuts = 0 if after > before else cuts + 1
            if cuts >= TRIES:
                rest = f" {after} bytes are kept; the same command goes on from there." if after and kept else ""
                raise ModelUnavailable(f"{shown(wanted.url)}: {cut}.{rest}") from None
            time.sleep(pause_s * 2**cuts)


def _fetch_some(client: httpx.Client, wanted: _Wanted) -> None:
    """One request: from where the part ends, to the end. Raises _Cut when the end did not come."""
    import httpx

    url, part = wanted.url, wanted.part
    have = _size(part)
    more = {"Range": f"bytes={have}-"} if have else {}
    try:
        with client.stream("GET", url, headers=wanted.headers | more) as response:
            if response.status_code == 416:  # the part is whole already, or longer than the file: begin again
                if _total(response) == have:
                    return
                part.unlink()
                raise _Cut("the server has another file than before")
            _check_status(response, url)
            if response.status_code == 206 and not _begins_at(response, have):
                part.unlink(missing_ok=True)
                raise _Cut("the server sends another part than was asked for")
            have = have if response.status_code == 206 else 0
            total = _total(response)
            if wanted.size is not None:
                _check_size(response, url, total, wanted.size)
            total = total or wanted.size
            _check_room(part, (total or 0) - have)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ModelUnavailable(f"{shown(url)}: the server packs what it sends, unasked; try --from")
            _append(response.iter_raw(), wanted, have, total)
    except httpx.TimeoutException:
        raise _Cut("the server is silent; check the network and the proxy") from None
    except httpx.HTTPError as error:
        raise _Cut(f"the download was cut ({type(error).__name__}); check the network and the proxy") from None
    if total is not None and _size(part) < total:
        raise _Cut("the download was cut")


def _begins_at(response: httpx.Response, have: int) -> bool:
    return response.headers.get("content-range", "").startswith(f"bytes {have}-") and have > 0


def _check_size(response: httpx.Response, url: str, total: int | None, size: int) -> None:
    if response.headers.get("content-type", "").startswith("text/html"):
        raise RequestError(f"{shown(url)}: answers with a web page (a login, or a proxy?) and not the file; refused")
    if total not in (None, size):
        raise RequestError(f"{shown(url)}: wrong size: {total} bytes, expected {size}; refused")


def _append(chunks: Iterator[bytes], wanted: _Wanted, have: int, total: int | None) -> None:
    part, progress = wanted.part, wanted.progress
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.truncate(have)
        file.seek(have)
        progress(have, total)
        counted, since = have, time.monotonic()
        for chunk in chunks:
            file.write(chunk)
            have += len(chunk)
            progress(have, total)
            if wanted.size is not None and have > wanted.size:
                file.truncate(0)
                raise RequestError(f"{shown(wanted.url)}: wrong size: more than {wanted.size} bytes; refused")
            if have - counted >= _LOOK_BYTES:
                counted, since = have, time.monotonic()
                if total is None:
                    _check_room(part, _RESERVE_BYTES)
            elif time.monotonic() - since > _SLOW_S:
                raise ModelUnavailable(f"{part.parent}: {have} bytes are here; the server sends hardly any more")


def _check_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in (429, 500, 502, 503, 504):
        raise _Cut(f"the server answers {status}")
    cure = {401: "it wants a login", 403: "it is not allowed", 404: "there is no such file"}.get(status, "try --from")
    raise ModelUnavailable(f"{shown(url)}: the server answers {status}: {cure}")


def _total(response: httpx.Response) -> int | None:
    """The size of the whole file, in bytes, where the server says it."""
    whole = response.headers.get("content-range", "").rpartition("/")[2]
    if response.status_code in (206, 416):
        return int(whole) if whole.isdigit() else None
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise ModelUnavailable(f"{part.parent}: the disk is too full: {needed} bytes are needed, {free} are free.")


def _disk_trouble(error: OSError, target: Path) -> ModelUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelUnavailable(f"{target.parent}: the disk is full. Make room and run the same command again.")
    return ModelUnavailable(f"{target}: cannot be written: {error.strerror or type(error).__name__}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
