"""Profiles: intervals, merging, shrinking, and what bad files get."""

from __future__ import annotations

import json

import pytest

from netgpt.capability.profile import (
    Profile,
    ProfileList,
    Tally,
    differ,
    in_order,
    of_remote,
    of_weights,
    wilson,
)
from netgpt.errors import RequestError
from netgpt.judgement import TASK_KINDS

ONE, OTHER = of_weights("a" * 64), of_weights("b" * 64)


def profile(subject: str = ONE, seed: int = 1, **kinds: tuple[int, int]) -> Profile:
    tallies = {kind.replace("_", "-"): Tally(right=right, asked=asked) for kind, (right, asked) in kinds.items()}
    return Profile(subject=subject, name="tried", rounds={seed: 24}, kinds=tallies)


def test_wilson_s_interval_is_the_published_one() -> None:
    """Newcombe, Stat. Med. 17 (1998), table 1: 81 of 263, 15 of 148, 0 of 20, 29 of 29."""
    for (right, asked), (low, high) in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (29, 29): (0.8830, 1.0),
    }.items():
        assert wilson(right, asked) == pytest.approx((low, high), abs=2e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_merged_figures_are_the_sum() -> None:
    both = profile(facts=(6, 24), code=(0, 24)).merged(profile(seed=2, facts=(8, 24), dates=(3, 24)))
    assert both.kinds["facts"] == Tally(right=14, asked=48)
    assert both.kinds["dates"] == Tally(right=3, asked=24)
    assert both.rounds == {1: 24, 2: 24}
    assert both.asked == 96


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (profile(OTHER, 2), "other weights"),
        (profile(ONE, 1), "same questions"),
        (profile(ONE, 2).model_copy(update={"questions": 2}), "editions"),
    ],
)
def test_what_must_not_be_added_is_refused(other: Profile, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        profile().merged(other)


def test_a_kind_is_drawn_to_the_mean_the_more_the_fewer_were_asked() -> None:
    few = profile(facts=(2, 2), arithmetic=(0, 40), dates=(20, 40))
    many = profile(facts=(200, 200), arithmetic=(0, 40), dates=(20, 40))
    assert 0.5 < (few.chance("facts") or 0) < 0.65
    assert (many.chance("facts") or 0) > 0.95
    assert few.chance("code") == pytest.approx(0.5)  # never asked: the mean of the kinds


def test_published_scores_stand_before_the_mean_and_give_way_to_what_is_measured() -> None:
    told = {"code": 0.8}
    assert profile(facts=(10, 20)).chance("code", told) == pytest.approx(0.8)
    assert (profile(facts=(10, 20), code=(0, 200)).chance("code", told) or 1) < 0.05


def test_of_a_kind_whose_form_alone_is_seen_no_more_is_claimed_than_the_form_allows() -> None:
    measured = profile(facts=(2, 24), code=(0, 24), creative=(24, 24), chat=(1, 24))
    assert (measured.chance("creative") or 1) < 0.7
    assert (measured.chance("chat") or 1) <= 1 / 24


def test_nothing_measured_claims_nothing() -> None:
    assert all(profile().chance(kind) is None for kind in TASK_KINDS)
    assert profile(creative=(24, 24)).chance("creative") is None


def test_two_measurements_differ_only_beyond_chance() -> None:
    assert not differ(Tally(right=10, asked=24), Tally(right=15, asked=24))
    assert differ(Tally(right=4, asked=24), Tally(right=18, asked=24))
    assert not differ(Tally(), Tally(right=18, asked=24))
    assert not differ(Tally(right=0, asked=24), Tally(right=2, asked=12))  # p = 66 / 630
    assert differ(Tally(right=0, asked=24), Tally(right=4, asked=12))  # p = 495 / 58,905


def test_a_list_gives_a_profile_to_its_own_weights_only() -> None:
    held = ProfileList.parse(ProfileList(profiles={ONE: profile(facts=(6, 24))}).model_dump_json().encode())
    assert held.of(ONE) == profile(facts=(6, 24)).model_copy(update={"measured": held.profiles[ONE].measured})
    assert held.of(OTHER) is None


GOOD = json.loads(ProfileList(profiles={ONE: profile(facts=(6, 24))}).model_dump_json())


def changed(**fields: object) -> bytes:
    return json.dumps({**GOOD, "profiles": {ONE: {**GOOD["profiles"][ONE], **fields}}}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        json.dumps(GOOD).encode()[:-20],
        b"\x00\xff" * 50,
        b"[" * 100_000,
        b"null",
        b'{"version": 2, "profiles": {}}',
        changed(subject=OTHER),
        changed(subject="weights:x"),
        changed(kinds={"facts": {"right": 25, "asked": 24}}),
        changed(kinds={"facts": {"right": -1, "asked": 24}}),
        changed(kinds={"facts": {"right": 1e400, "asked": 24}}),
        changed(kinds={"facts": {"right": 10**9, "asked": 10**9}}),
        changed(kinds=7),
        changed(more="x"),
    ],
)
def test_a_damaged_list_is_refused_whole(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a list of profiles"):
        ProfileList.parse(data)


def test_of_older_questions_nothing_is_believed() -> None:
    assert ProfileList.parse(changed(questions=0)).of(ONE) is None


def test_a_remote_is_known_by_address_and_name_and_tells_neither() -> None:
    assert of_remote("https://a.example/v1/", "m") == of_remote("https://a.example/v1", "m")
    assert of_remote("https://a.example/v1", "m") != of_remote("https://a.example/v1", "n")
    assert "example" not in of_remote("https://a.example/v1", "m")


def test_kinds_in_order_and_an_unknown_one_named() -> None:
    assert in_order(["dates", "facts"]) == ["facts", "dates"]
    with pytest.raises(RequestError, match="cooking"):
        in_order(["facts", "cooking"])
