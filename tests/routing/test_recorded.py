"""A decision that was kept is taken again: the same figures as then, and every change that was told comes true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pytest
from decisions import RULES, SITUATIONS, link, links, priced, situation
from hypothesis import given, settings

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.bandit import Belief
from netgpt.routing.candidates import Situation
from netgpt.routing.explain import Change, WhatIf
from netgpt.routing.recorded import Conditions, as_kept, from_kept, inputs_of, taken_again
from netgpt.routing.router import Memory, decided
from netgpt.web.what_if import best_of


class Learnt:
    """A learner that believes more of the box, and less of the cloud."""

    def belief(self, target: str, x: Sequence[float], prior: float, key: str = "") -> Belief:
        return Belief(min(max(prior + (0.07 if target == "edge" else -0.2), 0.01), 0.99), 0.1)

    def draw(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> tuple[str, float]:
        return max(values, key=values.__getitem__), 1.0


def what_if_of(one: Situation, learner: Learnt | None = None) -> WhatIf | None:
    try:
        return decided(one, RULES, Memory(), learner)[1]
    except (ModelUnavailable, RequestError):
        return None


def again(what_if: WhatIf) -> WhatIf:
    """Through the form in which it is kept."""
    return from_kept(orjson.loads(orjson.dumps(as_kept(what_if))), RULES)


def conditions(change: Change) -> Conditions:
    if isinstance(change.to, str):
        return Conditions(prefer=change.to)
    if change.what in ("rtt", "price"):
        by_target = {change.of: change.to}
        return Conditions(rtt_s=by_target) if change.what == "rtt" else Conditions(price=by_target)
    if change.what == "waiting":
        return Conditions(waiting=int(change.to))
    return Conditions(difficulty=change.to)


@settings(max_examples=40)
@given(SITUATIONS)
def test_the_same_figures_come_out(one: Situation) -> None:
    for learner in (None, Learnt()):
        then = what_if_of(one, learner)
        if then is not None:
            for was, now in zip(then.weighed.expected, again(then).weighed.expected, strict=True):
                assert (was.target, was.ruled_out) == (now.target, now.ruled_out)
                assert (now.p_ok, now.value) == pytest.approx((was.p_ok, was.value), abs=1e-4)
            assert best_of(again(then).weighed) == then.chosen or then.weighed.candidates[0].value == pytest.approx(
                then.weighed.candidates[1].value, abs=1e-4
            )


@settings(max_examples=40)
@given(SITUATIONS)
def test_every_change_that_is_told_comes_true(one: Situation) -> None:
    then = what_if_of(one)
    for change in then.changes() if then is not None else ():
        assert then is not None
        assert best_of(taken_again(again(then), conditions(change))) == change.target


def test_personal_facts_rule_the_cloud_out_again_only_where_they_did_then() -> None:
    for edge in (0.3, 0.8):
        then = what_if_of(situation("ideas for dinner", personal_facts=True, priors={"edge": edge, "cloud": 0.9}))
        assert then is not None
        ruled_out = [one.ruled_out for one in then.weighed.expected]
        assert [one.ruled_out for one in again(then).weighed.expected] == ruled_out and any(ruled_out) == (edge > 0.5)


def test_what_can_be_changed_is_told_and_what_is_not_there_is_refused() -> None:
    then = what_if_of(priced(situation(signals=links(cloud=link(0.04))), 2.0, 6.0))
    assert then is not None
    inputs = inputs_of(again(then))
    assert set(inputs["rtt_ms"]) == set(inputs["price"]) == {"cloud"} and "private" in inputs["presets"]
    for wrong in (Conditions(rtt_s={"moon": 1.0}), Conditions(prefer="reckless")):
        with pytest.raises(RequestError):
            taken_again(then, wrong)
    with pytest.raises(RequestError):
        from_kept({"targets": [{"size": 3}]}, RULES)
