"""The files of the registry: checked when they come in, put in place in one step, deleted for good."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import ValidationError

from netgpt.adapters.card import Card
from netgpt.errors import NotFound, PayloadTooLarge, RequestError, StoreError
from netgpt.files import open_regular
from netgpt.models.download import sync_folder, write_whole

WEIGHTS: Final = "adapter.gguf"
CARD: Final = "card.json"
MAX_CARD_BYTES: Final = 256_000
STAGING, GOING = ".new-", ".gone-"
CHUNK: Final = 1 << 20


def read_card(path: Path) -> Card:
    """Read a `card.json`. Raises NotFound, PayloadTooLarge, RequestError that names what is wrong (never a value)."""
    return read_card_hashed(path)[0]


def read_card_hashed(path: Path) -> tuple[Card, str]:
    """The card, and the SHA-256 of its file. Raises as `read_card` does."""
    with _open_plain(path) as file:
        data = file.read(MAX_CARD_BYTES + 1)
    if len(data) > MAX_CARD_BYTES:
        raise PayloadTooLarge(f"{path}: a card may have {MAX_CARD_BYTES:,} bytes at most")
    try:
        return Card.model_validate_json(data), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        named = ((".".join(str(part)[:40] for part in each["loc"]) or "file", each["msg"]) for each in faults[:3])
        what = "; ".join(f"{place}: {message[:120]}" for place, message in named)
        raise RequestError(f"{path}: not a card of an adapter: {what}") from None


def card_text(card: Card) -> tuple[str, str]:
    """What `write_card` writes, and its SHA-256. Raises PayloadTooLarge."""
    text = card.model_dump_json(indent=1)
    if len(text.encode()) > MAX_CARD_BYTES:
        most = f"{MAX_CARD_BYTES:,} bytes"
        raise PayloadTooLarge(f"the card of {card.id} has more than {most}; keep recipe and metrics short")
    return text, hashlib.sha256(text.encode()).hexdigest()


def write_card(folder: Path, card: Card) -> str:
    """Write `card.json` into `folder`, whole or not at all; returns its SHA-256. Raises PayloadTooLarge, StoreError."""
    text, sha256 = card_text(card)
    write_whole(folder / CARD, text, StoreError)
    return sha256


def copy_plain(source: Path, target: Path, max_bytes: int) -> str:
    """Copy a regular file of at most `max_bytes` to the disk (0600); returns its SHA-256.

    Raises NotFound, PayloadTooLarge, RequestError (a link, a folder, a device), StoreError (cannot be written).
    """
    digest, left = hashlib.sha256(), max_bytes
    with _open_plain(source) as file:
        try:
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                while data := file.read(CHUNK):
                    left -= len(data)
                    if left < 0:
                        raise PayloadTooLarge(f"{source}: too large; an adapter may have {max_bytes:,} bytes at most")
                    digest.update(data)
                    copy.write(data)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError as error:
            raise StoreError(f"{target}: cannot be written: {error.strerror}") from None
    return digest.hexdigest()


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new folder (0700) within `folder` to make an adapter in; what is still there at the end is deleted."""
    stage = folder / f"{STAGING}{secrets.token_hex(8)}"
    try:
        stage.mkdir(mode=0o700)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def put_in_place(stage: Path, target: Path) -> None:
    """Make a finished folder visible in one step. What lay there, unlisted, is deleted. Raises StoreError."""
    try:
        delete(target)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(stage)
        stage.rename(target)
        sync_folder(target.parent)
        sync_folder(target.parent.parent)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from None


def delete(folder: Path) -> None:
    """Delete a version's folder: out of sight first, then its files; never through a link. Raises StoreError."""
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            going = folder.parent.parent / f"{GOING}{secrets.token_hex(8)}"
            folder.rename(going)
            shutil.rmtree(going)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be deleted: {error.strerror}") from None
    with contextlib.suppress(OSError):  # the name's folder goes with its last version
        folder.parent.rmdir()


def sweep(folder: Path) -> None:
    """Delete what killed processes left half done. Only under the lock: then nobody is at work."""
    for path in [*folder.glob(f"{STAGING}*"), *folder.glob(f"{GOING}*")]:
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)


def plain_size(path: Path) -> int:
    """The bytes of a regular file. Raises NotFound, RequestError (a link, a folder, a device, a pipe)."""
    with _open_plain(path) as file:
        return os.fstat(file.fileno()).st_size


def file_mark(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written or replaced; None: there is no such regular file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def read_whole(path: Path, max_bytes: int) -> bytes:
    """A regular file, also behind a link, as caches of downloads have them. Raises as `copy_plain` does."""
    with _open_plain(path, follow=True) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise PayloadTooLarge(f"{path}: larger than the {max_bytes:,} bytes that it may have")
    return data


def _open_plain(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a regular file: no link, no folder, no device (opening a pipe would wait for ever)."""
    try:
        return open_regular(path, follow=follow)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise RequestError(f"{path}: not a regular file: {error.strerror}") from None
        is_link = path.is_symlink() and not follow
        link = ": it is a symbolic link; name the file itself" if is_link else f": {error.strerror}"
        raise RequestError(f"{path}: cannot be read{link}") from None
    except ValueError:  # a null character in the name
        raise RequestError(f"{str(path)!r}: no name of a file") from None
