"""recall and the ledger of consents: what a person allows is used, what is taken back is not, at the next request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from boxes import FAR_AWAY, answer, exchange, gateway

from netgpt.app.gateway import Gateway
from netgpt.context import profile_fact
from netgpt.exchange import Exchange
from netgpt.stages.complete import MANY_FACTS
from netgpt.testing.server import FaultyCloud
from netgpt.types import Label, Person

ADA = Person("local", "ada")
SITE = {"name": "the Harbour Street library", "city": "Portwick", "country": "United Kingdom"}


async def asked(here: Gateway, text: str = "will it rain tomorrow", **fields: Any) -> tuple[Exchange, str]:
    """The exchange after its end, and what left."""
    one = exchange(text, "netgpt/cloud", **fields)
    await answer(here, one)
    return one, one.outcome.sent.content.decode() if one.outcome.sent is not None else ""


async def test_a_standing_consent_counts_like_the_requests_own(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, site=SITE) as here:
            _, left = await asked(here, location=FAR_AWAY)
            assert "Paris" not in left
            await here.store.consents.say(ADA, "location", True)
            one, left = await asked(here, location=FAR_AWAY)
            assert "Paris" in left and "48.8" not in left and one.consents == {"location"}
            await here.store.consents.say(ADA, "location", False)
            for consent in (frozenset[str](), frozenset({"location"})):  # the person's word stands above the program's
                one, left = await asked(here, location=FAR_AWAY, consent=consent)
                assert "Paris" not in left and "Portwick" not in left and one.consents == set()
                assert not any(fact.kind == "place" for fact in one.facts)
            one, left = await asked(here)
            assert "Portwick" in left  # the site's own place is nobody's


async def test_a_consent_is_for_its_time_and_its_third_party(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, site=SITE) as here:
            say = here.store.consents.say
            await say(ADA, "location", True, ends=now + timedelta(hours=1), third_party="other.example")
            assert "Paris" not in (await asked(here, location=FAR_AWAY))[1]
            await say(ADA, "location", True, ends=now + timedelta(hours=1), third_party="127.0.0.1")
            assert "Paris" in (await asked(here, location=FAR_AWAY))[1]
            await say(ADA, "location", True, begins=now - timedelta(hours=2), ends=now - timedelta(hours=1))
            one, left = await asked(here, location=FAR_AWAY)  # the last word is for everybody, and it has ended
            assert "Paris" not in left and one.consents == set()


async def test_of_many_facts_each_private_value_is_known_and_a_new_one_at_the_next_request(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home") as here:
        for number in range(MANY_FACTS):
            await here.store.add_fact(ADA, profile_fact(f"keeps box ZX-{4000 + number}", "note"))
        before = await asked_here(here)
        assert before == await asked_here(here) and "ZX-4000" in before and f"ZX-{3999 + MANY_FACTS}" in before
        id = await here.store.add_fact(ADA, profile_fact("keeps box QQ-7777", "note"))
        assert "QQ-7777" in await asked_here(here)
        await here.store.remove_fact(ADA, id)
        assert await asked_here(here) == before
        assert await asked_here(here, user="bob") == set()


async def asked_here(here: Gateway, **fields: Any) -> set[str]:
    """The private values of a request."""
    one = exchange("hello", "netgpt/edge", **fields)
    await answer(here, one)
    return {value for _, value in one.private_values}


@pytest.mark.parametrize("third_party", [None, "127.0.0.1"])
async def test_a_profile_taken_back_is_not_used_and_still_hidden(tmp_path: Path, third_party: str | None) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await here.store.add_fact(ADA, profile_fact("is vegetarian", "diet", Label.PUBLIC))
            await here.store.add_fact(ADA, profile_fact("is allergic to hazelnuts", "allergy"))
            one, left = await asked(here, "ideas for dinner tonight")
            assert "vegetarian" in left and {"diet", "allergy"} <= {fact.kind for fact in one.facts}
            await here.store.consents.say(ADA, "profile", False, third_party=third_party)
            one, left = await asked(here, "dinner for a vegetarian who must not eat hazelnuts")
            assert "vegetarian" not in left and "hazelnut" not in left
            used = {fact.kind for fact in one.facts} & {"diet", "allergy"}
            assert used == (set() if third_party is None else {"diet", "allergy"})
            await here.store.consents.say(ADA, "profile", True)
            _, left = await asked(here, "ideas for dinner tonight")
            assert "vegetarian" in left


async def test_another_persons_word_changes_nothing(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, site=SITE) as here:
            await here.store.consents.say(Person("local", "bob"), "location", True)
            await here.store.consents.say(Person("acme", "ada"), "location", True)
            assert "Paris" not in (await asked(here, location=FAR_AWAY))[1]


async def test_of_several_receivers_each_must_have_the_consent(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        ups = [{"name": "b", "base_url": "http://b.example/v1", "model": "m"}]
        async with gateway(tmp_path / "home", cloud, site=SITE, upstreams=ups) as here:  # type: ignore[arg-type]
            say = here.store.consents.say
            await say(ADA, "location", True, third_party="127.0.0.1")
            one, left = await asked(here, location=FAR_AWAY)
            assert "Paris" not in left and one.consents == set()
            await say(ADA, "location", True, third_party="b.example")
            assert "Paris" in (await asked(here, location=FAR_AWAY))[1]
            await say(ADA, "location", False, third_party="b.example")
            one, left = await asked(here, location=FAR_AWAY)
            assert "Paris" not in left and not any(fact.kind == "place" for fact in one.facts)
