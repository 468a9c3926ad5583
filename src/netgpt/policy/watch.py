"""The policy in force while the box runs: read anew when its file changes, kept when the new text is wrong."""

from __future__ import annotations

import logging
from pathlib import Path

from netgpt.errors import SettingsError
from netgpt.policy.engine import READY_MADE, Policy

__all__ = ["InForce"]

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None


class InForce:
    """Holds the current policy. `look` is called from the box's housekeeping and on SIGHUP."""

    def __init__(self, name_or_path: str) -> None:
        """Raises SettingsError with file and line: a box does not start with rules that it cannot read."""
        self._name = name_or_path
        self._path = None if name_or_path in READY_MADE else Path(name_or_path).expanduser().absolute()
        self._stamp = self._stamp_now()
        self.current = Policy.load(name_or_path)
        self.fault: str | None = None
        """Why the file as it is now is not in force; None: it is."""

    def look(self) -> bool:
        """Read the file anew if it changed. True: new rules are in force. A wrong file is told in the log, once for
        each change, and the rules read before stay."""
        stamp = self._stamp_now()
        if self._path is None or stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            policy = Policy.load(self._name)
        except SettingsError as error:
            self.fault = error.message
            log.error("policy: %s\nThe rules read before stay in force.", error.message)
            return False
        self.fault = None
        changed = policy.digest != self.current.digest
        if changed:
            self.current = policy
            log.warning("policy: %s was read anew: %d rules, sha256 %s", self._path, len(policy.rules), policy.digest)
        return changed

    def _stamp_now(self) -> Stamp:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
