"""The registry's index file: which versions there are, and where each stands. Written whole, by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netgpt.adapters.card import State
from netgpt.errors import StoreError

__all__ = ["AdapterIndex", "Index", "NameRecord", "VersionRecord", "sync_folder", "write_whole"]


class VersionRecord(BaseModel):
    """Where one version stands. What it is, its card says."""

    model_config = ConfigDict(extra="forbid")

    state: State
    sha256: str
    """Of the weights, as they were when they were registered."""
    shipped: bool = False
    pinned: bool = False
    share: float | None = None
    """The part of the people that a canary answers."""
    why: str = ""
    """Why it was rejected."""
    changed: datetime = Field(default_factory=lambda: datetime.now(UTC))


class NameRecord(BaseModel):
    """One name: its versions, and the ones that were active before, oldest first (0: none was)."""

    model_config = ConfigDict(extra="forbid")

    last: int = 0
    """The highest version there ever was: numbers are never given twice."""
    versions: dict[int, VersionRecord] = Field(default_factory=dict)
    history: list[int] = Field(default_factory=list)

    def holder(self, state: State) -> int | None:
        """The version in a state that one version holds at most."""
        return next((number for number, record in self.versions.items() if record.state is state), None)


class Index(BaseModel):
    """All of `index.json`."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    floor: int = 0
    """The highest version among names that were forgotten with their person: whoever comes back starts above it."""
    leftovers: list[str] = Field(default_factory=list)
    """Folders in the making or on their way out: deleted by the next change unless they are listed below."""
    names: dict[str, NameRecord] = Field(default_factory=dict)

    def count(self) -> int:
        return sum(len(name.versions) for name in self.names.values())


class AdapterIndex:
    """`index.json` (0600) in `folder`, and the lock beside it."""

    def __init__(self, folder: Path, complete: Callable[[Index], Index] = lambda index: index) -> None:
        self.folder, self.path = folder, folder / "index.json"
        self._complete = complete
        """Adds what the file does not know: the adapters that came with the package."""
        self._seen: tuple[int, Index] | None = None

    def generation(self) -> int:
        """A number that rises with every change (0: nothing was ever written). Costs one `stat`."""
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from None

    def read(self) -> Index:
        """The content, for looking only; read anew when it changed. Raises StoreError when it is damaged."""
        generation, seen = self.generation(), self._seen
        if seen is None or seen[0] != generation:
            seen = self._seen = (generation, self.load())
        return seen[1]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process and thread from changing the folder. Raises StoreError: cannot be written."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def write(self, index: Index) -> None:
        """Put `index` in place in one step. Only under the lock."""
        after = max(time.time_ns(), self.generation() + 1000)
        write_whole(self.path, index.model_dump_json(indent=1), modified_ns=after)

    def load(self) -> Index:
        """The content, for changing. Only under the lock. Raises StoreError when it is damaged."""
        try:
            return self._complete(Index.model_validate_json(self.path.read_bytes()))
        except FileNotFoundError:
            return self._complete(Index())
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ValidationError:
            raise StoreError(
                f"{self.path}: damaged, or written by a newer NetGPT. Move it away and add your adapters again "
                f"with `netgpt adapters add FOLDER`; their files are in {self.folder}."
            ) from None


def write_whole(path: Path, text: str, *, modified_ns: int | None = None) -> None:
    """Write a small file (0600): whole and on the disk, or not at all. Raises StoreError."""
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
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
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
