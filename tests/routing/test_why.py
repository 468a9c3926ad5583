"""What would have changed a decision, in words."""

import pytest
from decisions import RULES, SITUATIONS, link, links, priced, situation
from hypothesis import given

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.candidates import Situation, Target
from netgpt.routing.explain import counterfactual, without
from netgpt.routing.router import Memory, decide, decided


def report(one: Situation) -> str:
    decision, what_if = decided(one, RULES, Memory())
    return counterfactual(what_if, decision.rule)


def test_it_names_link_text_price_and_presets() -> None:
    words = report(priced(situation("tell me a joke", p_edge_ok=0.74, signals=links(cloud=link(0.05))), 1, 4))
    assert words.startswith("The box would have answered above ") and "ms RTT to the cloud" in words
    assert "were it easier (0." in words and "times the price of the cloud" in words
    assert "or under `cheap`" in words


def test_it_says_what_a_constraint_kept_from_happening() -> None:
    assert report(situation("compare it", personal_facts=True)) == (
        "Without the personal facts, the cloud would have answered."
    )
    assert report(situation("hi", personal_facts=True)).endswith("the box would have answered all the same.")
    assert "would have answered" in report(situation("compare it", cloud_ok=False, cloud_detail="down"))
    assert report(situation("compare it", may_leave=False)).startswith("Without what keeps it on the box, the cloud")
    assert report(situation("x" * 20_000)).startswith("Without the length of the conversation")


def test_who_was_asked_for_needs_no_counterfactual() -> None:
    assert report(situation("hi", asked="cloud")) == "" and report(situation("hi", asked="edge")) == ""


def test_nothing_alone_would_have_changed_a_clear_case() -> None:
    poor = Target("poor", quality=0.1, exposure=0.5)
    one = situation("compare it", edge_ok=False, others=(poor,), signals=links(cloud=link(0.05), poor=link(0.05)))
    _, what_if = decided(one, RULES, Memory())
    assert (
        counterfactual(what_if, "quality")
        == "No other link, price, difficulty or preset alone would have changed this."
    )


LIFTED = ("budget", "cloud-down", "context", "deadline", "edge-down", "kept", "media", "personal", "schema", "tools")


@given(SITUATIONS)
def test_without_its_constraint_the_named_target_does_answer(one: Situation) -> None:
    try:
        decision = decide(one, RULES)
    except (ModelUnavailable, RequestError):
        return
    words = report(one)
    if words.startswith("Without"):
        freed = decide(without(one, decision.rule), RULES)
        name = {"edge": "the box", "cloud": "the cloud"}.get(freed.name, freed.name)
        assert f", {name} would have answered" in words
        assert words.endswith("all the same.") is (freed.name == decision.name)


@pytest.mark.parametrize("rule", LIFTED)
def test_lifting_a_constraint_leaves_the_text_as_it_is(rule: str) -> None:
    one = situation("compare it", cloud_ok=False, budget_left=0.0, deadline_s=1.0, personal_facts=True)
    freed = without(one, rule)
    assert freed.features.words == one.features.words and len(freed.targets) == len(one.targets)
