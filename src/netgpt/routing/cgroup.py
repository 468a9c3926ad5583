"""The limits of the container that the box may run in (Linux control groups, version 2).

Source: Documentation/admin-guide/cgroup-v2.rst of the Linux kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Confines"]


@dataclass(frozen=True, slots=True)
class Confines:
    """Own group and those above it, as far as they can be seen; `folder` None: no group of version 2."""

    folder: Path | None
    top: Path

    @classmethod
    def find(cls, proc: Path, mounted: Path) -> Confines:
        """`proc`: usually /proc; `mounted`: usually /sys/fs/cgroup (or its `unified` beside version 1)."""
        top = mounted if (mounted / "cgroup.controllers").exists() else mounted / "unified"
        try:
            lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return cls(None, top)
        path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
        if path is None or not (top / "cgroup.controllers").exists():
            return cls(None, top)
        folder = top / path.strip("/")
        return cls(folder if folder.is_dir() and ".." not in folder.parts else top, top)

    def _upwards(self) -> list[Path]:
        """Own group first. A limit of any of them binds."""
        if self.folder is None:
            return []
        return [self.folder, *(each for each in self.folder.parents if each.is_relative_to(self.top))]

    def cores(self) -> float | None:
        """How many cores may be used (`cpu.max`); None: all."""
        shares = []
        for group in self._upwards():
            words = _read(group / "cpu.max").split()
            if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
                shares.append(int(words[0]) / int(words[1]))
        return min(shares) if shares else None

    def cpu_s(self) -> float | None:
        """Seconds of cores used so far by the group; None: not told."""
        microseconds = _fields(self.folder / "cpu.stat").get("usage_usec") if self.folder else None
        return microseconds / 1e6 if microseconds is not None else None

    def memory(self, machine_bytes: int) -> float | None:
        """The share in use of the tightest limit below the machine's memory; None: there is none.

        Pages of files that can be dropped at once do not count as used.
        """
        shares = []
        for group in self._upwards():
            limit, used = _read(group / "memory.max"), _read(group / "memory.current")
            if limit.isdigit() and used.isdigit() and 0 < int(limit) < machine_bytes:
                idle = _fields(group / "memory.stat").get("inactive_file", 0)
                shares.append(min(1.0, max(0, int(used) - idle) / int(limit)))
        return max(shares) if shares else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _fields(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(file).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
