"""The learner's benchmark: worlds, the play through the product's learner, the picture, the command."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from netgpt_bench.cli import learner
from netgpt_bench.learner import LIAR, Crowd, made_up, nine_models, play, realised, shifted, svg
from typer.testing import CliRunner

from netgpt.errors import NotFound, RequestError
from netgpt.routing.scoring import PRESETS

CHEAP = PRESETS["cheap"]


def test_the_shifts_hit_what_they_say() -> None:
    base = made_up(1, 400)
    world = shifted(base, 1_000, 1, realised(base, CHEAP))
    (price, what), (quality, _) = world.shifts
    assert (price, quality) == (400, 700) and "costs 10 times" in what
    assert np.array_equal(world.paid[:price], world.cost[:price])
    assert (world.paid[price:] != world.cost[price:]).any(axis=0).sum() == 1


def test_the_same_seed_plays_the_same_and_another_does_not() -> None:
    base = made_up(1, 300)
    world = shifted(base, 300, 1, realised(base, CHEAP))
    one, again, other = (play(world, seed, Crowd(), CHEAP) for seed in (1, 1, 2))
    assert one.chosen == again.chosen and one.learner.state() == again.learner.state()
    assert one.chosen != other.chosen


def test_the_liar_asks_every_second_time() -> None:
    played = play(made_up(1, 300), 1, Crowd(lies_from=100), CHEAP)
    assert played.keys[:100].count(LIAR) == 0 and played.keys[100:].count(LIAR) == 100


def test_a_missing_or_broken_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="--made-up"):
        nine_models(tmp_path)
    (tmp_path / "routing").mkdir()
    (tmp_path / "routing" / "llmrouter9_models.json").write_text("no json")
    with pytest.raises(RequestError, match="not JSON Lines"):
        nine_models(tmp_path)


@pytest.mark.slow
def test_it_learns_recovers_and_withstands_a_liar(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(learner)
    path = tmp_path / "curves.svg"
    shown = CliRunner().invoke(app, ["--made-up", "--seeds", "1", "--plot", str(path), "--json"])
    (row,) = json.loads(shown.stdout)["rows"]
    assert row["over_best_fixed"] > 0.05 and row["same_decisions"]
    assert row["recovery_price"] <= 500 and row["recovery_quality"] <= 500
    assert row["others_moved"] < 0.01 < row["liar_moved"]
    assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")


def test_the_picture_of_an_empty_run_is_a_picture() -> None:
    assert ElementTree.fromstring(svg({"curves": [], "requests": 1})).tag.endswith("svg")
