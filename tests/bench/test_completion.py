from __future__ import annotations

import json
import random

import pytest
from netgpt_bench.completion import FACTS_A_PROFILE, PROFILE_TEXTS, Tally, load_cases, needed_kinds, profile, run
from relevance_heads import made_relevance

from netgpt.completion.relevance import Relevance
from netgpt.completion.select import known_kinds
from netgpt.encoder import SentenceEncoder
from netgpt.errors import RequestError
from netgpt.training.recipes import DATASETS, reserved

ROWS = {
    "clinc150": [("will it rain tomorrow", "weather"), ("tell me a joke", "tell_joke")],
    "slurp": [("where can i eat", "recommendation_locations"), ("lights off", "iot_hue_lightoff")],
    "snips": [("play some jazz", "PlayMusic"), ("rate this book five", "RateBook")],
}


def _kept(text: str) -> str:
    """The request in a wording that is kept for measuring; "seen" in one that is not."""
    wordings = (f"{text} {'please ' * count}".strip() for count in range(100))
    return next(wording for wording in wordings if reserved(wording) != (text == "seen"))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "prompts"
    folder.mkdir(parents=True)
    for dataset, rows in ROWS.items():
        lines = (json.dumps({"text": _kept(text), "intent": intent}) for text, intent in [*rows, ("seen", "x")])
        (folder / f"{dataset}_dev.jsonl").write_text("\n".join(lines) + "\n")
    return folder.parent


def test_the_truth_speaks_of_known_kinds():
    assert set(PROFILE_TEXTS) <= known_kinds()
    assert needed_kinds("clinc150", {"intent": "weather"}) == {"place", "time"}
    assert needed_kinds("clinc150", {"intent": "oos"}) == frozenset()


def test_where_to_eat_and_where_to_shop_differ_by_the_annotation():
    eat = {"intent": "recommendation_locations", "entities": [{"type": "food_type", "text": "thai"}]}
    shop = {"intent": "recommendation_locations", "entities": [{"type": "business_type", "text": "shoe shop"}]}
    assert needed_kinds("slurp", eat) == {"place", "cuisine", "diet", "budget", "allergy"}
    assert needed_kinds("slurp", shop) == {"place"}


def test_every_data_set_is_measured():
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


async def test_every_way_is_measured(data, tmp_path, encoder_weights):
    async def ask(body):
        return {"choices": [{"message": {"content": "music"}}]}

    weights = made_relevance(tmp_path / "relevance.safetensors", encoder_weights)
    relevance = Relevance(SentenceEncoder(encoder_weights).with_delta(weights))
    result = await run(data, ask=ask, relevance=relevance, sample=6)
    rows = {row["way"]: row for row in result["rows"]}
    assert rows["nothing"]["recall"] in (0, None)
    assert rows["all facts"]["recall"] == 1
    assert rows["topics by embedding"]["precision"] > 2 * rows["all facts"]["precision"]
    assert {"relevance", "relevance, facts as plain text"} <= rows.keys()
    assert rows["edge model, rewrite"]["invented checked"] == 0
    assert result["samples"] == 6


def test_only_rows_that_no_training_saw_are_asked(data):
    assert all(reserved(case.request) for case in load_cases(data, 60, 1))


async def test_the_adapter_is_measured_beside_the_untrained_model(data):
    async def trained(body):
        request = body["messages"][-1]["content"]
        topic = "weather" if "rain" in request else "music" if "jazz" in request else "chat"
        answers = [{"token": topic, "logprob": -0.01}]
        return {"choices": [{"message": {"content": topic}, "logprobs": {"content": [{"top_logprobs": answers}]}}]}

    result = await run(data, ask=None, trained=trained, sample=6)
    rows = {row["way"]: row for row in result["rows"]}
    assert rows["edge model, adapter"]["precision"] in (1.0, None)
    assert rows["edge model, adapter"]["invented raw"] == 0
    assert rows["adapter, facts as plain text"]["requests wrongly given"] == 0


async def test_missing_data_is_named_with_the_cure(tmp_path):
    with pytest.raises(RequestError, match="--data DIR"):
        await run(tmp_path, ask=None)
