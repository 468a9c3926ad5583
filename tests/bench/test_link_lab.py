"""The link lab and the neighbours end to end, for a few seconds: real boxes, real HTTP, shaped links."""

from __future__ import annotations

import asyncio

import pytest
from netgpt_bench import neighbours
from netgpt_bench.link_emulator import Trace, point
from netgpt_bench.link_lab import ADAPTIVE, CLOUD_ONLY, EDGE_ONLY, TraceJob, run_trace
from netgpt_bench.link_report import LinkPlan, run
from netgpt_bench.neighbours import namespaces_permitted
from patience import unhurried


@pytest.mark.slow
async def test_over_a_link_that_is_cut_the_box_answers_and_cloud_only_does_not() -> None:
    async def attempt() -> None:
        cut = Trace("test", "cut", (point(0, 20, 5, rtt_ms=20), point(2, 0, 0, rtt_ms=20)), 6)
        job = TraceJob("test", "cut", 0, 6, 2, 7, ("chat",), (ADAPTIVE, EDGE_ONLY, CLOUD_ONLY))
        result = await run_trace(cut, job)
        ways = result["ways"]
        assert all(one["outcome"] == "whole" for one in ways[EDGE_ONLY])
        assert all(one["outcome"] in ("whole", "partial") for one in ways[ADAPTIVE])
        assert ways[CLOUD_ONLY][0]["answered"] == "cloud"
        lost = [one for one in ways[CLOUD_ONLY] if one["at_s"] > 2]
        assert lost and all(one["late"] and one["outcome"] != "hung" for one in lost)
        assert len(result["rates"]) == 6 and result["rates"][0] == 20 and result["rates"][-1] == 0

    await unhurried(attempt)


@pytest.mark.slow
async def test_a_loaded_box_hands_over_and_both_carry_on_alone() -> None:
    """In network namespaces where that is permitted, else over loopback."""

    async def attempt() -> None:
        over = "loopback" if await namespaces_permitted() else "namespaces"
        plan = neighbours.NeighboursPlan(seconds=3, slots=1, deadline_s=4, phases=("busy", "cut"))
        result = await neighbours.run(plan, over=over, progress=lambda _: None)
        of = {(row["phase"], row["box"]): row for row in result["rows"]}
        assert of["busy", "a"]["by the neighbour"] > 0
        assert of["cut", "a"]["answered"] == of["cut", "b"]["answered"] == 1
        assert of["cut", "a"]["by the neighbour"] == 0
        assert result["an explanation"]["arm"] == "neighbour"

    await unhurried(attempt)


async def test_the_loopback_link_is_cut_both_ways() -> None:
    async with neighbours.loopback() as net:
        assert net.spots[0].neighbour_url != net.spots[1].neighbour_url
        net.cut()
        port = int(net.spots[0].neighbour_url.rsplit(":", 1)[1].removesuffix("/v1"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.3)
        net.restore()


async def test_a_folder_without_links_is_refused_before_anything_runs(tmp_path) -> None:
    from netgpt.errors import RequestError

    with pytest.raises(RequestError, match="no recorded links"):
        await run(tmp_path, LinkPlan(), seed=1, progress=lambda _: None)
