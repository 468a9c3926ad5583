"""`netgpt adapters`: every command on real files, and what it says when it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_adapters import adapter_file, base_file, card_for
from typer.testing import CliRunner

from netgpt.adapters.registry import Registry
from netgpt.adapters.storage import write_card
from netgpt.cli.adapters import app
from netgpt.models.download import file_sha256

runner = CliRunner()


@pytest.fixture(autouse=True)
def base(clean_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box whose edge model is a tiny file that the tiny adapters fit."""
    path = base_file(tmp_path / "tiny.gguf")
    monkeypatch.setenv("NETGPT_EDGE__MODEL", str(path))
    monkeypatch.setenv("COLUMNS", "200")
    return path


@pytest.fixture
def package(base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    weights = adapter_file(folder / "adapter.gguf")
    metrics: dict[str, Any] = {"gate": {"passed": True, "failing": []}, "held_out_loss": 1.25, "seed": 7}
    write_card(folder, card_for(weights, base_sha256=file_sha256(base), metrics=metrics, notes="\x1b[31mred"))
    return folder


def call(*arguments: str, code: int = 0) -> Any:
    result = runner.invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result


def shown(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def own() -> list[dict[str, Any]]:
    return [entry for entry in shown("list") if not entry["shipped"]]


def test_from_candidate_to_active_and_back(package: Path) -> None:
    assert "site@1: a candidate now" in call("add", str(package)).stderr
    assert "site@2" in call("add", str(package)).stderr, "it gets the next number"
    assert call("promote", "site@1").stderr.strip() == "site@1: active"
    assert "canary for 10% of the people" in call("promote", "site@2", "--canary").stderr
    assert "canary for 50% of the people" in call("promote", "site@2", "--share", "0.5").stderr
    assert [(entry["id"], entry["state"], entry["share"]) for entry in own()] == [
        ("site@1", "active", None), ("site@2", "canary", 0.5)
    ]  # fmt: skip
    assert "site@1 is active" in call("rollback", "site").stderr
    assert "no version of site is active" in call("rollback", "site").stderr
    assert "nothing to roll back" in call("rollback", "site", code=2).stderr


def test_the_table_shows_the_figures_and_no_terminal_codes(package: Path) -> None:
    call("add", str(package))
    call("pin", "site@1")
    table = call("list").stdout
    assert "site@1" in table and "candidate, pinned" in table and "passed; held_out_loss 1.25" in table
    details = call("show", "site").stdout
    assert "\x1b" not in details and "[31mred" in details and "held_out_loss" in details
    assert shown("show", "site@1")["card"]["metrics"]["held_out_loss"] == 1.25
    assert shown("list", "site")[0]["pinned"] is True and shown("list", "nothing") == []


def test_what_was_not_judged_needs_the_owners_word(base: Path, tmp_path: Path) -> None:
    weights = adapter_file(tmp_path / "bare.gguf")
    assert "give one with --name" in call("add", str(weights), code=2).stderr
    call("add", str(weights), "--name", "letters", "--licence", "MIT")
    assert "passed no evaluation yet" in call("promote", "letters@1", code=2).stderr
    assert own()[0]["state"] == "candidate" and own()[0]["card"]["licence"] == "MIT"
    call("promote", "letters@1", "--unjudged")
    assert own()[0]["state"] == "active"


def test_what_is_in_use_or_pinned_stays(package: Path) -> None:
    call("add", str(package))
    call("promote", "site@1")
    assert "rollback site" in call("remove", "site@1", code=2).stderr
    call("rollback", "site")
    call("pin", "site@1")
    assert "pin site@1 --off" in call("remove", "site@1", code=2).stderr
    call("pin", "site@1", "--off")
    call("remove", "site@1")
    assert own() == []


def test_refusals_name_what_and_where(package: Path, tmp_path: Path) -> None:
    (package / "adapter.gguf").write_bytes((package / "adapter.gguf").read_bytes()[:-50])
    assert "cut off" in call("add", str(package), code=2).stderr
    assert "no adapter here" in call("add", str(tmp_path), code=2).stderr
    assert "No adapter 'site@1'" in call("show", "site@1", code=2).stderr
    assert "No adapter '../x'" in call("remove", "../x", code=2).stderr
    other = tmp_path / "other"
    write_card(other, card_for(adapter_file(other / "adapter.gguf")))
    assert "made for other weights: tiny (ba5eba5eba5e...)" in call("add", str(other), code=2).stderr


def test_damage_is_reported_in_the_list(package: Path, clean_environment: Path) -> None:
    call("add", str(package))
    (clean_environment / "adapters/site/1/card.json").write_text("{}")
    assert "site@1 is damaged and never used" in call("list").stderr
    call("remove", "site@1")
    assert Registry(clean_environment / "adapters").damaged() == {}


def test_evaluating_needs_something_to_judge_by(package: Path) -> None:
    call("add", str(package))
    assert "give some with --examples" in call("evaluate", "site@1", code=2).stderr
    assert "cannot be read" in call("evaluate", "site@1", "--examples", "none.jsonl", code=2).stderr
