"""A counterfactual is true: apply the change, and another target answers; stop short of it, and nothing changes."""

from dataclasses import replace

import pytest
from decisions import RULES, SITUATIONS, link, links, priced, situation
from hypothesis import given
from hypothesis import strategies as st
from patience import cpu_seconds

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.candidates import Situation
from netgpt.routing.explain import Change, WhatIf, changed
from netgpt.routing.learner import Learner
from netgpt.routing.link_state import SignalsView, SystemView
from netgpt.routing.router import Memory, decide, decided


def asked(one: Situation, memory: Memory | None = None) -> WhatIf | None:
    try:
        return decided(one, RULES, memory or Memory())[1]
    except (ModelUnavailable, RequestError):
        return None


def applied(one: Situation, change: Change) -> Situation:
    if isinstance(change.to, str):
        return replace(one, prefer=change.to)
    return changed(one, change.what, change.to, change.of)


@given(SITUATIONS)
def test_every_change_changes_the_decision_to_the_target_that_it_names(one: Situation) -> None:
    what_if = asked(one)
    for change in what_if.changes() if what_if is not None else ():
        assert change.target != decide(one, RULES).name
        assert decide(applied(one, change), RULES).name == change.target


@given(SITUATIONS, st.floats(0.0, 0.9))
def test_short_of_the_change_the_target_stays(one: Situation, part: float) -> None:
    what_if = asked(one)
    for change in what_if.changes() if what_if is not None else ():
        if (
            change.what not in ("rtt", "price", "difficulty")
            or isinstance(change.to, str)
            or one.deadline_s is not None
            or one.budget_left is not None  # it rules a target out at a price of its own
        ):
            continue
        now = {"price": 1.0, "difficulty": one.p_edge_ok or 0.0}.get(change.what)
        if now is None:
            report = one.signals.links[change.of].rtt_s
            assert report is not None
            now = report.value
        between = now + (change.to - now) * part
        if abs(change.to - between) <= 0.13 * abs(change.to):
            continue  # told in two digits, rounded away from where it came
        assert decide(changed(one, change.what, between, change.of), RULES).name == decide(one, RULES).name


def by_what(one: Situation, memory: Memory | None = None) -> dict[str, Change]:
    what_if = asked(one, memory)
    assert what_if is not None
    return {
        f"{change.what} {change.to if change.what == 'prefer' else change.of}".strip(): change
        for change in what_if.changes()
    }


def test_a_cloud_that_is_ahead_loses_to_a_slower_link_a_higher_price_or_an_easier_text() -> None:
    one = priced(situation("tell me a joke", p_edge_ok=0.74, signals=links(cloud=link(0.05))), 1, 4)
    changes = by_what(one)
    assert {"rtt cloud", "price cloud", "difficulty", "prefer cheap", "prefer private"} <= changes.keys()
    slower, dearer, easier = changes["rtt cloud"].to, changes["price cloud"].to, changes["difficulty"].to
    assert isinstance(slower, float) and 0.05 < slower < 5
    assert isinstance(dearer, float) and dearer > 1
    assert isinstance(easier, float) and 0.74 < easier < 0.8


def test_an_edge_that_is_ahead_loses_to_a_queue_or_a_harder_text() -> None:
    one = situation(
        "tell me a joke", p_edge_ok=0.9, signals=SignalsView({"cloud": link(0.05)}, SystemView(engine_slots=1))
    )
    changes = by_what(one)
    assert changes["waiting"].target == changes["difficulty"].target == "cloud"
    assert isinstance(changes["waiting"].to, int | float) and changes["waiting"].to >= 1
    assert changes["difficulty"].to < 0.9  # type: ignore[operator]


def test_a_decision_without_a_choice_has_no_changes() -> None:
    for one in (situation("hi", cloud_ok=False), situation("hi", asked="edge"), situation("hi", personal_facts=True)):
        what_if = asked(one)
        assert what_if is not None and what_if.changes() == ()


def test_what_is_learnt_later_changes_nothing_that_matters_and_the_share_counts() -> None:
    memory = Memory(0.2)
    for _ in range(100):
        memory.share.booked(-0.5, True)
    one = situation("compare it", signals=links(cloud=link(0.05)))
    _, what_if = decided(one, RULES, memory, Learner(seed=3))
    assert what_if.chosen == "edge" and what_if.threshold < 0
    assert all(change.target == "cloud" for change in what_if.changes())


@pytest.mark.parametrize("p", [0.6, 0.7, 0.9])
def test_it_is_cheap(p: float) -> None:
    what_if = asked(priced(situation("tell me a joke", p_edge_ok=p, signals=links(cloud=link(0.05))), 1, 4))
    assert what_if is not None
    took = sorted(cpu_seconds(what_if.changes) for _ in range(60))
    assert took[30] < 0.005  # 0.3 ms on a quiet machine
