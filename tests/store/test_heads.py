"""The head noted outside: an old copy of the whole database, right in itself, is told by what was noted meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from netgpt.app.heads import HeadNoter, head_faults
from netgpt.errors import StoreError
from netgpt.settings import Settings, load_settings
from netgpt.settings.sections import StoreSettings
from netgpt.store.chain import Head
from netgpt.store.heads import HeadNote, append_note, notes_in
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store, open_store
from netgpt.types import Person

ADA = Person("local", "ada")


@pytest.fixture
def box(tmp_path: Path) -> Settings:
    return load_settings(environment={"NETGPT_HOME": str(tmp_path / "home")})


async def work(settings: Settings, profile: str | None, receipts: int = 0) -> list[str]:
    """A box that starts, works, and stops; what its notes say at the start."""
    store = open_store(settings)
    faults = await head_faults(store, settings.head_file)
    noter = HeadNoter(settings, store)
    await noter.start()
    await store.set_profile(ADA, profile)
    for _ in range(receipts):
        await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None))
    await store.close()
    store = open_store(settings)
    await HeadNoter(settings, store).note()
    await store.close()
    return faults


def netgpt(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netgpt", *words]
    values = os.environ | {"NETGPT_HOME": str(settings.home)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=values, check=False)


@pytest.mark.parametrize("receipts", [0, 2])
async def test_an_old_copy_of_the_database_is_told(box: Settings, tmp_path: Path, receipts: int) -> None:
    """Also when nothing left the box meanwhile: a key that was revoked since would be one again."""
    assert await work(box, "select", 2) == []
    shutil.copy(box.database, tmp_path / "old.db")
    assert await work(box, "off", receipts) == []
    assert box.head_file is not None and stat.S_IMODE(box.head_file.stat().st_mode) == 0o600
    shutil.copy(tmp_path / "old.db", box.database)
    faults = await work(box, "rewrite", 5)
    assert "older copy" in faults[0] and any("receipt 4" in fault for fault in faults) == (receipts > 0), faults
    assert await work(box, None)  # and it stays told, whatever is written and noted afterwards
    for words in (("store", "check"), ("receipts", "verify")):
        done = netgpt(box, *words, "--json")
        assert done.returncode == 1 and "older copy" in json.dumps(json.loads(done.stdout)), done.stderr


async def test_a_note_is_written_as_it_is_read_and_a_changed_file_is_named(tmp_path: Path) -> None:
    note = HeadNote(datetime(2026, 11, 29, 12, 30, tzinfo=UTC), 12, Head(3, b"h" * 32))
    append_note(tmp_path / "heads", note)
    append_note(tmp_path / "heads", note)
    assert list(notes_in(tmp_path / "heads")) == [note, note]
    with (tmp_path / "heads").open("a") as file:
        file.write("something else\n")
    with pytest.raises(StoreError, match=r"heads:3: not a note"):
        list(notes_in(tmp_path / "heads"))
    (tmp_path / "link").symlink_to(tmp_path / "heads")
    with pytest.raises(StoreError, match="symbolic link"):
        append_note(tmp_path / "link", note)


class Auditor(BaseHTTPRequestHandler):
    told: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        Auditor.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def auditor() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Auditor)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/heads"
    server.shutdown()
    thread.join()


async def test_an_auditor_is_told_and_one_that_is_away_harms_nobody(
    auditor: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = load_settings(environment={"NETGPT_HOME": str(tmp_path / "home"), "NETGPT_STORE__HEAD": auditor})
    await work(box, "off", 2)
    assert box.head_file is None and Auditor.told[-1]["head"].startswith("2:") and Auditor.told[-1]["writes"] > 2
    assert set(Auditor.told[-1]) == {"time", "writes", "head"}
    gone = box.model_copy(update={"store": box.store.model_copy(update={"head": "http://127.0.0.1:9/"})})
    await asyncio.wait_for(work(gone, "off"), 60)
    assert "could not be noted" in caplog.text
    await work(box.model_copy(update={"store": box.store.model_copy(update={"head": "syslog:"})}), "off")


@pytest.mark.parametrize("head", ["ftp://x", "http://auditor.example/", "netgpt.head", "file:"])
def test_an_unknown_place_is_refused(head: str) -> None:
    with pytest.raises(ValidationError):
        StoreSettings(head=head)


async def test_a_store_without_notes_has_no_faults(box: Settings, tmp_path: Path) -> None:
    store: Store = open_store(box)
    assert await head_faults(store, None) == [] == await head_faults(store, tmp_path / "none")
    await store.close()
