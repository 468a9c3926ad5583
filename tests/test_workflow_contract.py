"""The contract of the line: what a stage does not declare it can neither read nor write, at any time."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from boxes import answer, exchange, fill, gateway
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import ModelUnavailable, PipelineError
from netgpt.exchange import FRONT_END, PIPELINE, Exchange, owner_of, written_by
from netgpt.stages import Pipeline
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.types import Chunk

FIELDS = sorted(name for name, field in vars(Exchange).items() if isinstance(field, written_by))
OF_STAGES = [name for name in FIELDS if owner_of(name) not in (PIPELINE, FRONT_END)]
Touch = Callable[[Exchange], Any]
somebodys = st.sampled_from(OF_STAGES)
declared = st.frozensets(somebodys)


class Step:
    """A stage that declares something and does something, now (`touch`) or while the answer streams (`later`)."""

    def __init__(self, name: str, reads: frozenset[str] = frozenset(), writes: frozenset[str] = frozenset()) -> None:
        self.name, self.reads, self.writes = name, reads, writes
        self.touch: Touch = lambda _: None
        self.later: Touch = lambda _: None

    async def __call__(self, exchange: Exchange) -> None:
        self.touch(exchange)
        if "chunks" in self.writes:
            exchange.chunks = self._streamed(exchange)

    async def _streamed(self, exchange: Exchange) -> AsyncIterator[Chunk]:
        yield {}
        self.later(exchange)
        yield {}


def filled() -> Exchange:
    one = exchange("hello")
    return fill(one, **{name: f"<{name}>" for name in OF_STAGES})


@given(field=somebodys, reads=declared, optional=declared, writes=declared)
def test_a_view_reads_what_its_stage_declares_and_nothing_else(
    field: str, reads: frozenset[str], optional: frozenset[str], writes: frozenset[str]
) -> None:
    step = Step("route", reads, writes)
    step.reads_if_written = optional  # type: ignore[attr-defined]
    view = filled().view(step)
    if field in reads | optional | writes:
        assert getattr(view, field) == f"<{field}>" == view.get(field) and view.has(field)
        return
    for touch in (lambda: getattr(view, field), lambda: view.get(field), lambda: view.has(field)):
        with pytest.raises(PipelineError, match=rf"'route' reads exchange\.{field}, which it does not declare"):
            touch()


@given(
    field=st.sampled_from(FIELDS), name=st.sampled_from(sorted({owner_of(name) for name in FIELDS})), writes=declared
)
def test_a_view_writes_what_is_its_own_and_declared(field: str, name: str, writes: frozenset[str]) -> None:
    one = filled()
    view = one.view(Step(name, writes=writes))
    if owner_of(field) == name and field in writes:
        setattr(view, field, "new")
        assert getattr(one, field) == "new"
        return
    with pytest.raises(PipelineError, match=rf"exchange\.{field}"):
        setattr(view, field, "new")
    assert getattr(one, field) != "new"


@given(field=st.sampled_from(FIELDS))
def test_who_holds_the_exchange_itself_reads_all_of_it_and_writes_nothing_of_a_stages(field: str) -> None:
    one = filled()
    assert one.has(field)
    if field != "failure":  # the line's own
        with pytest.raises(PipelineError, match=f"may be written by the stage '{owner_of(field)}' only"):
            setattr(one, field, "new")
    with pytest.raises(AttributeError):
        one.__delattr__(field)


def test_what_is_no_field_is_no_attribute() -> None:
    one = filled()
    for holder in (one, one.view(Step("route", frozenset(FIELDS)))):
        with pytest.raises(AttributeError):
            holder.remark = "mine"  # type: ignore[attr-defined]
        with pytest.raises(PipelineError, match="remark"):
            holder.get("remark")


@pytest.mark.parametrize("streaming", [False, True], ids=["before", "while streaming"])
@pytest.mark.parametrize("field", ["person", "decision", "stream"])
@pytest.mark.parametrize("how", ["reads", "writes"])
async def test_a_stage_is_caught_before_and_while_the_answer_streams(streaming: bool, field: str, how: str) -> None:
    def touch(exchange: Exchange) -> None:
        setattr(exchange, field, "x") if how == "writes" else getattr(exchange, field)

    record = Step("record", writes=frozenset({"chunks"}))
    setattr(record, "later" if streaming else "touch", touch)
    one = exchange("hello")

    async def run() -> int:
        await Pipeline([record]).run(one)
        return len([chunk async for chunk in one.chunks])

    with pytest.raises(PipelineError, match=rf"exchange\.{field}") as caught:
        await run()
    assert "'record'" in caught.value.message


def test_the_pipeline_refuses_an_unknown_field() -> None:
    record = Step("record")
    record.reads_if_written = frozenset({"remark"})  # type: ignore[attr-defined]
    with pytest.raises(PipelineError, match=r"exchange\.remark: there is no such field"):
        Pipeline([record])


WAYS = ("whole", "streamed", "dry run", "fallback", "carried on", "cut", "failed", "refused", "cancelled", "hung up")


@pytest.mark.parametrize("way", WAYS)
async def test_every_shipped_stage_keeps_the_contract(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The row tells how it ended; a stage that broke the contract would have failed it with a WorkflowError."""
    faults = {"fallback": Fault.SERVER_ERROR, "carried on": Fault.CUT, "cut": Fault.CUT, "hung up": Fault.STALL}
    edge = ScriptedModel(down="asleep") if way == "failed" else ScriptedModel("the edge says so")
    with FaultyCloud("far away and long ago", slow_s=5) as cloud:
        if way in faults:
            cloud.schedule(faults[way])
        rules = {"on_cut": "edge" if way == "carried on" else "partial"}
        async with gateway(tmp_path / "home", cloud, edge=edge, routing=rules) as here:
            if way == "failed":
                cloud.stop()
            one = exchange(
                "write to ada@example.org about the sea", "netgpt/cloud", stream=way not in ("whole", "dry run"),
                dry_run=way == "dry run",
            )  # fmt: skip
            await _walk(way, here, one)
            await here.record.close()
            await asyncio.sleep(0)
            row = await here.store.exchange(one.id)
    ends = {
        "dry run": "dry_run", "cut": "failed", "failed": "failed", "refused": "failed", "cancelled": "cancelled",
        "hung up": "cancelled",
    }  # fmt: skip
    assert row is not None and row.status == one.status == ends.get(way, "complete")
    assert not isinstance(one.error, PipelineError) and not isinstance(one.failure, PipelineError)
    assert not [record for record in caplog.records if record.name == "asyncio"], (
        "one who hears of it broke the contract"
    )


