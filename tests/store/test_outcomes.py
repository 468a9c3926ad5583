"""Counts by adapter, from recorded exchanges."""

from __future__ import annotations

from typing import Any

from netgpt.adapters.canary import Outcomes
from netgpt.store.exchanges import PER_PERSON, count_outcomes


def _row(user="ada", status="complete", rating=None, first=100.0, adapters=("site@1",)):
    return ("t", user, status, rating, {"first_token": first}, list(adapters))


def test_each_version_has_its_own_counts():
    rows = [
        _row("ada"),
        _row("ben", "failed"),
        _row("cid", rating=-1, adapters=["site@2", "complete@1"]),
        _row("dan", first=900.0, adapters=["site@2"]),
        _row("eve", adapters=["complete@1"]),
        _row("fay", "cancelled"),
    ]
    counts = count_outcomes(rows, "site@2", "site@1")
    assert Outcomes(**counts["canary"]) == Outcomes(2, disliked=1, slow=1, dislikers=1)
    assert Outcomes(**counts["active"]) == Outcomes(2, failed=1)


def test_without_an_active_version_those_without_the_name_are_compared_with():
    rows = [
        _row("ada", adapters=["site@2"]),
        _row("ben", adapters=[]),
        _row("cid", adapters=["complete@1"]),
        _row("dan"),
    ]
    counts = count_outcomes(rows, "site@2", None)
    assert (counts["canary"]["exchanges"], counts["active"]["exchanges"]) == (1, 2)


def test_one_person_counts_a_few_times_only():
    rows = [_row("ada", rating=-1, adapters=["site@2"]) for _ in range(PER_PERSON * 3)]
    assert count_outcomes(rows, "site@2", "site@1")["canary"]["exchanges"] == PER_PERSON


def test_without_times_nothing_is_slow():
    rows: list[Any] = [("t", "ada", "complete", None, None, None), ("t", "ben", "complete", None, {}, ["site@2"])]
    assert count_outcomes(rows, "site@2", None)["canary"]["slow"] == 0
