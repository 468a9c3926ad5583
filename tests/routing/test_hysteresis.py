"""Links are held still under noise and followed when they really change; simulated time."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from decisions import RULES, link, links, situation
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.routing.hysteresis import AWAY_S, RETURN_S, LinkSmoother
from netgpt.routing.link_state import Estimate, LinkView
from netgpt.routing.router import TRIAL, Memory, decide
from netgpt.types import Load

Rtt = Callable[[float], float]


def decisions(rtt: Rtt, seconds: float, every: float = 0.2, p_edge_ok: float = 0.76) -> list[tuple[float, str]]:
    """(time, target) of one kind of request, again and again, over a link whose round trip is `rtt(time)`."""
    memory, report, now = Memory(), [], 0.0
    while now < seconds:
        one = situation("tell me a joke", p_edge_ok=p_edge_ok, signals=links(cloud=link(rtt(now))), now=now)
        report.append((now, decide(one, RULES, memory).name))
        now += every
    return report


def switches(report: list[tuple[float, str]]) -> list[float]:
    return [now for (_, before), (now, after) in pairwise(report) if before != after]


def tipping(low: float = 0.001, high: float = 5.0) -> float:
    """The round trip at which this kind of request changes its target."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if decisions(lambda _: middle, 0.1)[0][1] == "cloud" else (low, middle)  # noqa: B023
    return (low + high) / 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.05, 0.2, 0.4])
def test_at_most_one_flap_a_minute_under_noise_at_the_very_tipping_point(seed: int, noise: float) -> None:
    chance, middle = random.Random(seed), tipping()
    report = decisions(lambda _: middle * max(0.05, chance.gauss(1, noise)), 300)
    times = switches(report)
    assert len(times) <= 5
    assert all(len([t for t in times if start <= t < start + 60]) <= 2 for start in range(0, 300, 10))


@pytest.mark.parametrize("every", [0.05, 0.5, 1.0, 2.0])
def test_a_real_change_is_followed_within_three_seconds_and_back(every: float) -> None:
    report = decisions(lambda now: 0.02 if now < 30 or now >= 60 else 4.0, 90, every)
    assert {target for now, target in report if 33 < now < 60} == {"edge"}
    assert {target for now, target in report if now < 30 or now > 63} == {"cloud"}
    assert len(switches(report)) == 2


def test_a_step_in_the_midst_of_noise_is_followed() -> None:
    chance = random.Random(3)
    report = decisions(lambda now: (0.02 if now < 30 else 4.0) * chance.uniform(0.7, 1.4), 60)
    assert {target for now, target in report if now > 33} == {"edge"}


def test_whoever_asks_rarely_gets_the_link_as_it_is() -> None:
    report = decisions(lambda now: 0.02 if now < 100 else 4.0, 200, every=30)
    assert [target for _, target in report] == ["cloud"] * 4 + ["edge"] * 3


def test_a_spike_that_is_over_at_once_is_no_change() -> None:
    report = decisions(lambda now: 4.0 if 30 <= now < 30.5 else 0.02, 60)
    assert switches(report) == []


def test_a_link_that_begins_to_fail_counts_as_changed() -> None:
    held, fine = LinkSmoother(), link(0.05)
    assert held.update({"cloud": fine}, 0.0) == {"cloud": fine}
    failing = link(0.05, failures=0.6)
    assert held.update({"cloud": failing}, 0.1) == {"cloud": fine}
    assert held.update({"cloud": failing}, 1.2) == {"cloud": failing}


def test_the_first_measurement_of_a_link_is_taken_soon() -> None:
    held, unknown, known = LinkSmoother(), LinkView(), link(0.05)
    assert held.update({"cloud": unknown}, 0.0)["cloud"] == unknown
    assert held.update({"cloud": known}, 0.1)["cloud"] == unknown
    assert held.update({"cloud": known}, 1.0)["cloud"] == known


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.001, 3), st.floats(0, 1)), min_size=1, max_size=60))
def test_what_is_held_was_once_measured(looks: list[tuple[float, float, float]]) -> None:
    held, now, seen = LinkSmoother(), 0.0, []
    for step, rtt, failures in looks:
        now += step
        measured = link(rtt, failures=failures)
        seen.append(measured)
        assert held.update({"cloud": measured}, now)["cloud"] in seen


