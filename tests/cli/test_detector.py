"""`netgpt detector show`: the card beside the weights."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from netgpt.cli import app


def test_the_card_shows_what_the_network_saw_and_how_good_it_is() -> None:
    message = CliRunner().invoke(app, ["detector", "show", "--json"])
    card = json.loads(message.stdout)
    assert message.exit_code == 0
    assert card["bytes"] < 7_000_000 and "pupa" in card["data"] and card["cross-validated"]
    shown = CliRunner().invoke(app, ["detector", "show"])
    assert shown.exit_code == 0 and "cross-validated" in shown.stdout


def test_weights_without_a_card_are_reported(tmp_path: Path) -> None:
    message = CliRunner().invoke(app, ["detector", "show", str(tmp_path / "none.safetensors")])
    assert message.exit_code != 0 and "none.safetensors" in message.output + message.stderr
