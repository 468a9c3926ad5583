"""The files of a database: private to their owner, known to be open or not, and with room to grow."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from netgpt.errors import StoreError
from netgpt.store.faults import told

__all__ = ["FreeDisk", "OpenMark", "make_private"]


def make_private(path: Path) -> None:
    """Make the folder (0700) and the file (0600) if they are missing, and close what stands open.

    SQLite gives `-wal` and `-shm` the mode of the file itself, so making the file first covers all three. An existing
    file is never opened here: closing any descriptor of it drops all locks that SQLite holds on it in this process
    (POSIX locks), and another process would then take the log away. Raises StoreError when nothing can be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            with suppress(FileNotFoundError):
                if name.stat().st_mode & 0o077:
                    name.chmod(0o600)
    except OSError as error:
        raise told(error, path) from None


class OpenMark:
    """A lock on `<database>-open`, held as long as the store is open; the kernel drops it when the process dies.

    Whoever gets it alone while a `-wal` with content lies there has found a database that nobody closed.
    """

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        try:
            self._descriptor = os.open(path.with_name(path.name + "-open"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise told(error, path) from None

    def take(self) -> bool:
        """Take the mark. True: nobody else has the database open, and it was not closed cleanly.

        In that case the mark is held alone, so that others wait, until `share` is called.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.share()
            return False
        return self._log.exists() and self._log.stat().st_size > 0

    def alone(self) -> bool:
        """Whether nobody else has the database open; then nobody opens it until this mark is released or shared."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def share(self) -> None:
        """Let others open the database too."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        os.close(self._descriptor)


class FreeDisk:
    """Refuses writes when the disk of `path` has less than `min_free_bytes` left. Looks at most once a second."""

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._path = path
        self._minimum = min_free_bytes
        self._looked = float("-inf")
        self._free = 0

    def check(self) -> None:
        """Raises StoreError (code `store_full`) when there is too little room."""
        if self._minimum <= 0:
            return
        now = time.monotonic()
        if now - self._looked >= 1.0:
            self._free, self._looked = shutil.disk_usage(self._path.parent).free, now
        if self._free < self._minimum:
            raise StoreError(
                f"{self._path}: {self._free:,} bytes are free on its disk, less than the {self._minimum:,} to be kept "
                "(store.min_free_bytes). Free some space, or keep exchanges for fewer days; writing goes on by itself.",
                code="store_full",
                retry_after=60.0,
            )
