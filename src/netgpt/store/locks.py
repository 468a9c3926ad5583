"""One process at a time: locks by name between the processes that have one database open.

A lock is the kernel's, on a file in the home, so it goes with a process that dies. Names share 256 files: two
that meet wait for one another without need, for the milliseconds in which a text is hidden.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from netgpt.errors import StoreError
from netgpt.files import open_own, why_not

_LOOK_EVERY_S: Final = 0.004
_LONGEST_S: Final = 120.0
"""Nobody waits longer: hiding a text ends sooner, or not at all."""


class FileLocks:
    """Locks on one machine; a database server has advisory locks in their place."""

    def __init__(self, folder: Path) -> None:
        """`folder`: made (0700) if it is not there. Raises StoreError."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be used: {why_not(error)}") from None

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Not twice within one task: names share files. Raises StoreError (`store_locked`) where it takes too long."""
        path = self._folder / blake2b(name.encode("utf-8", "surrogatepass"), digest_size=1).hexdigest()
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(f"{path}: cannot be used: {why_not(error)}") from None
        try:
            until = time.monotonic() + _LONGEST_S
            while not _taken(descriptor):
                if time.monotonic() > until:
                    message = f"{path}: another process has held this lock for {_LONGEST_S:g} s; try again later."
                    raise StoreError(message, code="store_locked", retry_after=5.0)
                await asyncio.sleep(_LOOK_EVERY_S)
            yield
        finally:
            os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
