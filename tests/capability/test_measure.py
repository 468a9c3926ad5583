"""Measuring: rounds that are whole or not at all, budgets, and models that answer oddly or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from capability.model_answers import right_answer

from netgpt.capability.grading import GivenAnswer
from netgpt.capability.measure import Ask, MeasureLimits, Measuring, answer_in
from netgpt.capability.profile import Profile, of_weights
from netgpt.capability.questions import CheckedQuestion
from netgpt.errors import BrokenStream, ModelUnavailable
from netgpt.judgement import TASK_KINDS
from netgpt.testing.server import answer_to

EMPTY = Profile(subject=of_weights("a" * 64), name="tried")
KINDS = ("facts", "arithmetic", "tools")


def told(answer: GivenAnswer) -> dict[str, Any]:
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in answer.calls]
    return answer_to({"messages": []}, lambda body: {"content": answer.text, "tool_calls": calls})


async def knows_all(question: CheckedQuestion) -> Mapping[str, Any]:
    return told(right_answer(question))


async def knows_no_sums(question: CheckedQuestion) -> Mapping[str, Any]:
    return told(GivenAnswer("No idea.") if question.kind == "arithmetic" else right_answer(question))


def run(
    ask: Ask, limits: MeasureLimits, profile: Profile = EMPTY, seed: int = 1, **more: Any
) -> tuple[Profile, Measuring]:
    more.setdefault("kinds", KINDS)
    measuring = Measuring(ask, profile, seed, lambda saved: None, limits, **more)
    return asyncio.run(measuring.run()), measuring


def test_who_knows_all_is_right_in_every_kind_and_who_knows_no_sums_in_none_of_them() -> None:
    all_, _ = run(knows_all, MeasureLimits(rounds=4), kinds=tuple(TASK_KINDS))
    assert {kind: (tally.right, tally.asked) for kind, tally in all_.kinds.items()} == dict.fromkeys(TASK_KINDS, (4, 4))
    some, _ = run(knows_no_sums, MeasureLimits(rounds=4))
    assert (some.kinds["arithmetic"].right, some.kinds["facts"].right) == (0, 4)


def test_a_killed_run_loses_its_last_round_and_goes_on_with_the_same_questions() -> None:
    asked: list[str] = []
    saved: list[Profile] = []

    async def dies(question: CheckedQuestion) -> Mapping[str, Any]:
        asked.append(question.id)
        if len(asked) == 8:  # in the third round
            raise asyncio.CancelledError
        return await knows_all(question)

    cut = Measuring(dies, EMPTY, 1, saved.append, MeasureLimits(rounds=5, at_once=1), KINDS)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cut.run())
    assert saved[-1].rounds == {1: 2}
    assert saved[-1].asked == 6

    rest: list[str] = []

    async def lives(question: CheckedQuestion) -> Mapping[str, Any]:
        rest.append(question.id)
        return await knows_all(question)

    whole, measuring = run(lives, MeasureLimits(rounds=5), saved[-1])
    assert whole.rounds == {1: 5}
    assert whole.asked == 15
    assert not set(rest) & set(asked[:6])
    assert set(asked[6:8]) <= set(rest)
    assert measuring.spent.stopped == "enough"


def test_what_is_whole_is_not_asked_again() -> None:
    whole, _ = run(knows_all, MeasureLimits(rounds=3))
    again, measuring = run(knows_all, MeasureLimits(rounds=3), whole)
    assert (measuring.spent.asked, again) == (0, whole)


@pytest.mark.parametrize(
    ("limits", "stopped"),
    [
        (MeasureLimits(tokens=1_000), "tokens"),
        (MeasureLimits(money=0.001, price_prompt=1.0, price_completion=1.0), "money"),
        (MeasureLimits(seconds=0.0), "time"),
    ],
)
def test_a_budget_is_never_overdrawn(limits: MeasureLimits, stopped: str) -> None:
    profile, measuring = run(knows_all, limits)
    spent = measuring.spent
    assert spent.stopped == stopped
    assert spent.tokens <= (limits.tokens or 10**9)
    assert spent.money <= (limits.money or 10**9)
    assert profile.asked == len(KINDS) * profile.rounds.get(1, 0)


def test_a_model_that_lies_about_its_usage_is_counted_by_its_words() -> None:
    async def cheap(question: CheckedQuestion) -> Mapping[str, Any]:
        return {**told(GivenAnswer("word " * 4_000)), "usage": {"prompt_tokens": 0, "completion_tokens": 0}}

    _, measuring = run(cheap, MeasureLimits(tokens=20_000))
    assert measuring.spent.stopped == "tokens"
    assert measuring.spent.asked <= 10


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": ["x"], "tool_calls": "y"}}]},
        {"choices": [{"message": {"content": None, "tool_calls": [{"function": None}]}}]},
        {"choices": [{"message": {"content": "\ud800" * 100_000}}]},
        {"choices": [{"message": {"content": "x" * 10_000_000}}], "usage": {"prompt_tokens": -5}},
    ],
)
def test_weird_answers_are_not_right_and_end_nothing(answer: dict[str, Any]) -> None:
    async def weird(question: CheckedQuestion) -> Mapping[str, Any]:
        return answer

    profile, measuring = run(weird, MeasureLimits(rounds=2))
    assert measuring.spent.stopped == "enough"
    assert [tally.right for tally in profile.kinds.values()] == [0, 0, 0]


def test_broken_and_endless_answers_do_not_do() -> None:
    async def breaks(question: CheckedQuestion) -> Mapping[str, Any]:
        if question.kind == "facts":
            raise BrokenStream("a line that is not JSON")
        if question.kind == "tools":
            await asyncio.sleep(3600)
        return await knows_all(question)

    profile, measuring = run(breaks, MeasureLimits(rounds=2, answer_s=0.05))
    assert {kind: tally.right for kind, tally in profile.kinds.items()} == {"facts": 0, "arithmetic": 2, "tools": 0}
    assert measuring.spent.failed == 4


def test_a_stalled_model_holds_no_run_beyond_its_time() -> None:
    async def stalls(question: CheckedQuestion) -> Mapping[str, Any]:
        await asyncio.sleep(3600)
        return await knows_all(question)

    profile, measuring = run(stalls, MeasureLimits(seconds=0.2))
    assert measuring.spent.stopped == "time"
    assert profile == EMPTY


def test_a_model_that_is_not_there_ends_the_run_and_is_not_called_stupid() -> None:
    async def gone(question: CheckedQuestion) -> Mapping[str, Any]:
        raise ModelUnavailable("connection refused")

    with pytest.raises(ModelUnavailable, match="connection refused"):
        run(gone, MeasureLimits(rounds=20))
    known, _ = run(knows_all, MeasureLimits(rounds=2))
    profile, measuring = run(gone, MeasureLimits(rounds=20), known)
    assert measuring.spent.stopped == "failures"
    assert profile.kinds["facts"].share == 1.0
    assert measuring.spent.asked < 20


def test_questions_that_may_not_be_asked_count_for_nothing() -> None:
    async def only_facts(question: CheckedQuestion) -> Mapping[str, Any] | None:
        return await knows_all(question) if question.kind == "facts" else None

    profile, _ = run(only_facts, MeasureLimits(rounds=2))
    assert profile.kinds.keys() == {"facts"}


def test_an_answer_is_cut_where_it_is_read() -> None:
    assert len(answer_in({"choices": [{"message": {"content": "x" * 10_000_000}}]}).text) < 100_000
