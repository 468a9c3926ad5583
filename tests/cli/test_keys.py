"""`netgpt keys`: the secret is shown once, kept nowhere, and taken out of force at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netgpt.cli.common import run
from netgpt.cli.keys import app
from netgpt.store.keys import hash_key
from netgpt.store.rows import KeyRow
from netgpt.store.seal import Sealer
from netgpt.store.store import Store

runner = CliRunner()


def call(*arguments: str) -> Any:
    result = runner.invoke(app, [*arguments])
    assert result.exit_code == 0, result.output
    return result


def kept(home: Path, secret: str) -> KeyRow | None:
    async def look() -> KeyRow | None:
        store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key", create=False))
        try:
            return await store.key_by_hash(hash_key(secret))
        finally:
            await store.close()

    return run(look())


def test_create_prints_the_secret_alone_on_stdout(clean_environment: Path) -> None:
    result = call("create", "--name", "laptop")
    secret = result.stdout.strip()
    assert secret.startswith("ngpt_") and "\n" not in secret
    assert "not shown again" in result.stderr
    row = kept(clean_environment, secret)
    assert row is not None and (row.name, row.role, row.tenant, row.user) == ("laptop", "user", "local", None)
    assert secret.encode() not in b"".join(path.read_bytes() for path in clean_environment.iterdir())


def test_every_option_is_kept() -> None:
    made = json.loads(
        call(
            "create", "--role", "admin", "--tenant", "acme", "--user", "ada", "--expires-days", "2", "--json"
        ).stdout
    )  # fmt: skip
    (listed,) = json.loads(call("list", "--json").stdout)
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert (listed["role"], listed["tenant"], listed["user"], listed["state"]) == ("admin", "acme", "ada", "in force")
    assert listed["expires"] is not None and "hash" not in listed


def test_a_revoked_key_stays_in_the_list() -> None:
    made = json.loads(call("create", "--json").stdout)
    call("revoke", made["id"])
    (listed,) = json.loads(call("list", "--json").stdout)
    assert listed["state"] == "revoked" and listed["revoked"]
    table = call("list").stdout
    assert made["secret"] not in table
    again = runner.invoke(app, ["revoke", made["id"]])
    assert again.exit_code == 2 and "netgpt keys list" in again.stderr


def test_an_empty_list_says_so() -> None:
    assert call("list").stdout.strip() == "(none)"
    assert json.loads(call("list", "--json").stdout) == []


@pytest.mark.parametrize("arguments", [["--role", "king"], ["--expires-days", "-1"], ["--expires-days", "0"]])
def test_wrong_options_make_no_key(arguments: list[str]) -> None:
    assert runner.invoke(app, ["create", *arguments]).exit_code == 2
    assert json.loads(call("list", "--json").stdout) == []


def test_a_lost_key_file_is_told(clean_environment: Path) -> None:
    call("create")
    (clean_environment / "secret.key").unlink()
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 1
    assert "secret.key" in result.stderr.replace("\n", "")


def test_the_home_is_private(clean_environment: Path) -> None:
    call("create")
    assert clean_environment.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in clean_environment.iterdir()} == {0o600}