def test_links_do_not_disturb_one_another() -> None:
    held, slow = LinkSmoother(), link(2.0)
    held.update({"cloud": link(0.02), "other": link(0.02)}, 0.0)
    for now in (0.5, 1.0, 1.5):
        report = held.update({"cloud": slow, "other": link(0.02)}, now)
    assert report == {"cloud": slow, "other": link(0.02)}
    assert replace(slow) == slow


def test_the_request_of_these_tests_has_a_tipping_point() -> None:
    assert 0.1 < tipping() < 2


def test_what_a_neighbour_says_of_its_queue_is_taken_at_once() -> None:
    held, idle, full = (
        LinkSmoother(),
        replace(link(0.002), load=Load(2, 0, 0)),
        replace(link(0.003), load=Load(2, 2, 5)),
    )
    held.update({"garage": idle}, 0.0)
    report = held.update({"garage": full}, 0.1)["garage"]
    assert report.load == full.load and report.rtt_s == idle.rtt_s


def is_up(first_byte_s: float, age_s: float = 0.0) -> LinkView:
    """A link whose last answer began so long ago."""
    return replace(link(0.02), first_byte_s=Estimate(first_byte_s, age_s, 0.95))


def followed(held: LinkSmoother, measured: LinkView, begin: float, end: float, every: float = 0.2) -> float | None:
    """When the link was first held as measured; None: not before `end`, until which somebody looks."""
    found, now = None, begin
    while now < end:
        if held.update({"cloud": measured}, now)["cloud"] == measured and found is None:
            found = now
        now += every
    return found


def test_after_a_relapse_a_better_link_is_left_alone_but_a_worse_one_is_not() -> None:
    held, good, bad = LinkSmoother(), is_up(0.4), is_up(4.0)
    followed(held, good, 0, 5)
    assert followed(held, bad, 5, 10) == pytest.approx(5.8, abs=0.3)
    assert followed(held, good, 10, 15) == pytest.approx(11.5, abs=0.3)
    assert followed(held, bad, 15, 20) == pytest.approx(15.8, abs=0.3), "to the safe side it stays quick"
    assert followed(held, good, 20, 90) == pytest.approx(15.8 + AWAY_S + RETURN_S, abs=0.5)


def test_that_nothing_is_is_up_is_no_proof_but_one_request_may_try() -> None:
    held, good, bad, silent = LinkSmoother(), is_up(0.4), is_up(4.0), is_up(0.4, age_s=20)
    followed(held, good, 0, 5)
    followed(held, bad, 5, 10)
    assert followed(held, silent, 10, 20) is None
    assert held.trial(19.0) is None, "to be asked at the time of a look"
    held.update({"cloud": silent}, 20.0)
    assert held.trial(20.0) == ("cloud", good)
    held.tried("cloud", 20.0)
    for step in range(5):
        held.update({"cloud": silent}, 20.2 + step / 5)
        assert held.trial(20.2 + step / 5) is None, "it was tried just before"
    assert followed(held, is_up(0.4), 21.5, 25) == pytest.approx(23.0, abs=0.3), "its answer proves it"


def test_an_answer_that_is_merely_less_late_does_not_bring_a_link_back() -> None:
    held = LinkSmoother()
    followed(held, is_up(0.4), 0, 5)
    followed(held, is_up(4.0), 5, 10)
    assert followed(held, is_up(1.8), 10, 20) is None


def test_a_trial_is_a_decision_of_its_own_with_the_box_behind_it() -> None:
    memory, now, rules = Memory(), 0.0, []
    for first_byte_s, age_s, until in ((0.4, 0.0, 5.0), (8.0, 0.0, 10.0), (0.4, 20.0, 14.0)):
        while now < until:
            view = is_up(first_byte_s, age_s)
            report = decide(
                situation("tell me a joke", p_edge_ok=0.76, signals=links(cloud=view), now=now), RULES, memory
            )
            rules.append((report.name, report.rule))
            if report.rule == TRIAL:
                assert report.name == "cloud" and report.fallbacks[0] == "edge" and "slow" in report.reason
            now += 0.2
    assert rules.count(("cloud", TRIAL)) in (1, 2)
    assert rules[-1][0] == "edge"
