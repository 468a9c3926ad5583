"""The ways of `netgpt bench paper` against a cloud that logs, over a real link: who sends what, and what is counted."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from netgpt_bench.paper import PaperPlan, latency_rows, way_rows
from netgpt_bench.paper_checks import Answered, quality
from netgpt_bench.paper_lab import CLOUD_ONLY, EDGE_ONLY, GATEWAY_WAYS, SPLIT, SYNERGY, Straight, Tape, ThroughGateway
from netgpt_bench.paper_requests import make_requests
from serving import Served

from netgpt.errors import BrokenStream
from netgpt.testing.server import FaultyCloud

ASKED = next(asked for asked in make_requests(64) if asked.private)
"""A request with a name and an address in its text."""


async def test_cloud_only_sends_the_text_as_it_is_and_with_the_profile_all_there_is() -> None:
    with FaultyCloud("all is well at the harbour") as cloud:
        tape = Tape()
        async with ShapedLink(cloud.port, LinkShape(delay_ms=15), tap=tape) as link:
            plain = Straight(CLOUD_ONLY, link, tape, "key")
            profile = Straight("profile", link, tape, "key", whole_profile=True)
            await plain.ask(ASKED, 8)
            bare, full = await plain.ask(ASKED, 8), await profile.ask(ASKED, 8)
            await plain.close()
            await profile.close()
    assert bare.text == "all is well at the harbour" and bare.finished
    assert bare.left is not None and len(bare.left) == bare.up, "nothing else crosses the link meanwhile"
    assert bare.whole_ms >= bare.first_ms >= 30
    assert bare.cloud_tokens > bare.written > 0
    assert quality([bare])["private_values_left"] == len(ASKED.private)
    assert quality([full])["private_values_left"] == len(set(ASKED.must_stay))
    assert full.completed.startswith(ASKED.text) and full.kinds >= {"diet", "home", "place"}


async def test_an_error_in_the_stream_is_not_an_answer() -> None:
    with FaultyCloud(faults=["server_error"]) as cloud:
        tape = Tape()
        async with ShapedLink(cloud.port, tap=tape) as link:
            way = Straight(CLOUD_ONLY, link, tape, "key")
            with pytest.raises(BrokenStream):
                await way.ask(ASKED, 8)
            await way.close()


@pytest.mark.slow
async def test_the_box_hides_completes_and_sends_nothing_when_the_edge_answers(tmp_path: Path) -> None:
    diet = next(asked for asked in make_requests(64) if asked.needs == {"diet"} and "dinner" in asked.text)
    tape = Tape()
    with FaultyCloud("all is well") as cloud:
        async with ShapedLink(cloud.port, tap=tape) as link:
            far = f"http://127.0.0.1:{link.port}/v1"
            with Served(tmp_path / "box", cloud__base_url=far, completion__mode="select") as gateway:
                for asked in (ASKED, diet):
                    for fact in asked.person.facts:
                        body = {"text": fact.text, "kind": fact.kind, "label": fact.label.value}
                        path = f"{gateway.url}/v1/profiles/{asked.person.user}/facts"
                        httpx.post(path, json=body, timeout=60).raise_for_status()
                synergy = ThroughGateway(SYNERGY, "netgpt/cloud", gateway.url, link, tape)
                alone = ThroughGateway(EDGE_ONLY, "netgpt/edge", gateway.url, link, tape)
                hidden, completed = await synergy.ask(ASKED, 8), await synergy.ask(diet, 8)
                kept = await alone.ask(ASKED, 8)
                await synergy.close()
                await alone.close()
    assert hidden.cloud and hidden.up > 0 and hidden.cloud_tokens > 0
    assert quality([hidden, completed])["private_values_left"] == 0
    assert "diet" in completed.kinds and completed.completed.startswith(diet.text + "\n")
    assert (kept.cloud, kept.up, kept.down, kept.cloud_tokens) == (False, 0, 0, 0)
    assert kept.text


def test_rows_of_ways_and_links() -> None:
    def answer(ms: float) -> Answered:
        return Answered(ASKED, "Well.", True, ms / 2, ms, 100, 200, 30, 10, True, ASKED.text, frozenset(), b"")

    peaks = {"engine": 250.0, "gateway": 150.0, "detector": 400.0, "split edge": 500.0}
    edge = {"storage_mb": 98.4, "tuning_lora_mb": 900, "tuning_full_mb": 3000}
    given = {CLOUD_ONLY: [answer(10)], SPLIT: [answer(30)], SYNERGY: [answer(10), answer(20), answer(60)]}
    rows = {row["way"]: row for row in way_rows(given, edge, {"edge_bytes": 163_000_000}, peaks, adapter_mb=5.0)}
    assert (rows[CLOUD_ONLY]["storage_mb"], rows[CLOUD_ONLY]["inference_mb"]) == (0, 0)
    assert (rows[SPLIT]["storage_mb"], rows[SPLIT]["inference_mb"], rows[SPLIT]["tuning_lora_mb"]) == (163, 500, None)
    assert (rows[SYNERGY]["storage_mb"], rows[SYNERGY]["inference_mb"]) == (103.4, 250)
    assert (rows[SYNERGY]["whole_box_mb"], rows[SYNERGY]["tuning_lora_mb"]) == (800, 900)
    assert (rows[SYNERGY]["whole_ms"], rows[SYNERGY]["first_ms"]) == (20, 10)
    assert SYNERGY in GATEWAY_WAYS
    slow, quick = LinkShape(10, 100), LinkShape(50, 25)
    first, second = latency_rows({quick: {SYNERGY: given[SYNERGY]}, slow: {SPLIT: given[SPLIT]}})
    assert (first["link"], first["way"], first["samples"], first["whole_ms"]) == (str(slow), SPLIT, 1, 30)
    assert (second["rate_mbit"], second["delay_ms"], second["whole_ms"]) == (50, 25, 20)


def test_the_main_link_is_measured_once() -> None:
    plan = PaperPlan()
    assert plan.main not in plan.other_links
    assert len(plan.other_links) == len(plan.rates_mbit) * len(plan.delays_ms) - 1
