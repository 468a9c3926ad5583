"""The watch over a canary: bad ones go back soon, equal ones almost never, however often one looks."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.adapters.canary import CanaryDecision, Outcomes, decide, evidence


def _watch(theirs: float, ours: float, share: float, exchanges: int, seed: int) -> tuple[CanaryDecision, int]:
    """Look after each exchange of the canary; the decision that ended it, and the canary's exchanges until then."""
    dice, canary, active = random.Random(seed), [0, 0], [0, 0]
    for _ in range(exchanges):
        chosen, rate = (canary, ours) if dice.random() < share else (active, theirs)
        chosen[0] += 1
        chosen[1] += dice.random() < rate
        if chosen is canary:
            found = decide(Outcomes(canary[0], failed=canary[1]), Outcomes(active[0], failed=active[1]))
            if found.decision is not CanaryDecision.WAIT:
                return found.decision, canary[0]
    return CanaryDecision.WAIT, canary[0]


def test_a_clearly_worse_canary_is_rolled_back_soon():
    ends = [_watch(0.05, 0.5, 0.1, 1500, seed) for seed in range(20)]
    assert {decision for decision, _ in ends} == {CanaryDecision.ROLL_BACK}
    assert max(count for _, count in ends) <= 60


def test_an_equal_canary_is_rarely_rolled_back():
    for rate in (0.02, 0.3):
        ends = [_watch(rate, rate, 0.3, 300, seed) for seed in range(40)]
        assert sum(decision is CanaryDecision.ROLL_BACK for decision, _ in ends) <= 1


def test_a_much_better_canary_becomes_ready():
    assert _watch(0.2, 0.01, 0.5, 2000, 3)[0] is CanaryDecision.READY


def test_nothing_is_said_too_early():
    found = decide(Outcomes(11, failed=11), Outcomes(500))
    assert (found.decision, found.reason) == (CanaryDecision.WAIT, "11 of 12 exchanges before anything is said")


def test_the_reason_shows_both_counts():
    found = decide(Outcomes(40, failed=30), Outcomes(400, failed=4))
    assert found.decision is CanaryDecision.ROLL_BACK
    assert found.reason == "30 of 40 answers failed; 4 of 400 with the version that is active"


def test_one_person_alone_rolls_nothing_back():
    active = Outcomes(400, disliked=4, dislikers=4)
    assert decide(Outcomes(40, disliked=30, dislikers=1), active).decision is CanaryDecision.WAIT
    assert decide(Outcomes(40, disliked=30, dislikers=2), active).decision is CanaryDecision.ROLL_BACK


def test_slow_answers_count_too():
    assert decide(Outcomes(60, slow=50), Outcomes(600, slow=30)).decision is CanaryDecision.ROLL_BACK


def test_without_an_active_one_to_compare_with_it_waits():
    assert decide(Outcomes(500, failed=400), Outcomes()).decision is CanaryDecision.WAIT


counts = st.integers(0, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(counts, counts)
def test_evidence_is_on_one_side_only(ours, theirs):
    forth, back = evidence(*ours, *theirs), evidence(*theirs, *ours)
    assert forth >= 0 and back >= 0
    assert min(forth, back) == 0


@given(st.integers(10, 200), st.integers(10, 200))
def test_more_faults_are_never_less_evidence(of_ours, of_theirs):
    values = [evidence(faults, of_ours, of_theirs // 10, of_theirs) for faults in range(0, of_ours + 1, 5)]
    assert all(later >= sooner - 1e-6 for sooner, later in pairwise(values))


def test_evidence_of_all_against_none_grows_with_the_count():
    assert evidence(5, 5, 0, 5) < evidence(50, 50, 0, 50)


@pytest.mark.parametrize("values", [{"failed": 3}, {"slow": -1}, {"dislikers": 1}])
def test_impossible_counts_are_refused(values):
    with pytest.raises(ValueError, match="count"):
        Outcomes(2, **values)
