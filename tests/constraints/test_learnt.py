"""Facts that no rule reads, read by the network that is shipped; and what it says where it does not understand one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest

import netgpt.constraints
from netgpt.constraints.asking import NOTES
from netgpt.constraints.choose import ChoiceAccount, OptionChooser, OptionJudge
from netgpt.constraints.features import needs
from netgpt.constraints.json_options import JsonChooser
from netgpt.constraints.learnt import FactReader, concepts, hidden_forms, interpreted
from netgpt.constraints.reading import constraints_of
from netgpt.constraints.stream import judge_of
from netgpt.constraints.taxonomy import taxonomy
from netgpt.encoder import SentenceEncoder, read_arrays, write_arrays
from netgpt.errors import ModelUnavailable
from netgpt.types import Fact, Label

SHIPPED: Final = Path(netgpt.constraints.__file__).parent / "reading.safetensors"
ASKED: Final = "what could we do on Saturday, any ideas?"


@pytest.fixture(scope="module")
def reader(encoder_weights: Path) -> FactReader:
    found = FactReader(SentenceEncoder(encoder_weights).with_delta(SHIPPED))
    found.load()
    return found


def fact(text: str, kind: str = "note") -> Fact:
    return Fact(text, kind, Label.SENSITIVE, "profile")


def test_every_concept_rules_out_what_the_tables_know() -> None:
    for name, told in concepts().items():
        if "unread" in told:
            assert set(told) <= {"unread", "where", "by"} and told["where"]
        elif "foods" in told:
            assert set(told["foods"].split()) <= set(taxonomy().foods), name
        else:
            assert told.get("need", name) in needs(), name


def test_what_a_fact_names_is_hidden_and_the_rest_stays() -> None:
    assert hidden_forms("Prawns: A&E, every time")[0] == "stuff a e every time"
    assert hidden_forms("petrified of dogs")[1] == "petrified of stuff"
    assert hidden_forms("plays the cello") == ("", "")


UNREAD_BY_RULES: Final = """
almost drowned as a boy, keeps to dry land | water
insulin before lunch and dinner | sugar
the white cane goes where I go | sight
even the whiff of satay sends me to casualty | peanut
can't breathe where a cat lives | cats
planes: over my dead body | flying
legs are gone, wheels do the walking | wheelchair
"""


@pytest.mark.parametrize("row", UNREAD_BY_RULES.strip().splitlines())
def test_pictures_and_terse_notes_are_read(row: str, reader: FactReader) -> None:
    text, what = (each.strip() for each in row.split("|"))
    [reading] = reader([("note", text)])
    assert any(what == each.need or what in each.foods for each in reading.constraints), (reading, constraints_of(text))


@pytest.mark.parametrize(
    "text", ["sells peanuts at the market", "swims a mile before work", "has two cats", "plays the cello", "can't sing"]
)
def test_what_rules_nothing_out_is_left_alone(text: str, reader: FactReader) -> None:
    [reading] = reader([("note", text)])
    assert not reading.constraints and not reading.perhaps


def test_the_kind_of_a_terse_fact_says_what_is_meant(reader: FactReader) -> None:
    feared, bred, knee = reader([("phobia", "lifts"), ("hobby", "spiders"), ("knee", "new")])
    assert {each.need for each in feared.constraints} == {"tight"} and {each.need for each in knee.constraints} == {
        "joints"
    }
    assert not bred.constraints and not bred.perhaps


def test_a_fact_of_somebody_else_counts_for_them_alone(reader: FactReader) -> None:
    [reading] = reader([("note", "my daughter almost drowned as a girl, she keeps to dry land")])
    assert all(each.whose == "daughter" for each in reading.constraints) and not reading.perhaps


def test_what_is_not_understood_is_said_and_nothing_is_claimed(reader: FactReader) -> None:
    """Of each state that the tables cannot hold against an option, the answer says that not all was checked."""
    chances = np.zeros(len(concepts()) + 1, np.float32)
    chances[1 + list(concepts()).index("avoid")] = 0.9
    chances[0] = 0.1
    unread = interpreted("we do not talk any more, the two of us", "note", chances, 0.0, 0.0)
    assert not unread.constraints and "activity" in unread.perhaps
    for language, (chosen, *_, word) in NOTES.items():
        judge, account = OptionJudge((), frozenset({"activity"}), language, unread=1), ChoiceAccount()
        chooser = OptionChooser(judge, account)
        text = "1. Kino\n2. Zoo\n" if language == "de" else "1. Cinema\n2. Zoo\n"
        said = chooser.feed(text) + chooser.end()
        assert said == f"{text}\n{word}" and chosen not in said
        assert account.unread == 1 and account.is_told and account.as_dict(with_kinds=False)["unread"] == 1
    account = ChoiceAccount()
    by_json = JsonChooser(OptionJudge((), frozenset({"activity"}), "en", unread=2), account)
    assert by_json.feed('{"ideas": ["Zoo"]}') + by_json.end() == '{"ideas": ["Zoo"]}' and account.unread == 2


def test_the_judge_takes_what_the_network_reads_only_where_no_rule_does(reader: FactReader) -> None:
    messages = [{"role": "user", "content": ASKED}]
    facts = [
        fact("almost drowned as a boy, keeps to dry land"),
        fact("is allergic to peanuts", "allergy"),
        fact("plays the cello"),
    ]
    judge = judge_of(facts, (), messages, ASKED, reader)
    assert judge is not None and {each.need for each in judge.constraints} == {"water", ""} and not judge.unread
    without = judge_of(facts, (), messages, ASKED)
    assert without is not None and {each.need for each in without.constraints} == {""}
    assert judge_of([fact("plays the cello")], (), messages, ASKED, reader) is None


def test_weights_of_something_else_are_refused(tmp_path: Path, encoder_weights: Path) -> None:
    file = read_arrays(SHIPPED)
    arrays = {name: each for name, each in file.arrays.items() if not name.startswith("constraints.stance")}
    write_arrays(tmp_path / "half.safetensors", arrays, file.metadata)
    broken = FactReader(SentenceEncoder(encoder_weights).with_delta(tmp_path / "half.safetensors"))
    with pytest.raises(ModelUnavailable, match=r"half\.safetensors"):
        broken.load()
