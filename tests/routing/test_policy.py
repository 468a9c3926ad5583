from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.features import Features, features_of
from netgpt.routing.policy import Situation, decide
from netgpt.settings import Routing

RULES = Routing()


def situation(text: str = "hi", **changes: Any) -> Situation:
    usual = Situation(
        asked="auto",
        features=features_of({"messages": [{"role": "user", "content": text}]}),
        edge_ok=True,
        edge_detail="ready",
        cloud_ok=True,
        cloud_detail="ready",
        may_leave=True,
        kept_because=None,
    )
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("given_", "route", "rule"),
    [
        (situation("tell me a joke"), "edge", "short"),
        (situation("word " * 60), "cloud", "length"),
        (situation("write a python function that sorts a list"), "cloud", "kind"),
        (situation("compare the two plans"), "cloud", "kind"),
        (situation("hi", asked="cloud"), "cloud", "asked"),
        (situation("word " * 60, asked="edge"), "edge", "asked"),
        (situation("compare it", sensitive=("CARD",)), "edge", "sensitive"),
        (situation("compare it", personal_facts=True), "edge", "personal"),
        (situation("compare it", cloud_ok=False), "edge", "cloud-down"),
        (situation("compare it", may_leave=False, kept_because="the detector is gone"), "edge", "kept"),
        (situation("hi", edge_ok=False), "cloud", "edge-down"),
        (situation("x" * 20_000), "cloud", "context"),
    ],
)
def test_rules(given_: Situation, route: str, rule: str) -> None:
    decision = decide(given_, RULES)
    assert (decision.route, decision.rule) == (route, rule)
    assert decision.reason


@given(
    asked=st.sampled_from(["auto", "edge", "cloud"]),
    edge_ok=st.booleans(),
    cloud_ok=st.booleans(),
    may_leave=st.booleans(),
    sensitive=st.booleans(),
    personal=st.booleans(),
    text=st.text(max_size=200),
)
def test_nothing_goes_to_the_cloud_unless_it_may_leave(
    asked: str, edge_ok: bool, cloud_ok: bool, may_leave: bool, sensitive: bool, personal: bool, text: str
) -> None:
    here = situation(
        text or "x", asked=asked, edge_ok=edge_ok, cloud_ok=cloud_ok, may_leave=may_leave,
        sensitive=("CARD",) if sensitive else (), personal_facts=personal,
    )  # fmt: skip
    try:
        decision = decide(here, RULES)
    except ModelUnavailable:
        assert not edge_ok
        return
    if "cloud" in (decision.route, *decision.fallbacks):
        assert may_leave and cloud_ok and asked != "edge"
    if decision.route == "edge":
        assert edge_ok
    if sensitive and asked == "auto":
        assert decision.route == "edge" and not decision.fallbacks


PICTURE = {
    "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]
}


def test_a_picture_goes_where_it_can_be_read_or_is_refused() -> None:
    picture = features_of(PICTURE)
    assert decide(situation(features=picture), RULES).route == "cloud"
    assert not decide(situation(features=picture), RULES).fallbacks
    for changes in ({"may_leave": False, "kept_because": "images stay"}, {"asked": "edge"}, {"cloud_ok": False}):
        with pytest.raises(RequestError, match=r"privacy\.media"):
            decide(situation(features=picture, **changes), RULES)
    sees = situation(features=picture, edge_reads_media=True, may_leave=False, kept_because="images stay")
    assert decide(sees, RULES).route == "edge"


def test_sensitive_content_waits_for_the_edge() -> None:
    with pytest.raises(ModelUnavailable, match="stays on the box"):
        decide(situation("my card", sensitive=("CARD",), edge_ok=False), RULES)


def test_both_down_says_why_for_both() -> None:
    with pytest.raises(ModelUnavailable, match=r"Edge: starting. Cloud: no cloud is configured"):
        decide(
            situation(edge_ok=False, edge_detail="starting", cloud_ok=False, cloud_detail="no cloud is configured"),
            RULES,
        )


@given(st.recursive(st.none() | st.text() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_features_never_raise(content: object) -> None:
    assert isinstance(features_of({"messages": [{"role": "user", "content": content}]}), Features)
