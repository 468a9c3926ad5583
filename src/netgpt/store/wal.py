"""The write-ahead log of a database that nobody closed: whether what was committed can be read from all of it.

SQLite reads a log up to the first frame that does not fit its checksum, and forgets the rest without a word: that is
how a write which a crash had cut ends. A changed byte ends it in the same way, in the middle of what was committed. So
before SQLite looks: are there commits behind the frame that ends it? Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import shutil
import struct
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_HEADER: Final = 32
_FRAME: Final = 24
_BIG_ENDIAN: Final = 0x377F0683
_MAGIC: Final = (_BIG_ENDIAN, 0x377F0682)
_MOST_BYTES: Final = 256_000_000


def lost_commits(log: Path) -> int:
    """How many commits lie behind the first frame that is damaged. Reads the log alone, never the database."""
    if not log.is_file() or log.stat().st_size > _MOST_BYTES:
        return 0
    data = log.read_bytes()
    if len(data) < _HEADER or int.from_bytes(data[:4], "big") not in _MAGIC:
        return 0
    page, salts, order = int.from_bytes(data[8:12], "big"), data[16:24], "<" if data[3] == 0x82 else ">"
    if page < 512 or page > 65_536:
        return 0
    sums = _sums(data[:24], (0, 0), order)
    damaged = sums != struct.unpack(">2I", data[24:32])
    lost = 0
    for at in range(_HEADER, len(data) - _FRAME - page + 1, _FRAME + page):
        head = data[at : at + _FRAME]
        if head[8:16] != salts:  # of an older round
            break
        if not damaged:
            sums = _sums(head[:8] + data[at + _FRAME : at + _FRAME + page], sums, order)
            damaged = sums != struct.unpack(">2I", head[16:24])
            continue
        lost += head[4:8] != b"\0\0\0\0"  # the last frame of a commit tells the size of the database
    return lost


def _sums(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    words = array("I", data)
    if (order == ">") == (array("H", b"\0\1")[0] == 256):
        words.byteswap()
    one, two = sums
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def keep_aside(log: Path) -> Path:
    """A copy of a damaged log (0600), before SQLite drops it."""
    aside = log.with_name(f"{log.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out, log.open("rb") as source:
        shutil.copyfileobj(source, out)
    return aside
