"""`/v1/logs`: the last lines of the box's log, by level, and those since a line that is known. It holds no texts, no
names and no keys: what may be written there is the same as on the console of `netgpt serve`."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Query, Request

from netgpt.errors import RequestError, StoreError
from netgpt.files import open_own, why_not
from netgpt.web.auth import authenticated

router = APIRouter()

MOST_BYTES: Final = 1_000_000
"""Of the end of the log, which are looked at in one request."""
LONGEST: Final = 4_000
"""Characters of one entry that are shown."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LINE: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([A-Z]+) ([\w.<>-]+): (.*)", re.DOTALL)
_ID: Final = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16})")
Level = Literal["debug", "info", "warning", "error"]


class LogEntry(NamedTuple):
    """One message, which may have several lines. `id`: of the file and the place after it, for what comes later."""

    id: str
    time: str
    level: str
    source: str
    message: str


@router.get("/v1/logs", tags=["health"])
async def get_logs(
    request: Request,
    level: Level = "info",
    after: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    q: Annotated[str, Query(max_length=200)] = "",
) -> dict[str, Any]:
    """The last `limit` messages of at least `level`, oldest first. `after`: those since the message with this `id`;
    `q`: those that have these words. `next` is the `after` of the next request; `skipped`: there were more."""
    gateway, _ = await authenticated(request)
    if after is not None and not _ID.fullmatch(after):
        raise RequestError("after: the `next` of an answer before", param="after")
    found, place, skipped = await asyncio.to_thread(_read, gateway.settings.log_file, after)
    least, words = LEVELS.index(level.upper()), q.lower().split()
    kept = [each for each in found if LEVELS.index(each.level) >= least and _has(each, words)]
    data = [each._asdict() for each in kept[-limit:]]
    return {
        "object": "netgpt.logs", "data": data, "next": place, "skipped": skipped or len(kept) > limit,
        "file": str(gateway.settings.log_file),
    }  # fmt: skip


def _has(entry: LogEntry, words: list[str]) -> bool:
    text = f"{entry.source} {entry.message}".lower()
    return all(word in text for word in words)


def _read(path: Path, after: str | None) -> tuple[list[LogEntry], str | None, bool]:
    """The messages since a place (at most those in the last `MOST_BYTES`), the place reached, whether some were passed
    over. Where the file was begun anew meanwhile, the rest of the one before comes first. Raises StoreError."""
    known = _ID.fullmatch(after or "")
    file, offset = (int(known[1], 16), int(known[2], 16)) if known else (0, 0)
    found: list[LogEntry] = []
    place, skipped = after, False
    for each in (path.with_name(f"{path.name}.1"), path):
        try:
            with os.fdopen(open_own(each, os.O_RDONLY), "rb") as log:
                state = os.fstat(log.fileno())
                is_old = each != path
                if known and is_old and state.st_ino != file:
                    continue  # all of it was read
                begin = offset if known and state.st_ino == file and offset <= state.st_size else 0
                skipped |= state.st_size - begin > MOST_BYTES
                begin = max(begin, state.st_size - MOST_BYTES)
                log.seek(begin)
                data = log.read(MOST_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{each}: cannot be read: {why_not(error)}") from None
        whole = data.rfind(b"\n") + 1  # a line that is just being written comes with the next request
        found += _entries(data[:whole], state.st_ino, begin, cut=begin > 0 and not (known and begin == offset))
        place = f"{state.st_ino:x}-{begin + whole:x}"
    return found, place, skipped


def _entries(data: bytes, file: int, begin: int, *, cut: bool) -> Iterator[LogEntry]:
    """The messages of these bytes. `cut`: they begin somewhere within a line."""
    entry, place = None, begin
    for number, raw in enumerate(data.splitlines(keepends=True)):
        place += len(raw)
        if cut and number == 0:
            continue
        line = _plain(raw.decode("utf-8", "replace").rstrip("\n"))
        if (match := _LINE.fullmatch(line)) and match[2] in LEVELS:
            if entry is not None:
                yield entry
            entry = LogEntry(f"{file:x}-{place:x}", match[1], match[2], match[3], match[4][:LONGEST])
        elif entry is not None:
            entry = entry._replace(id=f"{file:x}-{place:x}", message=f"{entry.message}\n{line}"[:LONGEST])
    if entry is not None:
        yield entry


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
