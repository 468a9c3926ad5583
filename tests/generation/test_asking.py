"""How long one target is waited for when another is left: nobody is kept waiting until nothing can be done any more."""

from __future__ import annotations

import time

import pytest

from netgpt.adapters.residency import NO_ADAPTER
from netgpt.generation.fallback import ROOM, FallbackChain, GenerationRequest, Hedging
from netgpt.outbound import Outcome
from netgpt.routing.router import TRIAL
from netgpt.settings.routing import Routing
from netgpt.testing.models import ScriptedModel
from netgpt.types import Decision, Expected, Person

DEADLINE_S = 12.0


def given(target: str, left: list[str], *, rule: str = "kind", **latency_s: float) -> float:
    """Seconds that `target` is given of the deadline, where the targets are expected to take so long; the least of
    three times, as a moment that passes between two looks at the clock is added to it."""
    return min(_given(target, left, rule, latency_s) for _ in range(3))


def _given(target: str, left: list[str], rule: str, latency_s: dict[str, float]) -> float:
    expected = tuple(
        Expected(name, "edge" if name == "edge" else "cloud", 0.9, took, 0.0, 0.0, 0.1, 0.5)
        for name, took in latency_s.items()
    )
    decision = Decision("cloud", "", rule, tuple(left), target=target, expected=expected)
    request = GenerationRequest("ex_1", Person("local", "ada"), {}, [], decision, {})
    until = time.monotonic() + DEADLINE_S
    chain = FallbackChain(
        request, Outcome(decision), ScriptedModel("fine"), {}, Hedging(Routing(), {}), until, lambda _: NO_ADAPTER,
        lambda *_: None,
    )  # fmt: skip
    return DEADLINE_S - (until - chain._patience(target, left))


def test_the_last_one_has_all_the_time_there_is() -> None:
    assert given("cloud", []) == pytest.approx(DEADLINE_S, abs=0.05)


@pytest.mark.parametrize(
    ("edge_s", "seconds"),
    [
        (0.5, DEADLINE_S / 2),
        (5.0, DEADLINE_S - ROOM * 5.0),
        (30.0, DEADLINE_S / 3),
    ],
)
def test_whoever_comes_next_gets_the_time_it_needs_but_never_all(edge_s: float, seconds: float) -> None:
    assert given("cloud", ["edge"], cloud=1.0, edge=edge_s) == pytest.approx(seconds, abs=0.05)


def test_for_a_remote_that_would_be_late_anyway_nobody_is_given_up_early() -> None:
    assert given("cloud", ["other"], cloud=1.0, other=30.0) == pytest.approx(DEADLINE_S * 3 / 4, abs=0.05)


def test_a_trial_is_waited_for_no_longer_than_a_good_link_needs() -> None:
    assert given("cloud", ["edge"], rule=TRIAL, cloud=1.0, edge=2.0) == pytest.approx(1.0, abs=0.05)
    assert given("cloud", ["edge"], rule=TRIAL, cloud=30.0, edge=2.0) == pytest.approx(DEADLINE_S / 2, abs=0.05)
    assert given("edge", ["other"], rule="kind", edge=1.0, other=2.0) == pytest.approx(DEADLINE_S / 2, abs=0.05)
