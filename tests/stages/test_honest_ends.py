"""Whatever goes wrong, in whatever order: an answer ends cleanly and whole, or with an error; never cut and clean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import permutations
from typing import Any, cast

import pytest
from asked import about_to, generated, remotes_at
from boxes import run
from clouds import PATIENT_S, patience_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netgpt.errors import ModelUnavailable, NetGPTError
from netgpt.exchange import Exchange
from netgpt.settings.routing import Routing
from netgpt.stages.record import Record
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud

SAYS = {"cloud": "once there was a gate by the sea", "b": "another tells of hills and of rain", "edge": "<by the edge>"}
EXAMPLES = 40


@pytest.fixture(scope="module")
def clouds() -> Iterator[dict[str, FaultyCloud]]:
    with FaultyCloud(SAYS["cloud"], slow_s=30) as first, FaultyCloud(SAYS["b"], slow_s=30) as second:
        yield {"cloud": first, "b": second}


class Forgetful:
    """A store that keeps nothing: `record` is here because it holds back the end of an answer until it is whole."""

    async def save_exchange(self, row: ExchangeRecord) -> None:
        assert row.status in ("complete", "failed") and (not row.partial or row.status == "failed")


orders = st.permutations(["cloud", "b", "edge"]).flatmap(lambda targets: st.integers(1, 3).map(lambda n: targets[:n]))
faults = st.one_of(st.none(), st.sampled_from(list(Fault)))
edges = st.sampled_from([None, 0, 1, 2, 3])
rules = st.builds(
    Routing,
    on_cut=st.sampled_from(["partial", "edge"]),
    hedge=st.sampled_from(["off", "edge", "any"]),
    hedge_after_s=st.sampled_from([0.02, 0.1]),
)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    targets=orders, first=faults, second=faults, edge=edges, rules=rules, stream=st.booleans(), size=st.integers(3, 40)
)
def test_an_answer_ends_whole_or_with_an_error(
    clouds: dict[str, FaultyCloud],
    targets: list[str],
    first: Fault | None,
    second: Fault | None,
    edge: int | None,
    rules: Routing,
    stream: bool,
    size: int,
) -> None:
    for cloud, fault in zip(clouds.values(), (first, second), strict=True):
        cloud.unschedule()
        cloud.schedule(fault)
        cloud.chunk_size = size
    error = None if edge is None else ModelUnavailable("the engine died")
    near = ScriptedModel(SAYS["edge"], chunk_size=5, error=error, error_after=edge or 0)
    ends = _ends_honestly(clouds, about_to(*targets, stream=stream), near, rules, {"cloud": first, "b": second})
    asyncio.run(ends)


async def _ends_honestly(
    clouds: dict[str, FaultyCloud], one: Exchange, edge: ScriptedModel, rules: Routing, faults: dict[str, Fault | None]
) -> None:
    silent = [target for target, fault in faults.items() if patience_for(fault) < PATIENT_S]
    remotes = remotes_at(clouds, dict.fromkeys(silent, 0.15))
    chunks: list[dict[str, Any]] = []
    broke = False
    try:
        await generated(one, edge, remotes, rules=rules)
        await run(Record(cast(Store, Forgetful()), {}, keep_text=False), one)
        async for chunk in one.chunks:
            chunks.append(chunk)
    except NetGPTError:
        broke = True
    finally:
        for remote in remotes.values():
            await remote.close()
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    said = "".join(choice["delta"].get("content") or "" for choice in choices)
    ends = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    if broke:
        assert not ends
    elif one.outcome.finished_by is None:
        assert said == SAYS[one.outcome.answered_by.name] and ends == ["stop"]
    else:
        given = said.removesuffix(SAYS["edge"])
        assert one.outcome.finished_by == "edge" and ends == ["stop"] and given != said
        assert SAYS[one.outcome.answered_by.name].startswith(given)
    for target, usage in one.outcome.worked.items():
        assert target in dict(one.outcome.sent_to) and usage.total_tokens > 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_in_every_order(clouds: dict[str, FaultyCloud], fault: Fault) -> None:
    for targets in permutations(SAYS):
        for stream in (True, False):
            for cloud in clouds.values():
                cloud.unschedule()
                cloud.chunk_size = 6
            first = next(target for target in targets if target != "edge")
            clouds[first].schedule(fault)
            down = ModelUnavailable("the engine died") if targets[0] == "edge" else None
            one = about_to(*targets, stream=stream)
            edge = ScriptedModel(SAYS["edge"], error=down)
            asyncio.run(_ends_honestly(clouds, one, edge, Routing(on_cut="edge"), {first: fault}))
            if not (stream and targets[0] == "edge"):  # then nobody was left to finish what broke off
                assert one.status == "complete", "somebody was well, so somebody answered"
