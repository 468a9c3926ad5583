"""A personal place leaves as its region where the rules say so, and keeps nothing on a box that cannot answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from boxes import answer, exchange, gateway

from netgpt.context import profile_fact
from netgpt.exchange import Exchange
from netgpt.testing.server import FaultyCloud
from netgpt.types import Person

ADA = Person("local", "ada")


async def asked(
    home: Path, cloud: FaultyCloud, text: str, rules: str = "balanced", model: str = "netgpt/cloud"
) -> Exchange:
    """One request of Ada, who lives in Lyon."""
    async with gateway(home, cloud, policy={"set": rules}) as here:
        await here.store.add_fact(ADA, profile_fact("lives in Lyon, 12 rue Pasteur", "home"))
        await here.store.add_fact(ADA, profile_fact("is vegetarian", "diet"))
        one = exchange(text, model, user="ada")
        await answer(here, one)
        return one


def left(one: Exchange) -> str:
    assert one.outcome.sent is not None
    return "\n".join(str(each["content"]) for each in json.loads(one.outcome.sent.content)["messages"])


async def test_a_place_leaves_as_its_region_and_with_the_rule_that_says_so(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        one = await asked(tmp_path / "home", cloud, "any good restaurants near me?")
    assert "The user lives in Auvergne-Rhône-Alpes, France" in left(one)
    assert not any(word in left(one) for word in ("Lyon", "Pasteur", "vegetarian"))
    account = [(each.kind, each.now, each.policy_rule) for each in one.generalised if each.rule == "profile"]
    assert account == [("PLACE", "region", "stated-place-as-region")]


async def test_the_same_words_in_the_request_stay_hidden(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        one = await asked(tmp_path / "home", cloud, "restaurants near me, I am at 12 rue Pasteur in Lyon")
    assert "Lyon" not in left(one) and "Pasteur" not in left(one) and one.hidden


@pytest.mark.parametrize("rules", ["strict", "health"])
async def test_other_rules_have_their_own_say(tmp_path: Path, rules: str) -> None:
    with FaultyCloud() as cloud:
        one = await asked(tmp_path / "home", cloud, "any good restaurants near me?", rules)
    assert ("Auvergne" in left(one)) is (rules == "health")
    assert not any(word in left(one) for word in ("Lyon", "Pasteur", "vegetarian"))


async def test_a_fact_that_leaves_in_no_form_still_counts_as_one_that_stays(tmp_path: Path) -> None:
    """Nothing is known of this edge, so the box is taken to be able: the diet keeps the request, the home would not."""
    with FaultyCloud() as cloud:
        kept = await asked(tmp_path / "one", cloud, "ideas for dinner", model="netgpt")
        assert kept.decision.name == "edge" and kept.decision.rule == "personal"
