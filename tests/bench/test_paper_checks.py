"""The checks of `netgpt bench paper`: what counts as present, needless, used, sound and left."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netgpt_bench.paper_checks import Answered, quality, values_seen
from netgpt_bench.paper_requests import SITE, PersonRequest, make_requests


def asked_for(kind: str) -> PersonRequest:
    """A request that needs this one kind of fact."""
    return next(asked for asked in make_requests(64) if asked.needs == {kind})


def answered(asked: PersonRequest, text: str = "Here is an idea for you.", **changes) -> Answered:
    values = {"finished": True, "kinds": frozenset(), "completed": asked.text, "left": b"", **changes}
    return Answered(
        asked, text, values["finished"], 1.0, 2.0, 3, 4, 5, 6, True, values["completed"], values["kinds"],
        values["left"],
    )  # fmt: skip


def test_the_same_seed_gives_the_same_requests_and_another_seed_others() -> None:
    assert make_requests(20, 3) == make_requests(20, 3)
    assert make_requests(20, 3) != make_requests(20, 4)


def test_requests_are_terse_and_need_only_what_the_box_can_know() -> None:
    for asked in make_requests(64):
        known = {fact.kind for fact in asked.person.facts} | {"place"}
        assert asked.needs <= known
        assert len(asked.text.split()) <= 20
        assert all(asked.known(kind) for kind in asked.needs)
        assert all(value in asked.text for value in asked.private)
    assert SITE["city"].lower() in asked.known("place")


def test_a_completed_prompt_is_judged_by_its_facts() -> None:
    diet, car = asked_for("diet"), asked_for("car")
    figures = quality(
        [
            answered(diet, kinds=frozenset({"diet", "pet"}), completed=diet.text + "\n\n- The user is vegetarian."),
            answered(car, completed="What tyre pressure suits the car"),
        ]
    )
    assert figures["needed_facts_present"] == 0.5
    assert figures["facts_given_needless"] == 0.5
    assert figures["requests_given_needless"] == 0.5
    assert figures["words_untouched"] == 0.5


def test_a_fact_that_may_be_given_is_not_needless() -> None:
    diet = asked_for("diet")
    assert diet.may
    assert quality([answered(diet, kinds=diet.needs | diet.may)])["requests_given_needless"] == 0


def test_an_answer_uses_a_fact_when_it_names_it() -> None:
    car = asked_for("car")
    make = car.known("car")[0]
    figures = quality([answered(car, f"For a {make.upper()} take 2.2 bar."), answered(car, "Take 2.2 bar.")])
    assert figures["answers_using_the_fact"] == 0.5


@pytest.mark.parametrize(
    ("text", "finished", "sound"),
    [
        ("Oslo.", True, True),
        ("Take the bus to the harbour at noon.", True, True),
        ("", True, False),
        ("Take the bus to the harbour", False, False),
        ("Dear [PERSON_1], the parcel is at the desk.", True, False),
        ("zwei drei vier fünf sechs sieben acht", True, False),
    ],
)
def test_a_sound_answer(text: str, finished: bool, sound: bool) -> None:
    assert quality([answered(asked_for("car"), text, finished=finished)])["answers_sound"] == float(sound)


def test_private_values_are_found_in_what_left_in_any_case_and_escaped() -> None:
    asked = next(asked for asked in make_requests(64) if asked.private)
    value = asked.must_stay[0]
    plain, shouted = value.encode(), value.upper().encode()
    escaped = "".join(f"\\u{ord(c):04x}" for c in value).encode()
    assert [values_seen(content, [value]) for content in (plain, shouted, escaped, b"nothing")] == [1, 1, 1, 0]
    figures = quality([answered(asked, left=plain)])
    assert (figures["private_values_left"], figures["private_values_at_risk"]) == (1, len(set(asked.must_stay)))


def test_what_is_not_text_is_not_called_clean() -> None:
    assert quality([answered(asked_for("car"), left=None)])["private_values_left"] is None


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_value_in_a_json_body_is_always_seen(value: str, before: str, after: str) -> None:
    plain = value.replace("\\", "").replace('"', "")
    body = json.dumps({"content": before.replace("\\", "") + plain + after}).encode()
    if plain.isprintable() and plain and all(ord(c) < 0x10000 for c in plain):
        assert values_seen(body, [plain]) == 1
