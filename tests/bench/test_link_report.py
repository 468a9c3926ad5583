"""What the link lab counts: flaps, late answers, quality, and how soon decisions follow; and the picture of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from netgpt_bench.link_lab import KINDS, arrivals
from netgpt_bench.link_plot import svg
from netgpt_bench.link_report import bars, family_rows, flaps, follow_rows, taken_back, total_rows
from netgpt_bench.link_traces import STEPS


def reply(at_s, chosen, kind="chat", outcome="whole", late=False, drawn=False, tokens=24):
    return {"at_s": at_s, "kind": kind, "chosen": chosen, "answered": chosen, "rule": "short", "outcome": outcome,
            "took_s": 1.0, "tokens": tokens, "late": late, "drawn": drawn, "error": ""}  # fmt: skip


def result(family="made", **ways):
    job = {"family": family, "name": "one", "start_s": 0.0, "seconds": 60.0}
    return {"job": job, "rates": [5.0, 0.0, 2.0], "ways": ways, "lag_ms": 1.0}


def lab():
    fine = [reply(at, "edge") for at in range(10)]
    late = [reply(at, "cloud", outcome="refused", late=True) for at in range(10)]
    half = [reply(at, "cloud", late=at < 5) for at in range(10)]
    return result(**{"adaptive": fine, "edge-only": fine, "cloud-only": late, "threshold": half})


def test_a_change_that_is_taken_back_soon_is_a_flap() -> None:
    steady = [reply(at, "edge") for at in range(9)]
    assert flaps(steady) == 0
    assert flaps([*steady, reply(10, "cloud"), reply(11, "cloud")]) == 0, "a change that stays is none"
    assert flaps([*steady, reply(10, "cloud"), reply(11, "edge")]) == 1
    assert flaps([*steady, reply(10, "cloud"), reply(50, "edge")]) == 0, "not soon"
    assert flaps([*steady, reply(10, "cloud", drawn=True), reply(11, "edge")]) == 0, "the explorer drew it"
    assert flaps([reply(1, "edge"), reply(2, "cloud", kind="code"), reply(3, "edge")]) == 0, "another kind of request"


def test_there_back_and_there_again_is_one_flap_and_two_changes_taken_back() -> None:
    replies = [reply(0, "cloud"), reply(5, "edge"), reply(9, "cloud"), reply(19, "edge"), reply(50, "edge")]
    assert flaps(replies) == 1 and taken_back(replies) == 2
    again = [*replies[:-1], reply(25, "cloud")]
    assert flaps(again) == 2 and taken_back(again) == 3
    of = total_rows([result(adaptive=[*again, *(reply(one["at_s"], one["chosen"], kind="code") for one in replies)])])[
        0
    ]
    assert (of["flaps a minute"], of["worst trace"], of["all kinds"]) == (2, 2, 3)
    assert (of["taken back"], of["worst back"]) == (3, 3)


def test_rows_count_what_was_late_and_what_it_was_worth() -> None:
    of = {row["way"]: row for row in total_rows([lab()])}
    assert of["adaptive"]["late"] == 0 and of["adaptive"]["answered"] == 1
    assert of["adaptive"]["quality"] == pytest.approx(KINDS["chat"].quality["edge"])
    assert of["cloud-only"]["answered"] == 0 and of["cloud-only"]["quality"] == 0
    assert of["threshold"]["late"] == 0.5
    assert of["threshold"]["in time"] == pytest.approx(0.475)
    assert [row["family"] for row in family_rows([lab(), result("3G", **lab()["ways"])])] == ["3G"] * 4 + ["made"] * 4


def test_a_part_of_an_answer_is_worth_its_share() -> None:
    rows = total_rows([result(adaptive=[reply(0, "edge", outcome="partial", tokens=12, late=True)])])
    assert rows[0]["quality"] == pytest.approx(0.45)
    assert rows[0]["answered"] == 1 and rows[0]["whole"] == 0


def test_following_begins_with_the_first_of_three_that_do() -> None:
    wanted = [("cloud", 0.0), ("edge", 15.0), ("edge", 30.0), ("cloud", 45.0)]
    rows = []
    for (target, begin), delay in zip(wanted, (0.0, 2.0, 0.0, 20.0), strict=True):
        other = "edge" if target == "cloud" else "cloud"
        rows += [reply(begin + n, target if n >= delay else other, kind="note") for n in range(15)]
    first, second, third = follow_rows([result("steps", adaptive=rows)])
    assert first["worst s"] == 2.0 and first["trials"] == 0
    assert second["worst s"] == 0.0
    assert third["worst s"] == STEPS.length_s - 45


def test_the_bars_say_yes_or_no() -> None:
    shows = bars(total_rows([lab()]), [{"worst s": 2.5}])
    assert all(value.endswith("yes") for value in shows.values())
    assert bars(total_rows([lab()]), [{"worst s": 3.5}])["seconds to follow (<= 3)"].endswith("NO")


def test_arrivals_are_steady_seeded_and_of_one_text_a_kind() -> None:
    asked = arrivals(30, 2, 7)
    assert asked == arrivals(30, 2, 7) != arrivals(30, 2, 8)
    assert len(asked) == 60 and all(0 <= one.at_s <= 30 for one in asked)
    assert [one.at_s for one in asked] == sorted(one.at_s for one in asked)
    assert {one.kind for one in asked} == set(KINDS)
    assert len({one.text for one in asked}) == len(KINDS)


def test_the_picture_is_well_formed_and_shows_every_family() -> None:
    results = [lab(), result("3G", **lab()["ways"])]
    made = {"tables": {"families": family_rows(results), "total": total_rows(results)}, "results": results}
    drawn = svg(made)
    assert ET.fromstring(drawn).tag.endswith("svg")
    for words in ("3G", "made", "adaptive", "cloud-only"):
        assert words in drawn
