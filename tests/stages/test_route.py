"""The route stage: what it looks at, and what it tells of its decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boxes import OWNER, answer, exchange, gateway

from netgpt.exchange import Exchange, Request
from netgpt.routing.candidates import Assessed
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Caller, Role

PRICES = {"price_prompt": 5.0, "price_completion": 15.0}
HARD = "compare the two plans"


def chain(text: str, caller: Caller = OWNER, **fields: Any) -> Exchange:
    body = {"messages": [{"role": "user", "content": text}]}
    return Exchange(Request(body=body, user="ada", complete="off", **fields), caller)


async def test_a_request_a_key_and_the_settings_prefer_in_this_order(tmp_path: Path) -> None:
    cheap_key = Caller("local", Role.USER, key_id="key_1", prefer="cheap")
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud, prices=PRICES, routing={"prefer": "quality"}) as here:
            for one, weights, route in (
                (chain(HARD), "quality", "cloud"),
                (chain(HARD, cheap_key), "cheap", "edge"),
                (chain(HARD, cheap_key, prefer="quality"), "quality", "cloud"),
            ):
                await answer(here, one)
                assert (one.outcome.answered_by.weights, one.outcome.answered_by.route) == (weights, route)


async def test_a_key_whose_money_is_nearly_spent_is_answered_on_the_box(tmp_path: Path) -> None:
    poor = Caller("local", Role.USER, key_id="key_1", budget_left=1e-6)
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud, prices=PRICES) as here:
            one = chain(HARD, poor)
            await answer(here, one)
            assert (one.outcome.answered_by.route, one.outcome.answered_by.rule) == ("edge", "budget")
        assert cloud.received == []


async def test_every_decision_is_kept_with_its_targets_and_its_counterfactual(tmp_path: Path) -> None:
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud, prices=PRICES) as here:
            one = chain(HARD)
            await answer(here, one)
            row = await here.store.exchange(one.id)
            assert row is not None and row.private is not None
            report = row.private["decision"]
            assert (report["arm"], report["rule"], report["weights"]) == ("cloud", "kind", "balanced")
            assert [target["arm"] for target in report["expected"]] == ["edge", "cloud"]
            assert "would have answered" in report["counterfactual"] and "`cheap`" in report["counterfactual"]
            assert "plans" not in str(report)
            easy = chain("tell me a joke")
            await answer(here, easy)
            assert (easy.outcome.answered_by.name, easy.outcome.answered_by.rule) == ("edge", "short")


async def test_a_box_alone_says_why_the_cloud_was_not_asked(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home") as here:
        one = chain(HARD)
        await answer(here, one)
        cloud = one.outcome.answered_by.expected[1]
        assert (cloud.target, cloud.ruled_out) == ("cloud", "no cloud is configured")
        assert "cloud" not in one.outcome.answered_by.fallbacks


async def test_difficulty_is_read_only_where_there_is_a_choice(tmp_path: Path) -> None:
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            read: list[str] = []

            def reader(text: str) -> Assessed:
                read.append(text)
                return Assessed(0.05 if "riddle" in text else 0.9, (0.5,))

            here.routing_service.context.assess = reader
            for one in (chain("hi", model="netgpt/cloud"), chain("hi", model="netgpt/edge")):
                await answer(here, one)
            assert read == []
            hard = chain("a riddle for you")
            await answer(here, hard)
            assert (hard.outcome.answered_by.route, hard.outcome.answered_by.features) == ("cloud", (0.5,))
            await answer(here, chain("word " * 1_000))
            assert [len(text) for text in read] == [16, 2_000]


async def test_kind_and_prior_decide_where_they_are_known_and_stand_in_the_explanation(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def skill(target: str, kind: str) -> float:
        asked.append((target, kind))
        return 0.95 if target == "cloud" else 0.1 if kind == "word-problems" else 0.9

    text = "Ann picks 48 pears and gives a quarter of them to each of her 2 aunts. How many pears are left?"
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            here.routing_service.context.prior = skill
            await answer(here, chain(text, model="netgpt/edge"))
            assert asked == [], "who names a target pays nothing"
            one = chain(text)
            await answer(here, one)
            assert (one.outcome.answered_by.name, one.outcome.answered_by.rule) == ("cloud", "kind")
            row = await here.store.exchange(one.id)
            assert row is not None and row.private is not None
            report = row.private["decision"]
            assert report["kind"]["name"] == "word-problems" and report["kind"]["chance"] > 0.5
            assert [target["prior"] < 0.3 for target in report["expected"]] == [True, False]
            assert here.routing_service.kind_of(text).name == "word-problems"


async def test_how_much_leaves_counts(tmp_path: Path) -> None:
    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            plain, private = chain(HARD), chain(f"{HARD} of ada@example.org and bob@example.org")
            for one in (plain, private):
                await answer(here, one)
            exposed = [one.decision.expected[1].exposure for one in (plain, private)]
            assert 0 < exposed[0] < exposed[1] <= 1


async def test_a_dry_run_tells_the_decision_and_what_would_change_it(tmp_path: Path) -> None:
    from netgpt.web.told import explained

    with FaultyCloud("far") as cloud:
        async with gateway(tmp_path / "home", cloud, prices=PRICES) as here:
            one = chain(HARD, dry_run=True)
            await answer(here, one)
            report = explained(one)
            assert report["leaves"] == "yes" and report["destination"]["arm"] == "cloud"
            assert report["decision"]["expected"][0]["arm"] == "edge" and report["decision"]["counterfactual"]
            easy = chain("tell me a joke", dry_run=True)
            await answer(here, easy)
            assert explained(easy)["leaves"] == "only if the edge fails"
        assert cloud.received == []


async def test_nobody_there_is_reported_for_each(tmp_path: Path) -> None:
    import pytest

    from netgpt.errors import ModelUnavailable

    async with gateway(tmp_path / "home", edge=ScriptedModel("x", down="starting")) as here:
        with pytest.raises(ModelUnavailable, match=r"Edge: starting. Cloud: no cloud is configured."):
            await here.workflow.run(exchange("hello there", complete="off"))
