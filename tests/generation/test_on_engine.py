"""The real engine goes on from what another model began."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked import about_to, generated, read, remotes_at
from weights import bundled_weights  # noqa: F401

from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.settings.routing import Routing
from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "begun", ["The days of the week are Monday, Tuesday, Wed", "The days of the week are Monday, "]
)
async def test_the_rest_of_a_sentence_fits(bundled_weights: Path, tmp_path: Path, begun: str) -> None:  # noqa: F811
    engine = Engine(bundled_weights, context_tokens=512, slots=1, log_path=tmp_path / "engine.log")
    await engine.start()
    edge = EdgeModel("small", engine.endpoint, "small", timeout_s=60, default_max_tokens=32)
    try:
        with FaultyCloud(begun + "x" * len(begun), chunk_size=len(begun), faults=[Fault.CUT]) as cloud:
            one = about_to("cloud", "edge", text="List the days of the week, in order.", temperature=0, max_tokens=32)
            said = await read(await generated(one, edge, remotes_at({"cloud": cloud}), rules=Routing(on_cut="edge")))
    finally:
        await edge.close()
        await engine.stop(0)
    assert one.outcome.finished_by == "edge" and said.startswith(begun)
    rest = said.removeprefix(begun)
    assert "Thursday" in rest and "The days of the week" not in rest and not rest.startswith(" ")
