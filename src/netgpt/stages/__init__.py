"""The pipeline: a declared list of stages that one exchange goes through. Checked when built, timed when run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from netgpt.errors import PipelineError
from netgpt.exchange import Exchange, optional_reads, owner_of


class Stage(Protocol):
    """One step of the pipeline: a thin adapter to one capability, which knows nothing of stages.

    A stage that reads some fields only where they were written (`exchange.get`) names them in `reads_if_written`.
    """

    name: str
    reads: frozenset[str]  # fields of `Exchange` that must have been written before
    writes: frozenset[str]  # fields of `Exchange` that this stage writes

    async def __call__(self, exchange: Exchange) -> None:
        """`exchange`: this stage's view, which allows only what the stage declares; also while the answer streams."""
        ...


class Pipeline:
    """Runs the stages in order. The last stage, `record`, also runs when another failed.

    Raises PipelineError when built with an order that reads what nobody wrote, writes what another stage owns,
    masks without restoring, or does not end with `record`.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        _check(self.stages)

    async def run(self, exchange: Exchange) -> None:
        """Run until `exchange.chunks` is ready to be iterated. Raises what the failing stage raised."""
        *before, record = self.stages
        try:
            for stage in before:
                await _timed(stage, exchange)
        except BaseException as error:
            exchange.failure = error
            await _timed(record, exchange)
            raise
        await _timed(record, exchange)


async def _timed(stage: Stage, exchange: Exchange) -> None:
    started = time.perf_counter()
    try:
        await stage(exchange.view(stage))
    finally:
        exchange.note_time(stage.name, (time.perf_counter() - started) * 1000)


def _check(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    if not names or names[-1] != "record":
        raise PipelineError("the pipeline must end with the stage 'record': what is not recorded cannot be explained")
    if len(set(names)) != len(names):
        raise PipelineError(f"a stage stands twice in the pipeline: {', '.join(names)}")
    written: dict[str, str] = {}
    for stage in stages:
        for name in sorted(stage.reads - written.keys()):
            raise PipelineError(
                f"the stage '{stage.name}' reads exchange.{name}, which no earlier stage writes: "
                f"put '{owner_of(name)}' before it in [workflow] stages"
            )
        for name in sorted(optional_reads(stage)):
            if owner_of(name) == "?":
                raise PipelineError(f"the stage '{stage.name}' reads exchange.{name}: there is no such field")
        for name in stage.writes:
            if name in written or owner_of(name) != stage.name:
                raise PipelineError(f"the stage '{stage.name}' may not write exchange.{name}: it is not its own")
            written[name] = stage.name
    if "desensitize" in names and "restore" not in names[names.index("desensitize") :]:
        raise PipelineError("the pipeline masks ('desensitize') without restoring: add 'restore' after 'generate'")
