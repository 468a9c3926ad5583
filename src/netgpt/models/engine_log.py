"""The engine's log file: owner-only, and never larger than twice its limit."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

__all__ = ["EngineLog"]


class EngineLog:
    """Appends bytes to `path` (0600); at `max_bytes` the file becomes `path.1` and a new one begins.

    Keeps the last lines in memory, so that an error can say why the engine did not start. A log that cannot be
    written (full disk) is dropped and never stops the engine.
    """

    def __init__(self, path: Path, max_bytes: int = 1_000_000) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._last: deque[str] = deque(maxlen=40)
        self._cut_line = ""

    def write(self, data: bytes) -> None:
        """Append `data`."""
        *lines, self._cut_line = (self._cut_line + data.decode("utf-8", "replace")).split("\n")
        self._last.extend(line for line in lines if line.strip())
        self._cut_line = self._cut_line[:1000]
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(data) > self.max_bytes:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(data[-self.max_bytes :])
        except OSError:
            return

    def forget(self) -> None:
        """A new engine starts: what the last one said is no longer its reason."""
        self._last.clear()
        self._cut_line = ""

    def bad_adapter(self) -> str | None:
        """The file of the adapter that llama.cpp could not load since the start, when that was the fault."""
        found = (re.search(r"failed to load lora adapter '(.+)'", line) for line in self._last)
        return next((match[1] for match in found if match), None)

    def reason(self) -> str:
        """The first error that llama.cpp told since the start, in its words; empty when there is none."""
        for line in self._last:
            stamp, mark, words = line.partition(" E ")
            if mark and stamp[:1].isdigit():
                return words.split(": ", 1)[-1].strip()[:300]
        return ""
