"""Noting the head of the database outside of it, from time to time: see `store/heads.py`."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import httpx

from netgpt.errors import StoreError
from netgpt.settings import Settings
from netgpt.store.heads import HeadNote, append_note, log_note
from netgpt.store.store import Store

log = logging.getLogger(__name__)

NOTED_EVERY_S = 60.0
_TIMEOUT_S = 10.0


class HeadNoter:
    """Notes where the database stands, when it changed. Belongs to one event loop."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._where, self._store = settings.store.head, store
        self._file = settings.head_file
        self._noted, self._at, self._begun = 0, float("-inf"), False
        self._next: HeadNote | None = None

    async def start(self) -> None:
        """Hold the database against the notes, and say what is wrong. The first note is made."""
        self._begun = True
        for fault in await head_faults(self._store, self._file):
            log.error("%s. `netgpt store check` shows more", fault)
        await self.note()

    async def note_in_time(self) -> None:
        """Every minute, note where the database stood a minute ago: that is on the disk, also after a power cut.

        Begins, where another process did so until now."""
        if not self._begun:
            await self.start()
        if time.monotonic() - self._at >= NOTED_EVERY_S:
            self._at = time.monotonic()
            here, self._next = self._next, await self._now()
            await self._note(here)

    async def note(self) -> None:
        """Note the head as it is."""
        self._at = time.monotonic()
        await self._note(await self._now())

    async def _now(self) -> HeadNote | None:
        try:
            return await self._store.heads.now() if self._where else None
        except StoreError as error:
            log.warning("the head of the database could not be read: %s", error.message)
            return None

    async def _note(self, here: HeadNote | None) -> None:
        """What fails is logged; the next time tries again."""
        try:
            if here is not None and here.writes != self._noted:
                await self._send(here)
                self._noted = here.writes
        except (StoreError, httpx.HTTPError) as error:
            what = error.message if isinstance(error, StoreError) else type(error).__name__
            log.warning("the head of the database could not be noted (store.head): %s", what)

    async def _send(self, here: HeadNote) -> None:
        if self._file is not None:
            await asyncio.to_thread(append_note, self._file, here)
        elif self._where == "syslog:":
            log_note(here)
        else:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                noted = {"time": here.time.isoformat(), "writes": here.writes, "head": str(here.head)}
                (await client.post(self._where, json=noted)).raise_for_status()


async def head_faults(store: Store, file: Path | None) -> list[str]:
    """What the file of notes knows and the database does not."""
    return [] if file is None else await store.heads.faults(file)
