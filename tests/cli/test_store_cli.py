"""`netgpt store` as people type it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netgpt.cli import app
from netgpt.store.encryption import Sealer, encoded_key, fresh_key
from netgpt.store.store import Store
from netgpt.types import Fact, Person

RUNNER = CliRunner()


def netgpt(*args: str, code: int = 0, stdin: str | None = None) -> str:
    done = RUNNER.invoke(app, ["store", *args], input=stdin)
    assert done.exit_code == code, done.output
    return done.output


def as_json(*args: str, code: int = 0) -> Any:
    done = RUNNER.invoke(app, ["store", *args, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def home(clean_environment: Path) -> Path:
    """A home with one fact in it."""

    async def plant() -> None:
        store = Store.open(clean_environment / "netgpt.db", Sealer.from_file(clean_environment / "secret.key"))
        await store.add_fact(Person("local", "ada"), Fact("has a planted secret", "note"))
        await store.close()

    asyncio.run(plant())
    return clean_environment


def test_rotate_check_and_info(home: Path) -> None:
    before = as_json("info")
    assert before["key"]["kind"] == "file" and before["key"]["source"] == str(home / "secret.key")
    assert {table["name"]: table["rows"] for table in before["tables"]}["facts"] == 1
    done = as_json("rotate")
    assert done["sealed"] == 1 and done["old_keys_removed"] and done["damaged"] == []
    after = as_json("info")
    assert after["key"]["ids"] == [done["key"]] != before["key"]["ids"]
    assert {table["name"]: table["sealed_by"] for table in after["tables"]}["facts"] == {done["key"]: 1}
    assert as_json("check")["faults"] == []
    assert "every sealed value opens" in netgpt("check") and "facts" in netgpt("info")
    assert "1 values are sealed with the key" in netgpt("rotate")


def test_a_changed_row_is_named(home: Path) -> None:
    with sqlite3.connect(home / "netgpt.db") as connection:
        connection.execute("UPDATE facts SET tenant = 'other'")
    connection.close()
    found = as_json("check", code=1)
    assert [fault["table"] for fault in found["faults"]] == ["facts"]
    message = netgpt("check", code=1)
    assert found["faults"][0]["id"] in message and "planted" not in message
    assert "The old key is kept" in netgpt("rotate", code=1)
    assert as_json("rotate", "--drop-damaged")["dropped"] == 1
    assert as_json("check")["faults"] == []


def test_a_lost_key(home: Path) -> None:
    (home / "secret.key").unlink()
    message = netgpt("info", code=1)
    assert "key of the sealed database is missing" in message and "netgpt store reset-sealed" in " ".join(
        message.split()
    )
    assert netgpt("reset-sealed", code=1, stdin="n\n") and not list(home.glob("*.lost-*"))
    done = as_json("reset-sealed", "--yes")
    assert done["left"]["facts"] == 1 and Path(done["aside"][0]).exists()
    assert {table["name"]: table["rows"] for table in as_json("info")["tables"]}["facts"] == 0


def test_a_wrong_key_file_is_moved_aside_as_well(home: Path) -> None:
    right = (home / "secret.key").read_bytes()
    (home / "secret.key").write_text(encoded_key(fresh_key()))
    assert "sealed with another key" in netgpt("info", code=1)
    done = as_json("reset-sealed", "--yes")
    assert len(done["aside"]) == 2 and Path(done["aside"][1]).read_bytes() != right
    assert as_json("check")["faults"] == []


def test_the_key_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = (home / "secret.key").read_text().strip()
    new = netgpt("new-key").strip()
    monkeypatch.setenv("NETGPT_STORE__KEY", old)
    assert as_json("info")["key"]["kind"] == "environment"
    assert "holds one key" in netgpt("rotate", code=2)
    monkeypatch.setenv("NETGPT_STORE__KEY", f"{new} {old}")
    assert "take the old key out" in netgpt("rotate")
    monkeypatch.setenv("NETGPT_STORE__KEY", new)
    assert as_json("check")["faults"] == []
    monkeypatch.setenv("NETGPT_STORE__KEY", old)
    message = netgpt("check", code=1)
    assert "sealed with another key" in message and old not in message


def test_a_backup(home: Path, tmp_path: Path) -> None:
    done = as_json("backup", str(tmp_path / "copy.db"))
    assert Path(done["file"]).stat().st_size == done["bytes"]
    assert "exists already" in netgpt("backup", str(tmp_path / "copy.db"), code=2)
