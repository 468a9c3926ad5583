"""The requests, checks and figures of `netgpt bench placement`, without a model."""

from __future__ import annotations

import pytest
from netgpt_bench.placement import cases, interval, sign_test

from netgpt.completion.compose import PLACEMENTS, compose, place_for
from netgpt.wording import written


def test_the_requests_come_from_all_tasks_and_follow_the_seed() -> None:
    asked = cases(70, 7)
    assert [case.request for case in asked] == [case.request for case in cases(70, 7)]
    assert [case.request for case in asked] != [case.request for case in cases(70, 8)]
    assert len({case.task for case in asked}) == 14 and all(len(case.facts) == 2 for case in asked)
    assert all(case.must or case.never for case in asked)


def test_an_answer_that_repeats_the_facts_has_used_them_and_an_empty_one_has_not() -> None:
    for case in cases(140, 1):
        assert not case.used("") and not case.used("  \n")
        told = " ".join(written(fact.text) for fact in case.facts)
        if case.task in ("city", "pet", "name", "job", "child", "car", "size", "budget", "instrument", "allergy"):
            assert case.used(told)
    diet = next(case for case in cases(70, 7) if case.task == "diet")
    assert diet.used("Lentil soup, pasta and salad") and not diet.used("Roast chicken")
    unit = next(case for case in cases(70, 7) if case.task == "unit")
    assert unit.used("about 70 F") and not unit.used("about 21 C") and not unit.used("warm")


def test_the_interval_and_the_sign_test() -> None:
    low, high = interval(35, 70)
    assert (round(low, 2), round(high, 2)) == (0.39, 0.61) and interval(0, 0) == (0.0, 1.0)
    assert interval(0, 70)[0] == pytest.approx(0.0) and interval(70, 70)[1] == pytest.approx(1.0)
    assert sign_test(0, 0) == 1.0 and sign_test(5, 5) == 1.0
    assert sign_test(9, 1) == pytest.approx(2 * 11 / 1024) and sign_test(1, 9) == sign_test(9, 1)


def test_every_placement_of_the_table_can_be_set_and_auto_is_one_of_them() -> None:
    (case, *_) = cases(14, 7)
    asked = [{"role": "user", "content": case.request}]
    made = [str(compose(asked, case.facts, placement)) for placement in PLACEMENTS]
    assert len(set(made)) == len(PLACEMENTS)
    assert {place_for("edge", "auto"), place_for("remote", "auto")} <= set(PLACEMENTS)
    assert place_for("edge", "system") == place_for("remote", "system") == "system"
