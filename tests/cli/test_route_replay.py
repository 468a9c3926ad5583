"""`netgpt route replay` over a file and over the box's own records."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from netgpt.cli.route import replay

runner = CliRunner()


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(replay)
    return app


def line(rng: random.Random) -> dict[str, Any]:
    tried = rng.random() < 0.3
    target = "cloud" if tried else "edge"
    targets = [
        {"arm": "edge", "route": "edge", "p_ok": 0.6, "latency_s": 1.0, "cost": 0.0, "energy_j": 5.0, "exposure": 0.0},
        {"arm": "cloud", "route": "cloud", "p_ok": 0.9, "latency_s": 1.0, "cost": 1e-4, "energy_j": 0, "exposure": 0.1},
    ]
    return {
        "arm": target,
        "propensity": 0.3 if tried else 0.7,
        "expected": [{**one, "value": 0.0, "open": True, "prior": None} for one in targets],
        "parts": {"rating": 1 if rng.random() < 0.7 else -1},
    }


def test_a_file_is_replayed_beside_fixed_targets(tmp_path: Path, command: typer.Typer) -> None:
    path = tmp_path / "decisions.jsonl"
    rng = random.Random(1)
    path.write_text("\n".join(json.dumps(line(rng)) for _ in range(400)) + "\n")
    message = json.loads(runner.invoke(command, ["--jsonl", str(path), "--prefer", "quality", "--json"]).stdout)
    assert (message["records"], message["rated"], message["explored"]) == (400, 400, 400)
    ways = {row["policy"]: row for row in message["policies"]}
    assert set(ways) == {"as recorded", "quality", "always edge", "always cloud"}
    assert ways["quality"]["cloud_share"] == 1.0 and ways["quality"]["can_tell"]
    assert ways["quality"]["quality"]["dr"]["low"] < 0.7 < ways["quality"]["quality"]["dr"]["high"]
    bounded = runner.invoke(
        command, ["--jsonl", str(path), "--prefer", "quality", "--max-cloud-share", "0.2"], env={"COLUMNS": "120"}
    )
    assert bounded.exit_code == 0 and "<= 20%" in bounded.stdout.replace("\n", " ")


def test_an_empty_box_has_nothing_to_replay(command: typer.Typer) -> None:
    shown = runner.invoke(command, [])
    assert shown.exit_code == 0 and "(none)" in shown.stdout
    message = json.loads(runner.invoke(command, ["--json"]).stdout)
    assert message["records"] == 0 and not message["policies"][0]["can_tell"]


@pytest.mark.parametrize("content", ["no json", "{}", '{"arm": "edge", "propensity": 2, "expected": []}', "[1]"])
def test_a_bad_line_is_named(tmp_path: Path, command: typer.Typer, content: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f"\n{content}\n")
    message = runner.invoke(command, ["--jsonl", str(path)])
    assert message.exit_code == 2 and "bad.jsonl:2" in message.stderr.replace("\n", "")


def test_what_is_wrong_on_the_line_is_reported(tmp_path: Path, command: typer.Typer) -> None:
    assert runner.invoke(command, ["--prefer", "best"]).exit_code == 2
    assert runner.invoke(command, ["--jsonl", str(tmp_path / "none.jsonl")]).exit_code == 2
