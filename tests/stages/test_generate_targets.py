"""generate with several targets: their order, what left to whom, what was paid, hedges, and answers that break off."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from asked import about_to, generated, read, remotes_at, targets_of
from boxes import fill
from clouds import IMPATIENT_S, PATIENT_S
from patience import in_time, unhurried, until

from netgpt.errors import BrokenStream, ModelRejected, ModelTimeout, ModelUnavailable, NetGPTError, StoreError
from netgpt.models.base import OutboundRequest, RemoteModel
from netgpt.privacy.detector import LocalDetector
from netgpt.privacy.vault import Vault
from netgpt.settings.routing import Routing
from netgpt.settings.sections import Cloud
from netgpt.store.exchanges import CachedAnswer
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud

EDGE_SAYS = "the edge says so"
A_SAYS = "the first of the clouds tells a long story of the sea"
B_SAYS = "the second of the clouds tells another one of the hills"


@pytest.fixture
def clouds() -> Iterator[dict[str, FaultyCloud]]:
    with FaultyCloud(A_SAYS, slow_s=60) as first, FaultyCloud(B_SAYS, slow_s=60) as second:
        yield {"cloud": first, "b": second}


@pytest.fixture
async def remotes(clouds: dict[str, FaultyCloud]) -> AsyncIterator[dict[str, RemoteModel]]:
    made = remotes_at(clouds)
    yield made
    for remote in made.values():
        await remote.close()


@pytest.fixture
def edge() -> ScriptedModel:
    return ScriptedModel(EDGE_SAYS)


async def test_fallbacks_are_asked_in_order_and_all_are_reported(clouds: Any, edge: Any) -> None:
    remotes = remotes_at(clouds, {"b": IMPATIENT_S})
    clouds["cloud"].schedule(Fault.SERVER_ERROR)
    clouds["b"].schedule(Fault.SLOW_FIRST_BYTE)
    report: list[tuple[str, str]] = []
    one = about_to("cloud", "b", "edge")
    await generated(one, edge, remotes, on_model_call=lambda target, outcome: report.append((target, outcome)))
    assert await read(one) == EDGE_SAYS
    assert report == [("cloud", "server_error"), ("b", "model_timeout"), ("edge", "ok")]
    assert targets_of(one.outcome.sent_to) == ["cloud", "b"] and one.outcome.sent is one.outbounds["b"]
    assert dict(one.outcome.sent_to)["b"] == hashlib.sha256(one.outbounds["b"].content).hexdigest()
    assert one.outcome.answered_by.name == "edge" and one.outcome.answered_by.rule == "rule+fallback"
    assert "the cloud failed" in one.outcome.answered_by.reason and "b failed" in one.outcome.answered_by.reason
    assert list(one.outcome.worked) == ["b"], "an answer of no costs nothing, a silent one may"


async def test_the_target_that_answers_is_the_one_that_is_reported_and_paid(remotes: Any, edge: Any) -> None:
    one = await generated(about_to("b", "cloud"), edge, remotes)
    assert await read(one) == B_SAYS and not edge.asked
    assert (
        one.outcome.answered_by.name == "b"
        and one.outcome.answered_by.route == "cloud"
        and one.outcome.model_name == "cloud"
    )
    assert list(one.outcome.worked) == ["b"] and one.outcome.worked["b"] is one.outcome.usage
    assert one.outcome.sent is one.outbounds["b"] and one.outcome.destination == remotes["b"].destination


async def test_nothing_left_where_nobody_was_reached(clouds: Any, remotes: Any, edge: Any) -> None:
    clouds["cloud"].stop()
    one = await generated(about_to("cloud", "edge"), edge, remotes)
    assert (
        await read(one) == EDGE_SAYS
        and one.outcome.sent is None
        and one.outcome.sent_to == ()
        and not one.outcome.worked
    )


async def test_all_that_fail_are_named_in_one_503(clouds: Any, remotes: Any) -> None:
    clouds["cloud"].schedule(Fault.SERVER_ERROR)
    clouds["b"].schedule(Fault.HANGUP)
    edge = ScriptedModel(error=ModelUnavailable("the engine is starting"))
    one = about_to("cloud", "b", "edge")
    with pytest.raises(ModelUnavailable) as caught:
        await generated(one, edge, remotes)
    error = caught.value
    assert error.status == 503 and error.retry_after is not None
    assert all(f"{target}: " in error.message for target in ("Cloud", "B", "Edge")) and "starting" in error.message


async def test_what_is_wrong_with_the_request_is_reported_as_it_is(clouds: Any, remotes: Any, edge: Any) -> None:
    clouds["b"].schedule(Fault.REFUSED)
    clouds["cloud"].schedule(Fault.SERVER_ERROR)
    with pytest.raises(ModelRejected):
        await generated(about_to("cloud", "b"), edge, remotes)


async def test_no_receipt_nothing_leaves_and_nobody_else_is_asked(clouds: Any, edge: Any) -> None:
    async def full(_outbound_request: OutboundRequest) -> None:
        raise StoreError("the disk is full")

    one = about_to("cloud", "b", "edge")
    with pytest.raises(StoreError):
        await generated(one, edge, remotes_at(clouds, receipt_hook=full))
    assert one.outcome.sent is None and one.outcome.sent_to == () and not edge.asked
    assert not clouds["cloud"].received and not clouds["b"].received


async def test_a_deadline_leaves_time_for_the_fallback(clouds: Any, edge: Any) -> None:
    async def overtaken() -> None:
        clouds["cloud"].schedule(Fault.SLOW_FIRST_BYTE)
        one = await generated(about_to("cloud", "edge", deadline_s=0.9), edge, remotes_at(clouds))
        assert await read(one) == EDGE_SAYS

    await unhurried(overtaken)


async def test_the_shorter_deadline_holds(remotes: Any) -> None:
    slow = ScriptedModel("one two three four", chunk_size=1, delay_s=0.1)
    with pytest.raises(ModelTimeout, match="deadline_s"):
        await read(await generated(about_to("edge", deadline_s=0.4), slow, remotes))


def hedging(how: Any = "edge", **more: Any) -> Routing:
    return Routing(**{"hedge": how, "hedge_after_s": 0.1, "hedge_share": 0.1, **more})


async def test_a_late_cloud_is_overtaken_by_the_edge_and_cancelled(clouds: Any, edge: Any) -> None:
    clouds["cloud"].schedule(Fault.SLOW_FIRST_BYTE)
    one = about_to("cloud", "b", "edge")
    began = time.monotonic()
    await generated(one, edge, remotes_at(clouds), rules=hedging())
    assert await read(one) == EDGE_SAYS and in_time(time.monotonic() - began, 1)
    outcome = one.outcome
    assert outcome.answered_by.rule == "rule+hedge" and "the cloud was late" in outcome.answered_by.reason
    assert targets_of(outcome.sent_to) == ["cloud"] and outcome.sent is one.outbounds["cloud"]
    assert outcome.worked["cloud"].estimated
    await until(lambda: clouds["cloud"].hangups)
    assert in_time(clouds["cloud"].hangups[0] - began, 1.1)
    assert not clouds["b"].received


async def test_a_target_in_time_is_not_hedged_and_one_that_fails_is_followed(clouds: Any, remotes: Any) -> None:
    edge = ScriptedModel(EDGE_SAYS)
    one = await generated(about_to("cloud", "edge"), edge, remotes, rules=hedging(hedge_after_s=20))
    assert await read(one) == A_SAYS and not edge.asked
    clouds["cloud"].schedule(Fault.SERVER_ERROR)
    one = await generated(about_to("cloud", "edge"), edge, remotes, rules=hedging(hedge_after_s=20))
    assert await read(one) == EDGE_SAYS and one.outcome.answered_by.rule == "rule+fallback"


@pytest.mark.parametrize(("how", "asked"), [("edge", False), ("any", True)])
async def test_a_second_cloud_is_asked_only_where_the_owner_says_any(
    clouds: Any, edge: Any, how: str, asked: bool
) -> None:
    clouds["cloud"].slow_s = 60 if asked else 0.5
    clouds["cloud"].schedule(Fault.SLOW_FIRST_BYTE)
    one = await generated(about_to("cloud", "b"), edge, remotes_at(clouds), rules=hedging(how))
    assert await read(one) == (B_SAYS if asked else A_SAYS)
    assert targets_of(one.outcome.sent_to) == (["cloud", "b"] if asked else ["cloud"])
    assert set(one.outcome.worked) == set(targets_of(one.outcome.sent_to))


async def test_of_two_clouds_the_cheaper_is_the_rival(clouds: Any, edge: Any) -> None:
    prices = {"cloud": Cloud(price_prompt=9.0), "b": Cloud(price_prompt=1.0)}
    slow = ScriptedModel(EDGE_SAYS, delay_s=60)
    one = about_to("edge", "cloud", "b")
    await generated(one, slow, remotes_at(clouds), rules=hedging("any"), prices=prices)
    assert await read(one) == B_SAYS and slow.closed_early == 1


async def test_a_hang_up_cancels_every_call_of_a_hedged_request(clouds: Any, edge: Any) -> None:
    for cloud in clouds.values():
        cloud.schedule(Fault.SLOW_FIRST_BYTE)
    one = about_to("cloud", "b")
    task = asyncio.create_task(generated(one, edge, remotes_at(clouds), rules=hedging("any")))
    await until(lambda: all(cloud.open_requests for cloud in clouds.values()))
    left = time.monotonic()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: all(cloud.hangups for cloud in clouds.values()))
    assert all(in_time(cloud.hangups[0] - left, 1) for cloud in clouds.values())
    assert set(one.outcome.worked) == {"cloud", "b"} and one.outcome.usage is not None


async def test_what_waited_leaves_once_whatever_becomes_of_it(clouds: Any, remotes: Any) -> None:
    clouds["cloud"].schedule(Fault.SERVER_ERROR)
    one = about_to("cloud", "b", claim="wt_1.word")
    with pytest.raises(NetGPTError):
        await generated(one, ScriptedModel(down="asleep"), remotes)
    assert targets_of(one.outcome.sent_to) == ["cloud"] and not clouds["b"].received


async def earlier(*_asked: object) -> CachedAnswer | None:
    message = {"role": "assistant", "content": "as I said before"}
    answer = {"id": "x", "model": "far", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return CachedAnswer("ex_1", datetime.now(UTC), 3600.0, "far", answer)


async def test_an_earlier_answer_is_the_last_resort_and_says_so(clouds: Any, remotes: Any, edge: Any) -> None:
    clouds["cloud"].schedule(Fault.SERVER_ERROR, Fault.REFUSED)
    down = ScriptedModel(error=ModelUnavailable("the engine is starting"))
    one = await generated(about_to("cloud", "edge"), down, remotes, last_answer=earlier)
    assert await read(one) == "as I said before" and one.outcome.cached_age_s == 3600.0
    assert one.outcome.answered_by.rule == "cached" and "starting" in one.outcome.answered_by.reason
    with pytest.raises(ModelRejected):
        await generated(about_to("cloud"), edge, remotes, last_answer=earlier)


ON_CUT = Routing(on_cut="edge")


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.STALL, Fault.MALFORMED, Fault.ERROR_IN_200])
async def test_the_edge_finishes_what_broke_off(clouds: Any, fault: Fault) -> None:
    edge = ScriptedModel("...and so it ended")
    remotes = remotes_at(clouds, {"cloud": 3.0 if fault is Fault.STALL else PATIENT_S})  # its first words have to come
    clouds["cloud"].schedule(fault)
    one = await generated(about_to("cloud", "edge", max_tokens=100), edge, remotes, rules=ON_CUT)
    said = await read(one)
    given = said.removesuffix("...and so it ended")
    assert given != said and 0 < len(given) < len(A_SAYS) and A_SAYS.startswith(given)
    (asked,) = edge.asked
    assert (
        asked["messages"][-1] == {"role": "assistant", "content": given.rstrip(" ")}
        and asked["max_tokens"] == 100 - len(given) // 4
    )
    assert one.outcome.finished_by == "edge" and "wrote the rest" in one.outcome.answered_by.reason
    assert (
        one.outcome.answered_by.name == "cloud"
        and one.outcome.usage is not None
        and one.outcome.worked["cloud"].estimated
    )
    assert one.outcome.usage.completion_tokens > one.outcome.worked["cloud"].completion_tokens


async def test_the_finished_answer_is_one_stream(clouds: Any, remotes: Any) -> None:
    clouds["cloud"].schedule(Fault.CUT)
    one = await generated(about_to("cloud", "edge"), ScriptedModel("!"), remotes, rules=ON_CUT)
    chunks = [chunk async for chunk in one.restored]
    assert len({chunk["id"] for chunk in chunks}) == 1 and len({chunk["model"] for chunk in chunks}) == 1
    assert [chunk["netgpt"] for chunk in chunks if "netgpt" in chunk] == [{"finished_by": "edge"}]
    assert sum("role" in choice["delta"] for chunk in chunks for choice in chunk["choices"]) == 1
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert finishes == ["stop"] and one.outcome.usage is not None
    assert chunks[-1]["usage"] == one.outcome.usage.as_openai()


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        (Routing(), {}),
        (ON_CUT, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        (ON_CUT, {"n": 2}),
        (ON_CUT, {"response_format": {"type": "json_object"}}),
    ],
)
async def test_what_cannot_be_carried_on_is_partial(
    clouds: Any, remotes: Any, edge: Any, rules: Any, fields: Any
) -> None:
    clouds["cloud"].schedule(Fault.CUT)
    one = await generated(about_to("cloud", "edge", **fields), edge, remotes, rules=rules)
    with pytest.raises(BrokenStream):
        await read(one)
    assert not edge.asked and one.outcome.finished_by is None


@pytest.mark.parametrize("after", [0, 2])
async def test_an_edge_that_fails_too_leaves_the_first_error(clouds: Any, remotes: Any, after: int) -> None:
    edge = ScriptedModel("a b c d", chunk_size=2, error=ModelUnavailable("it died"), error_after=after)
    clouds["cloud"].schedule(Fault.CUT)
    one = await generated(about_to("cloud", "edge"), edge, remotes, rules=ON_CUT)
    with pytest.raises(BrokenStream, match="cut the connection"):
        await read(one)


async def test_half_a_placeholder_is_not_gone_on_from(clouds: Any, remotes: Any) -> None:
    vault, asked = Vault(), [{"role": "user", "content": "write to ada@mill.example"}]
    outbound = await vault.seal({"model": "far", "messages": asked}, LocalDetector(names=False))
    name = outbound.hidden[0].placeholder.strip("[]")
    clouds["cloud"].reply = f"write to [{name}] and then to [{name}] and then to nobody else at all"
    clouds["cloud"].chunk_size = 6
    edge = ScriptedModel("<the rest>")
    seen = set()
    for size in range(3, 12):
        clouds["cloud"].chunk_size = size
        clouds["cloud"].schedule(Fault.CUT)
        one = about_to("cloud", "edge")
        fill(one, vault=vault)
        said = await read(await generated(one, edge, remotes, rules=ON_CUT))
        given = edge.asked[-1]["messages"][-1]["content"]
        assert said.removesuffix("<the rest>").rstrip(" ") == given and "[" not in said
        assert given.startswith("write to ada@mill.example"[: len(given)])
        seen.add(given)
    assert any("ada@mill.example" in given for given in seen)


async def test_a_whole_answer_that_is_cut_is_answered_from_the_beginning(clouds: Any, remotes: Any, edge: Any) -> None:
    clouds["cloud"].schedule(Fault.CUT)
    one = await generated(about_to("cloud", "b", stream=False), edge, remotes)
    assert await read(one) == B_SAYS and one.outcome.answered_by.name == "b"
    clouds["cloud"].schedule(Fault.CUT)
    with pytest.raises(BrokenStream):
        await generated(about_to("cloud", stream=False), edge, remotes)
