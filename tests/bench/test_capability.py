"""The table of `netgpt bench capability`, without a model."""

from __future__ import annotations

from netgpt_bench.capability import compared

from netgpt.capability.profile import Profile, Tally, of_weights
from netgpt.judgement import TASK_KINDS


def profile(**kinds: tuple[int, int]) -> Profile:
    tallies = {kind: Tally(right=right, asked=asked) for kind, (right, asked) in kinds.items()}
    return Profile(subject=of_weights("a" * 64), name="tried", kinds=tallies)


def test_two_measurements_stand_side_by_side_with_the_interval_of_both() -> None:
    rows = {row["kind"]: row for row in compared("m", profile(facts=(6, 24), code=(1, 24)), profile(facts=(9, 24)))}
    assert rows.keys() == set(TASK_KINDS)
    facts = rows["facts"]
    assert (facts["first"], facts["second"], facts["right"], facts["outside"]) == ("6/24", "9/24", 0.312, False)
    assert facts["low"] < facts["right"] < facts["high"]
    assert (rows["code"]["second"], rows["code"]["outside"]) == ("0/0", False)
    assert (rows["dates"]["low"], rows["dates"]["high"]) == (0.0, 1.0)


def test_what_chance_does_not_explain_is_named() -> None:
    (facts, *_) = compared("m", profile(facts=(2, 24)), profile(facts=(20, 24)))
    assert facts["outside"] is True
