from __future__ import annotations

import json
from collections import Counter

import pytest
from netgpt_bench.completion import PROFILE_TEXTS, needed_kinds

from netgpt.completion.classify import classes
from netgpt.errors import RequestError
from netgpt.training.recipes import DATASETS, class_of, examples, generated, intents, reserved


def test_generated_requests_cover_every_class_and_are_the_same_each_time():
    made = generated(1_000)
    assert made == generated(1_000)
    assert made != generated(1_000, seed=8)
    counts = Counter(topic for _, topic in made)
    assert set(counts) == set(classes())
    assert min(counts.values()) >= 5
    assert not any("{" in text for text, _ in made)


def test_without_a_data_folder_the_recipe_works_alone():
    made = examples(None, generate=200)
    assert {example.origin for example in made} == {"recipe:complete"}
    assert all(example.answer in example.options for example in made)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_class_gives_just_the_kinds_that_the_truth_wants(dataset):
    for intent in intents(dataset):
        row = {"intent": intent, "text": "time", "entities": []}
        assert classes()[class_of(dataset, row)] & set(PROFILE_TEXTS) == needed_kinds(dataset, row), intent


def test_where_to_eat_follows_the_annotation():
    row = {"intent": "recommendation_locations", "text": "x", "entities": [{"type": "business_type", "text": "pub"}]}
    assert class_of("slurp", row) == "food"


def test_copies_of_a_request_are_reserved_together():
    assert reserved("Will it rain?") == reserved("  will it   RAIN")
    kept = sum(reserved(f"request number {number}") for number in range(2_000))
    assert 0.12 < kept / 2_000 < 0.18


def test_reserved_rows_are_never_learnt(tmp_path):
    folder = tmp_path / "prompts"
    folder.mkdir()
    rows = {f"play song number {number}": number for number in range(200)}
    for dataset, intent in zip(DATASETS, ("play_music", "play_music", "PlayMusic"), strict=True):
        lines = (json.dumps({"text": f"{text} {dataset}", "intent": intent}) for text in rows)
        (folder / f"{dataset}_dev.jsonl").write_text("\n".join(lines))
    learnt = [example for example in examples(tmp_path, generate=55) if example.slice != "generated"]
    assert len(learnt) > 300
    assert not any(reserved(example.messages[-1]["content"]) for example in learnt)
    assert {example.slice for example in learnt} == set(DATASETS)


def test_a_folder_with_one_data_set_gives_that_one(tmp_path):
    (tmp_path / "prompts").mkdir()
    row = {"text": "play some jazz for me", "intent": "PlayMusic"}
    (tmp_path / "prompts" / "snips_dev.jsonl").write_text(json.dumps(row))
    assert {example.slice for example in examples(tmp_path, generate=55)} == {"generated", "snips"}


def test_a_folder_without_any_is_named_with_the_cure(tmp_path):
    with pytest.raises(RequestError, match="--data DIR"):
        examples(tmp_path)
