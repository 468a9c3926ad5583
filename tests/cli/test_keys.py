"""`netgpt keys`: the secret is shown once, kept nowhere, and taken out of force at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netgpt.cli.common import run, with_store
from netgpt.cli.keys import app
from netgpt.store.encryption import Sealer
from netgpt.store.keys import hash_key
from netgpt.store.schema import ExchangeRecord, KeyRow
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


def test_a_lost_key_file_is_reported(clean_environment: Path) -> None:
    call("create")
    (clean_environment / "secret.key").unlink()
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 1
    assert "secret.key" in result.stderr.replace("\n", "")


def test_the_home_is_private(clean_environment: Path) -> None:
    call("create")
    assert clean_environment.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in clean_environment.iterdir()} == {0o600}


def test_limits_are_set_shown_changed_and_taken_away() -> None:
    made = json.loads(
        call("create", "--requests-per-minute", "9", "--cost-per-day", "1.5", "--tokens-per-day", "0", "--json").stdout
    )
    assert made["limits"] == {
        "requests_per_minute": 9, "tokens_per_minute": None, "tokens_per_day": None, "cost_per_day": 1.5,
        "cost_per_month": None,
    }  # fmt: skip
    changed = json.loads(call("limits", made["id"], "--tokens-per-day", "5000", "--cost-per-day", "0", "--json").stdout)
    assert changed["limits"] == {**made["limits"], "tokens_per_day": 5000, "cost_per_day": None}
    assert changed["used"] == {"requests_today": 0, "tokens_today": 0, "cost_today": 0, "cost_this_month": 0}
    shown = call("limits", made["id"])
    assert "tokens_per_day" in shown.stdout and "5000" in shown.stdout and "scopes: all" in shown.stdout
    assert json.loads(call("limits", made["id"], "--json").stdout) == changed, "showing changes nothing"
    (listed,) = json.loads(call("list", "--json").stdout)
    assert listed["limits"] == changed["limits"]


def test_what_a_key_used_is_shown() -> None:
    made = json.loads(call("create", "--tokens-per-day", "100", "--json").stdout)
    now = datetime.now(UTC)
    row = ExchangeRecord(
        id="ex_1", tenant="local", user="ada", key_id=made["id"], received=now, status="complete", model="netgpt",
        route="edge", reason="", prompt_tokens=30, completion_tokens=12, estimated=False, cost=0.5, timings={},
    )  # fmt: skip
    with_store(lambda store: store.save_exchange(row))
    message = json.loads(call("limits", made["id"], "--json").stdout)["used"]
    assert message == {"requests_today": 1, "tokens_today": 42, "cost_today": 0.5, "cost_this_month": 0.5}
    assert "42" in call("limits", made["id"]).stdout


def test_scopes_are_given_changed_and_lifted() -> None:
    made = json.loads(call("create", "--scope", "models", "--scope", "chat", "--json").stdout)
    assert made["scopes"] == ["chat", "models"], "in their usual order"
    assert "chat, models" in call("limits", made["id"]).stdout
    message = json.loads(call("limits", made["id"], "--scope", "receipts", "--json").stdout)
    assert message["scopes"] == ["receipts"] and message["limits"] == made["limits"]
    assert json.loads(call("limits", made["id"], "--requests-per-minute", "3", "--json").stdout)["scopes"] == [
        "receipts"
    ]
    assert json.loads(call("limits", made["id"], "--scope", "all", "--json").stdout)["scopes"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "--scope", "chatt"],
        ["create", "--tokens-per-day", "-1"],
        ["create", "--user", " "],
        ["limits", "key_none"],
        ["limits", "key_none", "--tokens-per-day", "5"],
        ["limits", "key_none", "--scope", "chatt"],
    ],
)
def test_wrong_limits_and_scopes_are_reported(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert json.loads(call("list", "--json").stdout) == []
