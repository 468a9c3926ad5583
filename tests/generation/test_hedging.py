"""When a request is sent twice, to whom, and how often at most."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netgpt.generation.fallback import Hedging
from netgpt.settings.routing import Routing
from netgpt.settings.sections import Cloud


def hedging(**rules: Any) -> Hedging:
    return Hedging(Routing(hedge="any", **rules), {"dear": Cloud(price_prompt=5.0), "cheap": Cloud(price_prompt=1.0)})


@given(st.floats(0.01, 0.1), st.integers(0, 2_000))
def test_never_more_than_the_share(share: float, requests: int) -> None:
    hedges = hedging(hedge_share=share)
    for _ in range(requests):
        hedges.seen()
        hedges.take()
    assert hedges.hedged <= 1 + share * requests


def test_what_is_late_is_learnt_from_each_target_and_each_kind_of_answer() -> None:
    hedges = hedging()
    assert hedges.late_s("cheap", True) is None
    for tenth in range(1, 101):
        hedges.began("cheap", True, tenth / 10)
    assert hedges.late_s("cheap", True) == 9.5
    assert hedges.late_s("cheap", False) is None and hedges.late_s("dear", True) is None
    assert hedging(hedge_after_s=0.3).late_s("cheap", True) == 0.3


def test_the_edge_is_the_rival_where_it_may_be_else_the_cheapest() -> None:
    assert hedging().rival("dear", ["cheap", "edge"]) == "edge"
    assert hedging().rival("edge", ["dear", "cheap"]) == "cheap"
    assert hedging().rival("dear", []) is None
    alone = Hedging(Routing(hedge="edge"), {})
    assert alone.rival("dear", ["cheap"]) is None and alone.rival("dear", ["cheap", "edge"]) == "edge"
    assert alone.on and not Hedging(Routing(), {}).on
