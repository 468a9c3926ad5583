"""generate: which adapter, which fields, and what is booked when nothing came."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asked import about_to
from boxes import answer, exchange, fill, gateway, run
from clouds import cloud_model
from outbounds import outbound

from netgpt.adapters.residency import Choice
from netgpt.errors import AdapterGone, ModelRejected, ModelTimeout
from netgpt.exchange import Exchange
from netgpt.generation.fallback import ENGINE_FIELDS
from netgpt.models.base import RemoteModel
from netgpt.stages.generate import Generate
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Decision, Person


def ready(text: str = "hello", **fields: Any) -> Exchange:
    """About to be generated, on the edge."""
    one = exchange(text, "netgpt/edge", **fields)
    return fill(
        one,
        person=Person("local", "ada"),
        chosen=(),
        messages=one.request.messages,
        outbounds={},
        kept_for={},
        decision=Decision("edge", "asked", "asked"),
    )


async def test_the_edge_answers_with_the_chosen_adapter_and_says_so() -> None:
    edge = ScriptedModel("fine", resident=["site@2"])
    one = ready()
    await run(Generate(edge, {}, deadline_s=60, choose=lambda person: Choice(("site@2",), f"for {person.user}")), one)
    assert [chunk async for chunk in one.stream] and edge.asked_adapters == [("site@2",)]
    assert one.outcome.adapters == ("site@2",) == one.adapters_used() and one.outcome.adapter_note == "for ada"


async def test_an_adapter_that_is_gone_is_chosen_anew_once() -> None:
    edge = ScriptedModel("fine", resident=["site@1"])
    choices = [Choice(("site@2",)), Choice(("site@1",), "site@2 went away")]
    one = ready()
    await run(Generate(edge, {}, deadline_s=60, choose=lambda _: choices.pop(0)), one)
    assert one.outcome.adapters == ("site@1",) and one.outcome.adapter_note == "site@2 went away"
    with pytest.raises(AdapterGone):
        await run(Generate(edge, {}, deadline_s=60, choose=lambda _: Choice(("site@3",))), ready())


async def test_the_engines_own_fields_are_not_the_callers() -> None:
    edge = ScriptedModel("fine")
    theirs: dict[str, Any] = dict.fromkeys(ENGINE_FIELDS, 1)
    one = ready(seed=1, **theirs)
    await run(Generate(edge, {}, deadline_s=60), one)
    assert edge.asked[0]["seed"] == 1 and not ENGINE_FIELDS & edge.asked[0].keys()


async def test_no_adapter_is_ever_named_for_an_answer_of_the_cloud(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud) as here:
            one = exchange("hello there", "netgpt/cloud", complete="off")
            await answer(here, one)
            assert one.outcome.adapters == () and b"adapter" not in cloud.all_bytes()


async def test_a_reader_that_takes_its_time_meets_the_deadline_too() -> None:
    one = ready(stream=True)
    with pytest.raises(ModelTimeout, match="deadline_s"):
        await run(Generate(ScriptedModel("one two three", chunk_size=1), {}, deadline_s=0.2), one)
        async for _ in one.stream:
            await asyncio.sleep(0.25)


async def test_what_the_cloud_was_asked_is_booked_also_where_the_edge_answers(tmp_path: Path) -> None:
    prices = {"price_prompt": 1_000_000.0, "price_completion": 2_000_000.0}
    with FaultyCloud(slow_s=60) as cloud:
        async with gateway(tmp_path / "home", cloud, prices=prices, patience_s=3) as here:
            cloud.schedule(Fault.SLOW_FIRST_BYTE)
            one = exchange("four words of mine", "netgpt/cloud", complete="off")
            assert await answer(here, one) == "the edge says so"
            row = await here.store.exchange(one.id)
            assert row is not None and row.route == "edge" and row.cost > 0
            cloud.schedule(Fault.SERVER_ERROR)
            refused = exchange("four words of mine", "netgpt/cloud", complete="off")
            await answer(here, refused)
            row = await here.store.exchange(refused.id)
            assert row is not None and row.cost == 0, "an error costs nothing"


async def test_a_caller_that_leaves_before_the_first_word_is_booked(tmp_path: Path) -> None:
    prices = {"price_prompt": 1_000_000.0, "price_completion": 2_000_000.0}
    with FaultyCloud(slow_s=60) as cloud:
        async with gateway(tmp_path / "home", cloud, prices=prices) as here:
            cloud.schedule(Fault.SLOW_FIRST_BYTE)
            one = exchange("four words of mine", "netgpt/cloud", complete="off")
            task = asyncio.create_task(here.workflow.run(one))
            while not cloud.open_requests:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            row = await here.store.exchange(one.id)
            assert row is not None and row.status == "cancelled" and row.estimated and row.cost > 0


async def test_a_dry_run_names_the_host_that_would_be_asked() -> None:
    remotes: dict[str, RemoteModel] = {
        target: cloud_model(f"http://{target}.example/v1", target=target) for target in ("cloud", "next")
    }
    one = ready(dry_run=True)
    fill(one, outbounds={"next": outbound(one.request.body)}, decision=Decision("edge", "because", "short", ("next",)))
    await run(Generate(ScriptedModel("fine"), remotes, deadline_s=60), one)
    assert one.outcome.destination == "next.example"


@pytest.mark.parametrize(("fault", "refused"), [(Fault.RATE_LIMIT, True), (Fault.CUT, False), (Fault.REFUSED, False)])
async def test_only_a_model_elsewhere_that_had_it_can_have_refused_it(fault: Fault, refused: bool) -> None:
    """The box's own model is too busy in every case, which says nothing of what has left."""
    edge = ScriptedModel(error=ModelRejected("too many", status=429))
    with FaultyCloud(faults=[fault]) as cloud:
        remote = cloud_model(cloud.base_url)
        one = about_to("cloud", "edge", stream=False, claim="wt_1.word")
        with pytest.raises(ModelRejected):
            await run(Generate(edge, {"cloud": remote}, deadline_s=60), one)
        assert one.outcome.refused is refused
        await remote.close()
