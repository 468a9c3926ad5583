"""What the clients tell of their calls, over real sockets: to an observer that keeps all it hears, and to Signals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from clouds import Says, chat, cloud_model, edge_model, everything, patience_for
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from outbounds import outbound
from patience import in_time, until

from netgpt.errors import ModelError, ModelRejected, StoreError
from netgpt.models.base import OutboundRequest
from netgpt.models.observe import SILENT, watched
from netgpt.routing.link_state import LinkView, PendingCall
from netgpt.routing.signals import Signals
from netgpt.testing.server import FaultyCloud
from netgpt.types import CallFacts

WORDS = "one two three four five six seven eight nine ten " * 4


class Ear:
    """Keeps every account, and passes all on to Signals."""

    def __init__(self) -> None:
        self.signals = Signals()
        self.facts: list[CallFacts] = []
        self.calls: list[PendingCall] = []

    def began(self, target: str) -> PendingCall:
        self.calls.append(self.signals.began(target))
        return self.calls[-1]

    def observed(self, facts: CallFacts) -> None:
        self.facts.append(facts)
        self.signals.observed(facts)

    def link(self, target: str = "cloud") -> LinkView:
        return self.signals.view().links[target]


def is_up(base_url: str, **more: Any) -> tuple[Any, Ear]:
    model, ear = cloud_model(base_url, **more), Ear()
    model.watch("cloud", ear)
    return model, ear


async def test_a_stream_measures_connection_first_byte_bytes_and_tokens() -> None:
    async with FaultyCloud(WORDS, chunk_size=8, delay_s=0.005) as cloud:
        model, ear = is_up(cloud.base_url)
        sealed = outbound(chat("hi", stream=True, stream_options={"include_usage": True}))
        chunks = await everything(model.send(sealed))
        await everything(model.send(sealed))
        await model.close()
    first, second = ear.facts
    assert (first.target, first.outcome, first.failed, first.tries) == ("cloud", "ok", False, 1)
    assert first.connect_s is not None and first.connect_s > 0 and in_time(first.connect_s, 1)
    assert second.connect_s is None, "the connection was kept"
    assert first.first_byte_s is not None and first.first_byte_s > 0.004 and in_time(first.first_byte_s, 1)
    assert first.receive_s > 0.1
    assert first.received_bytes > len(WORDS)
    assert first.sent_bytes > len(sealed.content)
    usage = next(chunk["usage"] for chunk in chunks if chunk.get("usage"))
    assert first.tokens == usage["completion_tokens"]
    assert not first.whole
    assert not ear.signals.link("cloud").waiting


@pytest.mark.skipif("sys.platform != 'linux'", reason="the kernel's word is read on Linux alone")
async def test_the_kernel_measures_round_trip_and_segments() -> None:
    async with FaultyCloud(WORDS) as cloud:
        model, ear = is_up(cloud.base_url)
        await everything(model.send(outbound(chat("hi", stream=True))))
        await model.close()
    facts = ear.facts[0]
    assert facts.rtt_s is not None and facts.rtt_s > 0 and in_time(facts.rtt_s, 0.1)
    assert facts.rtt_var_s is not None
    assert facts.segments >= 1
    assert facts.retransmits == 0


async def test_a_whole_answer_counts_as_one_and_waits_as_one() -> None:
    async with FaultyCloud(WORDS) as cloud:
        model, ear = is_up(cloud.base_url)
        answer = model.send(outbound(chat("hi")))
        chunk = await anext(answer)
        assert ear.calls[0].whole
        assert chunk["choices"]
        await everything(answer)
        await model.close()
    assert ear.facts[0].whole
    assert ear.facts[0].tokens > 10


@pytest.mark.parametrize("fault", ["hangup", "server_error", "rate_limit", "cut", "stall", "malformed", "error_in_200"])
async def test_what_speaks_against_the_server_counts_as_failed(fault: str) -> None:
    async with FaultyCloud(WORDS, faults=[fault]) as cloud:
        model, ear = is_up(cloud.base_url, timeout_s=patience_for(fault))
        with pytest.raises(ModelError) as message:
            await everything(model.send(outbound(chat("hi", stream=True))))
        await model.close()
    assert (ear.facts[0].outcome, ear.facts[0].failed) == (message.value.code, True)
    failures = ear.link().failures
    assert failures is not None and failures.value == 1.0


async def test_a_request_refused_for_what_it_is_speaks_against_nobody() -> None:
    with Says(b'{"error": {"code": "bad"}}', "application/json", 400) as cloud:
        model, ear = is_up(cloud.base_url)
        with pytest.raises(ModelRejected):
            await everything(model.send(outbound(chat("hi"))))
        await model.close()
    assert not ear.facts[0].failed
    assert ear.link().failures is None


async def test_retries_are_counted_in_one_account() -> None:
    async with FaultyCloud(WORDS, faults=["server_error", "server_error"]) as cloud:
        model, ear = is_up(cloud.base_url, retries=2)
        await everything(model.send(outbound(chat("hi", stream=True))))
        await model.close()
    assert [facts.tries for facts in ear.facts] == [3]
    assert ear.facts[0].outcome == "ok"
    assert ear.signals.link("cloud").retries == 2


async def test_nobody_there_is_a_failure_without_a_first_byte() -> None:
    async with FaultyCloud() as cloud:
        base_url = cloud.base_url
    model, ear = is_up(base_url)
    with pytest.raises(ModelError):
        await everything(model.send(outbound(chat("hi"))))
    await model.close()
    facts = ear.facts[0]
    assert (facts.outcome, facts.failed, facts.first_byte_s) == ("unreachable", True, None)


async def test_a_call_that_the_breaker_stops_is_no_call() -> None:
    async with FaultyCloud() as cloud:
        base_url = cloud.base_url
    model, ear = is_up(base_url, breaker_failures=1)
    for _ in range(3):
        with pytest.raises(ModelError):
            await everything(model.send(outbound(chat("hi"))))
    await model.close()
    assert len(ear.facts) == 1


async def test_a_caller_that_leaves_is_reported_as_that() -> None:
    async with FaultyCloud(WORDS, chunk_size=4, delay_s=0.02) as cloud:
        model, ear = is_up(cloud.base_url)
        answer = model.send(outbound(chat("hi", stream=True)))
        await anext(answer)
        await answer.aclose()
        await model.close()
    assert (ear.facts[0].outcome, ear.facts[0].failed) == ("cancelled", False)
    assert not ear.signals.link("cloud").waiting


async def test_an_error_of_our_own_speaks_against_nobody() -> None:
    async def no_receipt(_outbound_request: OutboundRequest) -> None:
        raise StoreError("the database is full")

    async with FaultyCloud() as cloud:
        model, ear = is_up(cloud.base_url, receipt_hook=no_receipt)
        with pytest.raises(StoreError):
            await everything(model.send(outbound(chat("hi"))))
        await model.close()
    assert (ear.facts[0].outcome, ear.facts[0].failed) == ("store_unavailable", False)
    assert ear.link().failures is None


async def test_the_edge_is_watched_too() -> None:
    async with FaultyCloud(WORDS) as server:
        model, ear = edge_model(server.base_url), Ear()
        model.watch("edge", ear)
        await everything(model.chat(chat("hi")))
        await model.close()
    assert ear.facts[0].target == "edge"
    assert not ear.facts[0].whole, "the edge is always asked for a stream"
    assert ear.facts[0].tokens > 10


async def test_a_link_cut_under_a_waiting_call_is_felt_within_three_seconds() -> None:
    async with FaultyCloud(WORDS, delay_s=0.001) as cloud, ShapedLink(cloud.port, LinkShape(delay_ms=20)) as link:
        model, ear = is_up(f"http://127.0.0.1:{link.port}/v1")
        for _ in range(4):
            await everything(model.send(outbound(chat("hi", stream=True))))
        usual = ear.link().first_byte_s
        assert usual is not None and usual.value >= 0.04 and in_time(usual.value, 0.3)
        link.cut()
        call = asyncio.create_task(everything(model.send(outbound(chat("hi", stream=True)))))
        took = await until(lambda: (ear.link().first_byte_s or usual).value > 4 * usual.value)
        assert in_time(took, 2.0 + 4 * usual.value)
        link.restore()
        await call
        back = ear.link().first_byte_s
        assert back is not None and in_time(back.age_s, 1)
        await model.close()


@pytest.mark.slow
async def test_a_stream_cut_in_the_middle_is_felt_within_three_seconds() -> None:
    async with FaultyCloud(WORDS * 200, chunk_size=8, delay_s=0.005) as cloud, ShapedLink(cloud.port) as link:
        model, ear = is_up(f"http://127.0.0.1:{link.port}/v1")
        answer = model.send(outbound(chat("hi", stream=True)))
        async for _ in answer:
            pace = ear.link().tokens_s
            if pace is not None and pace.value > 20:  # it is measured while it flows
                break
        assert pace is not None and pace.value > 20
        link.cut()
        rest = asyncio.create_task(everything(answer))
        took = await until(lambda: (ear.link().tokens_s or pace).value < pace.value / 5)
        assert in_time(took, 2.5)
        rest.cancel()
        await asyncio.gather(rest, return_exceptions=True)
        await model.close()


async def test_a_slower_link_is_seen_in_the_next_calls() -> None:
    async with FaultyCloud("ok") as cloud, ShapedLink(cloud.port, LinkShape(delay_ms=5)) as link:
        model, ear = is_up(f"http://127.0.0.1:{link.port}/v1")
        for _ in range(10):
            await everything(model.send(outbound(chat("hi", stream=True))))
        link.shape = LinkShape(delay_ms=100)
        for _ in range(100):  # two on a quiet machine; more after calls that were slow for reasons of their own
            await everything(model.send(outbound(chat("hi", stream=True))))
            message = ear.link().first_byte_s
            if message is not None and message.value > 0.19:
                break
        assert message is not None and message.value > 0.19
        await model.close()


def test_nobody_needs_to_listen() -> None:
    with watched(SILENT, "cloud") as call:
        call.asks()
        call.came(3)
        call.chunk({"choices": [{}], "usage": {"completion_tokens": 2}})
    facts = call.facts("cloud", "ok", False)
    assert (facts.tokens, facts.received_bytes) == (2, 3)


@pytest.mark.parametrize("timings", [{}, {"prompt_n": None}, [1], {"prompt_n": "x", "prompt_ms": 1}])
def test_figures_of_another_shape_are_passed_over(timings: Any) -> None:
    with watched(SILENT, "edge") as call:
        call.chunk({"choices": [], "timings": timings})
    assert call.facts("edge", "ok", False).prompt_tokens == 0


def test_the_engines_own_figures_say_how_fast_it_reads() -> None:
    with watched(SILENT, "edge") as call:
        call.chunk({"choices": [], "timings": {"prompt_n": 120, "prompt_ms": 600.0}})
    facts = call.facts("edge", "ok", False)
    assert (facts.prompt_tokens, facts.prompt_s) == (120, 0.6)