async def _walk(way: str, here: Any, one: Exchange) -> None:
    if way == "hung up":
        await here.workflow.run(one)
        async with aclosing(cast(Any, one.chunks)) as chunks:
            await anext(chunks)
    elif way == "cancelled":
        task = asyncio.create_task(here.workflow.run(one))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif way in ("cut", "failed"):
        with pytest.raises(Exception, match=r".") as caught:
            await answer(here, one)
        assert not isinstance(caught.value, PipelineError)
    elif way == "refused":
        gone = ModelUnavailable("no decision today")
        here.routing_service.context.signals = _raises(gone)
        with pytest.raises(ModelUnavailable):
            await answer(here, one)
    else:
        await answer(here, one)


def _raises(error: Exception) -> Callable[[], Any]:
    def signals() -> Any:
        raise error

    return signals


async def test_no_stage_declares_what_it_never_reads(tmp_path: Path) -> None:
    """`record` declares it for those who hear of ended exchanges through its view."""
    async with gateway(tmp_path / "home") as here:
        for stage in here.workflow.stages[:-1]:
            source = inspect.getsource(inspect.getmodule(stage.__class__))  # type: ignore[arg-type]
            read = set(re.findall(r"exchange\.(\w+)", source))
            assert stage.reads <= read, stage.name
