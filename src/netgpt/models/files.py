"""Large files on the disk: their hash, and putting them in place in one step."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from netgpt.errors import RequestError

__all__ = ["file_sha256", "move_into_place", "refuse_other"]


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
