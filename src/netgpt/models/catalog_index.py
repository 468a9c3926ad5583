"""The catalogue's index file: what was added, and what was optimized. Written whole, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netgpt.errors import ModelUnavailable

__all__ = ["CatalogIndex"]


class CatalogIndex:
    """A small JSON file (0600): `{"version": 1, "added": {name: facts}, "optimized": {sha256: facts}}`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """The content; empty when there is no file. Raises ModelUnavailable when it is damaged."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["version"] != 1:
                raise ModelUnavailable(f"{self.path}: written by a newer NetGPT; upgrade, or move the file away.")
            for facts in content["added"].values():
                if not {"path", "copied", "bytes", "sha256"} <= facts.keys():
                    raise KeyError("facts")
            content["optimized"].values()
        except FileNotFoundError:
            return {"version": 1, "added": {}, "optimized": {}}
        except OSError as error:
            raise ModelUnavailable(f"{self.path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelUnavailable(
                f"{self.path}: damaged. Delete it and add your files again with `netgpt models add FILE`."
            ) from None
        return dict(content)

    @contextlib.contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """Read, let the caller change, write: under a lock, and atomically. Raises ModelUnavailable."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise ModelUnavailable(f"{self.path.parent}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self.read()
            yield content
            self._write(content)
        finally:
            os.close(lock)

    def _write(self, content: dict[str, Any]) -> None:
        part = self.path.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ModelUnavailable(f"{self.path}: cannot be written: {error.strerror}") from None
