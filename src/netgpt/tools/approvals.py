"""The words of tools that the owner approved, by fingerprint: a file of the home that the store vouches for.

What a server says of its tools is read by a model as if it were an instruction. A tool is offered only while its words
are those that the owner saw; when they change later (a "rug pull") it is held back, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from netgpt.errors import StoreError
from netgpt.models.download import locked, write_whole
from netgpt.proofs import NO_FILE, FileProof, ProvenFile
from netgpt.tools import ToolOffer

FILE: Final = "tools.json"
_MOST_BYTES: Final = 4_000_000


class Approvals:
    """Which words of which tools count."""

    def __init__(self, home: Path, proof: FileProof | None) -> None:
        self._path = home / FILE
        self._file = ProvenFile(self._path, FILE, proof, most=_MOST_BYTES, accept="netgpt tools approve NAME")
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, dict[str, str]] = {}

    def held_because(self, offer: ToolOffer) -> str:
        """Why a tool is not offered; empty: its words are as approved."""
        if offer.fault:
            return offer.fault
        approved = self._read().get(offer.server, {}).get(offer.tool)
        if approved == offer.digest:
            return ""
        if approved is None:
            return f"its words were not approved yet: netgpt tools approve {offer.server}"
        return (
            "what its server says of it has CHANGED since it was approved; it is held back until you have read it "
            f"again: netgpt tools list, then netgpt tools approve {offer.server}"
        )

    def approve(self, server: str, offers: Sequence[ToolOffer]) -> None:
        """From now on these words of a server count, and no others. Raises StoreError."""
        with locked(self._path.parent, "tools.lock", StoreError):
            try:
                known = self._parsed(self._file.read())
            except (OSError, StoreError):
                known = {}  # what somebody else wrote approves nothing
            known[server] = {each.tool: each.digest for each in offers if not each.fault}
            text = json.dumps(known, indent=1)
            self._file.write(text.encode(), lambda: write_whole(self._path, text, StoreError))

    def _read(self) -> dict[str, dict[str, str]]:
        """As the file is now; what cannot be read, or somebody else wrote, approves nothing."""
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_ino
            if stamp != self._stamp:
                self._known, self._stamp = self._parsed(self._file.read()), stamp
        except (OSError, StoreError):
            self._known, self._stamp = {}, None
        return self._known

    @staticmethod
    def _parsed(data: bytes) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(data) if data != NO_FILE else {}
        except ValueError:
            found = {}
        rows = found.items() if isinstance(found, dict) else ()
        return {name: tools for name, tools in rows if isinstance(tools, dict)}
