"""The whole line in one process: what each stage promises, seen from outside."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from boxes import FAR_AWAY, answer, exchange, gateway

from netgpt.app.gateway import Gateway
from netgpt.context import profile_fact
from netgpt.errors import DetectorError, ModelTimeout, ModelUnavailable, PermissionDenied, StoreError
from netgpt.exchange import Exchange, Request
from netgpt.privacy.detector import LocalDetector
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Caller, Label, Person, Role, Span, Usage

SITE = {"name": "the Harbour Street library", "city": "Portwick", "country": "United Kingdom"}
ADA = Person("local", "ada")


async def left(one: Exchange) -> str:
    return one.outcome.sent.content.decode() if one.outcome.sent is not None else ""


async def test_the_box_answers_alone_and_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home") as here:
        one = exchange("tell me a joke", "netgpt/cloud")
        assert await answer(here, one) == "the edge says so"
        assert one.outcome.answered_by.reason == "the box answers: no cloud is configured"
        row = await here.store.exchange(one.id)
        assert row is not None and row.private is not None
        assert row.private["outbound"] is None and row.private["kept_because"] == "no cloud is configured"


async def test_public_facts_leave_and_personal_ones_stay(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, site=SITE) as here:
            await here.store.add_fact(ADA, profile_fact("is vegetarian", "diet", Label.PUBLIC))
            await here.store.add_fact(ADA, profile_fact("is allergic to hazelnuts", "allergy", Label.PERSONAL))
            one = exchange("ideas for dinner tonight", "netgpt/cloud")
            said = await answer(here, one)
            assert {fact.kind for fact in one.chosen} >= {"diet", "allergy"}
            assert "vegetarian" in await left(one) and "hazelnut" not in await left(one)
            assert said.startswith("ideas for dinner tonight")
            auto = exchange("ideas for dinner tonight")
            await answer(here, auto)
            assert auto.outcome.answered_by.rule == "personal" and auto.outcome.sent is None
            assert "hazelnuts" in str(auto.messages)


async def test_dates_that_are_counted_leave_shifted_and_come_back(tmp_path: Path) -> None:
    with FaultyCloud(chunk_size=3) as cloud:
        async with gateway(tmp_path / "home", cloud, detector=LocalDetector()) as here:
            text = "How many days lie between the two? Lena Vogel moved in on 2023-05-02 and moved out on 2023-06-11."
            one = exchange(text, "netgpt/cloud", stream=True)
            assert text in await answer(here, one)
            assert "2023-05-02" not in await left(one) and "2023-06-11" not in await left(one)
            assert [(g.now, g.count) for g in one.generalised if g.kind == "DATE"] == [("shifted", 2)]


async def test_the_sites_own_place_is_not_hidden_but_the_persons_is(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, site=SITE, detector=LocalDetector()) as here:
            one = exchange("will it rain tomorrow", "netgpt/cloud")
            await answer(here, one)
            assert "Portwick" in await left(one)
            away = exchange("will it rain tomorrow", "netgpt/cloud", location=FAR_AWAY)
            await answer(here, away)
            assert any("Paris" in fact.text for fact in away.facts)
            assert "Paris" not in await left(away) and "48.8" not in await left(away)
            agreed = exchange("will it rain", "netgpt/cloud", location=FAR_AWAY, consent=frozenset({"location"}))
            await answer(here, agreed)
            assert "Paris" in await left(agreed) and "48.8" not in await left(agreed)


async def test_placeholders_are_stable_within_a_conversation(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            texts = ["Write to ada@example.org", "and to bob@example.org, copy ada@example.org"]
            for text in texts:
                await answer(here, exchange(text, "netgpt/cloud", conversation="one", complete="off"))
        async with gateway(tmp_path / "home", cloud) as again:
            await answer(again, exchange("bob@example.org?", "netgpt/cloud", conversation="one", complete="off"))
            await answer(again, exchange("bob@example.org?", "netgpt/cloud", conversation="two", complete="off"))
        said = [json.loads(request.body)["messages"][-1]["content"] for request in cloud.received]
        assert said == ["Write to [EMAIL_1]", "and to [EMAIL_2], copy [EMAIL_1]", "[EMAIL_2]?", "[EMAIL_1]?"]


class BrokenDetector(LocalDetector):
    """A detector that always fails."""

    async def detect(self, *args: Any, **kwargs: Any) -> list[list[Span]]:
        raise DetectorError("the detector is gone; nothing was sent")


class HangingDetector(LocalDetector):
    """A detector that never comes back."""

    async def detect(self, *args: Any, **kwargs: Any) -> list[list[Span]]:
        await asyncio.sleep(3600)
        return []


@pytest.mark.parametrize("detector", [BrokenDetector(names=False), HangingDetector(names=False)])
async def test_a_failing_detector_means_that_nothing_leaves(tmp_path: Path, detector: LocalDetector) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, detector=detector, privacy={"timeout_s": 0.2}) as here:
            one = exchange("write to ada@example.org", "netgpt/cloud", complete="off")
            assert await answer(here, one) == "the edge says so"
            assert one.outcome.answered_by.rule == "kept" and one.block_reason
        assert cloud.received == []


async def test_without_edge_and_detector_it_is_503_and_recorded(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        edge = ScriptedModel("x", down="starting")
        async with gateway(tmp_path / "home", cloud, edge=edge, detector=BrokenDetector(names=False)) as here:
            one = exchange("write to ada@example.org", complete="off")
            with pytest.raises(ModelUnavailable, match="nobody can answer now") as error:
                await here.workflow.run(one)
            assert error.value.status == 503
            row = await here.store.exchange(one.id)
            assert row is not None and row.status == "failed"
        assert cloud.received == []


async def test_usage_and_cost_are_booked(tmp_path: Path) -> None:
    with FaultyCloud("one two three") as cloud:
        prices = {"price_prompt": 1_000_000.0, "price_completion": 2_000_000.0}
        async with gateway(tmp_path / "home", cloud, prices=prices) as here:
            one = exchange("four words of mine", "netgpt/cloud", complete="off")
            await answer(here, one)
            row = await here.store.exchange(one.id)
            assert row is not None and (row.prompt_tokens, row.completion_tokens, row.cost) == (4, 3, 10.0)
            cloud.schedule(Fault.CUT)
            cut = exchange("four words of mine", "netgpt/cloud", complete="off", stream=True)
            with pytest.raises(Exception, match="cut"):
                await answer(here, cut)
            row = await here.store.exchange(cut.id)
            assert row is not None and row.estimated and row.prompt_tokens > 0 and row.status == "failed"


async def test_the_end_of_an_answer_waits_for_the_row(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", edge=ScriptedModel("one two three four", chunk_size=4)) as here:
        one = exchange("hello", stream=True, complete="off")
        await here.workflow.run(one)
        async for chunk in one.chunks:
            if any(choice.get("finish_reason") for choice in chunk.get("choices") or ()):
                row = await here.store.exchange(one.id)
                assert row is not None and row.status == "complete"
                break
        else:
            pytest.fail("no finish")


async def test_a_full_store_never_ends_as_a_clean_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", store={"min_free_bytes": 10**17}) as here:
        one = exchange("hello", stream=True, complete="off")
        await here.workflow.run(one)
        finished: list[Any] = []
        with pytest.raises(StoreError) as error:
            async for chunk in one.chunks:
                finished += [c["finish_reason"] for c in chunk.get("choices") or () if c.get("finish_reason")]
        assert finished == [] and error.value.status == 507 and "min_free_bytes" in error.value.message


async def test_a_refused_connection_is_not_told_as_left(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            cloud.stop()
            one = exchange("hello there", "netgpt/cloud", complete="off")
            assert await answer(here, one) == "the edge says so"
            row = await here.store.exchange(one.id)
            assert row is not None and row.private is not None
            assert row.private["outbound"] is None and "cannot be reached" in row.private["kept_because"]


async def test_what_a_failing_cloud_got_counts_as_left(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            cloud.schedule(Fault.SERVER_ERROR)
            one = exchange("hello there", "netgpt/cloud", complete="off")
            assert await answer(here, one) == "the edge says so"
            row = await here.store.exchange(one.id)
            assert row is not None and row.private is not None and row.private["outbound"] is not None


async def test_the_deadline_holds(tmp_path: Path) -> None:
    slow = ScriptedModel("one two three", delay_s=0.3, chunk_size=1)
    async with gateway(tmp_path / "home", edge=slow, server={"deadline_s": 0.5}) as here:
        one = exchange("hello", stream=True, complete="off")
        with pytest.raises(ModelTimeout, match="deadline_s"):
            await answer(here, one)


async def test_a_bound_key_speaks_for_one_person(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home") as here:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        one = Exchange(Request(body=body, user="bob"), Caller("t", Role.USER, bound_user="ada"))
        with pytest.raises(PermissionDenied):
            await here.workflow.run(one)


async def test_texts_are_not_kept_when_the_owner_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", store={"keep_text": False}) as here:
        one = exchange("hello")
        await answer(here, one)
        row = await here.store.exchange(one.id)
        assert row is not None and row.private is None and row.completion_tokens > 0


async def test_personal_values_are_hidden_in_the_persons_own_words(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await here.store.add_fact(ADA, profile_fact("drives a red Fiat Panda", "car"))
            one = exchange("Is my FIAT PANDA worth repairing?", "netgpt/cloud", complete="off")
            assert await answer(here, one) == "Is my FIAT PANDA worth repairing?"
            assert "panda" not in (await left(one)).lower()
            other = exchange("Is my Fiat Panda worth repairing?", "netgpt/cloud", user="bob", complete="off")
            await answer(here, other)
            assert "Fiat Panda" in await left(other)


async def test_a_sensitive_fact_keeps_the_request_on_the_box(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            await here.store.add_fact(ADA, profile_fact("has diabetes", "health", Label.SENSITIVE))
            one = exchange("explain why diabetes makes me tired", complete="off")
            assert await answer(here, one) == "the edge says so"
            assert one.outcome.answered_by.rule == "sensitive"
        assert cloud.received == []


@pytest.mark.parametrize("silly", [-5, 2**63, True, "7", None])
async def test_a_silly_count_of_tokens_is_estimated_instead(silly: Any) -> None:
    assert Usage.from_openai({"prompt_tokens": silly, "completion_tokens": 1}) is None


async def test_completion_can_be_off_by_profile_and_by_request(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", site=SITE) as here:
        assert await chosen_count(here) > 0
        await here.store.set_profile(ADA, "off")
        assert await chosen_count(here) == 0
        assert await chosen_count(here, complete="select") > 0


async def chosen_count(here: Gateway, **fields: Any) -> int:
    one = exchange("will it rain tomorrow", **fields)
    await answer(here, one)
    return len(one.chosen)
