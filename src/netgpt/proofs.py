"""Small files of the home that decide what is loaded: held against what the box itself wrote last.

Who may write into the home without having the sealing key could promote a version, raise a canary's share or name
another file of weights. So the database knows what each such file must hold (`store.files`); a file that holds
anything else is refused, and named. Capabilities get what vouches handed over, as `FileProof`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from netgpt.errors import StoreError
from netgpt.files import open_own

log = logging.getLogger(__name__)

NO_FILE: Final = b"\0"
"""What `FileProof` knows of a file that is not there."""
_LOOKS: Final = 4
"""Another process may write between a look at the file and one at what it must hold."""


class FileProof(Protocol):
    """Vouches for files by their names. Both raise StoreError: nothing can vouch for anything now."""

    def known(self, name: str) -> tuple[bytes, ...] | None:
        """What the file may hold: several while it is written; none: it must be looked at; None: never asked of it."""

    def expect(self, name: str, *contents: bytes) -> None:
        """From now on it holds one of these. On the disk when this returns."""


class ProvenFile:
    """A file at `path`, called `name` where it is vouched for. Without a `proof` it is taken as it stands."""

    def __init__(self, path: Path, name: str, proof: FileProof | None, *, most: int, accept: str) -> None:
        """`most`: bytes that are read of it; `accept`: the command that takes it as it stands."""
        self.path, self.name, self._proof, self._most, self._accept = path, name, proof, most, accept

    def read(self) -> bytes:
        """What it holds, NO_FILE when there is none. Raises StoreError: somebody else wrote it; OSError."""
        for _ in range(_LOOKS):
            data, known = self.read_unproven(), self.known()
            if known is None or data in known:
                return data
        raise StoreError(
            f"{self.path}: was not written by this box as it stands: it was changed by hand, or put back from an "
            f"older copy. Nothing is loaded by it. `netgpt store check` names what differs; `{self._accept}` takes it "
            "as it is.",
            code="store_changed",
            status=503,
        )

    def read_unproven(self) -> bytes:
        """What it holds, whoever wrote it. Raises OSError."""
        try:
            with os.fdopen(open_own(self.path, os.O_RDONLY), "rb") as file:
                return file.read(self._most)
        except FileNotFoundError:
            return NO_FILE

    def known(self) -> tuple[bytes, ...] | None:
        """What it may hold; None: nobody vouches for it."""
        return None if self._proof is None else self._proof.known(self.name)

    def write(self, data: bytes, put: Callable[[], None]) -> None:
        """Let `put` write `data`. Before, both the old and the new content count: a kill may leave either."""
        if self._proof is None:
            return put()
        known = self._proof.known(self.name)
        self._proof.expect(self.name, *((self.read_unproven(),) if known is None else known), data)
        put()
        with suppress(StoreError):  # it is written; the older content counts as well until the next change
            self._proof.expect(self.name, data)

    def take_over(self, rewritten: Callable[[], bytes]) -> bool:
        """Where the database is older than proofs: what `rewritten` gives counts from now on, and the log says so.

        Call it under the file's lock. Returns whether it was done. A new database expects no file, and an older copy
        of it is told by the head noted outside: so this happens once.
        """
        if self._proof is None or self._proof.known(self.name) is not None:
            return False
        data = rewritten()
        self._proof.expect(self.name, data)
        if data != NO_FILE:
            log.warning("%s: taken over as it stands; from now on a change by hand is found", self.path)
        return True
