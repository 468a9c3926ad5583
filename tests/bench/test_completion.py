from __future__ import annotations

import json
import random

import pytest

from netgpt.bench.completion import DATASETS, Tally, load_cases, run
from netgpt.bench.completion_truth import FACTS_A_PROFILE, PROFILE_TEXTS, needed_kinds, profile
from netgpt.completion.topics import known_kinds
from netgpt.errors import RequestError

ROWS = {
    "clinc150": [("will it rain tomorrow", "weather"), ("tell me a joke", "tell_joke")],
    "slurp": [("where can i eat", "recommendation_locations"), ("lights off", "iot_hue_lightoff")],
    "snips": [("play some jazz", "PlayMusic"), ("rate this book five", "RateBook")],
}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "prompts"
    folder.mkdir(parents=True)
    for dataset, rows in ROWS.items():
        lines = (json.dumps({"text": text, "intent": intent}) for text, intent in rows)
        (folder / f"{dataset}_dev.jsonl").write_text("\n".join(lines) + "\n")
    return folder.parent


def test_the_truth_speaks_of_known_kinds():
    assert set(PROFILE_TEXTS) <= known_kinds()
    assert needed_kinds("clinc150", "weather") == {"place", "time"}
    assert needed_kinds("clinc150", "oos") == frozenset()
    assert set(DATASETS) == set(ROWS)


def test_a_profile_has_seven_facts_of_seven_kinds():
    facts = profile(random.Random(1))
    assert len({fact.kind for fact in facts}) == len(facts) == FACTS_A_PROFILE


def test_figures_are_counted_over_facts_and_requests():
    tally = Tally()
    tally.add(frozenset({1, 2}), frozenset({1}))
    tally.add(frozenset(), frozenset({0}))
    assert tally.figures() == {"precision": 0.5, "recall": 0.5, "requests wrongly given": 0.5}
    assert Tally().figures()["precision"] is None


def test_the_same_seed_gives_the_same_cases(data):
    assert load_cases(data, 6, 1) == load_cases(data, 6, 1)
    assert len(load_cases(data, 6, 1)) == 6


async def test_every_way_is_measured(data):
    async def ask(body):
        return {"choices": [{"message": {"content": "music"}}]}

    result = await run(data, ask=ask, sample=6)
    rows = {row["way"]: row for row in result["rows"]}
    assert rows["nothing"]["recall"] in (0, None)
    assert rows["all facts"]["recall"] == 1
    assert rows["topics by embedding"]["precision"] > 2 * rows["all facts"]["precision"]
    assert rows["edge model, rewrite"]["invented checked"] == 0
    assert result["samples"] == 6


async def test_missing_data_is_named_with_the_cure(tmp_path):
    with pytest.raises(RequestError, match="--data DIR"):
        await run(tmp_path, ask=None)
