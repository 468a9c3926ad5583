"""The pipeline: a declared list of stages that one exchange goes through. Checked when built, timed when run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from netgpt.errors import PipelineError
from netgpt.exchange import OWNERS, Exchange, optional_reads, owner_of
from netgpt.registry import PluginRegistry


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


CLOSED: Final = frozenset(("vault", "restoring", "stream", "restored", "chunks", "continuation"))
"""Fields that no plug-in reads: they hold what was hidden, or can be read only once."""


def _admit(name: str, factory: Any) -> Callable[[Any], Stage]:
    """Raises ValueError: what a plug-in brings is no factory, or the name is a built-in stage's."""
    if name in OWNERS:
        raise ValueError("the name is a built-in stage's")
    if not callable(factory):
        raise ValueError("is no function of the gateway that gives a stage")
    return factory  # type: ignore[no-any-return]


STAGES: Final[PluginRegistry[Callable[[Any], Stage]]] = PluginRegistry("netgpt.stages", dict, _admit)
"""Stages of plug-ins: functions of the gateway. One runs where `workflow.stages` names it."""


def plugged_stage(name: str, gateway: Any) -> Stage:
    """The stage that a plug-in brings. Raises PipelineError: there is none, it cannot be made, it claims too much."""
    if name not in STAGES:
        faults = "".join(
            f": {each.state}{each.why and ', '}{each.why}" for each in STAGES.entries() if each.name == name
        )
        known = ", ".join([*sorted(OWNERS - {"line", "door"}), *STAGES])
        raise PipelineError(f'workflow.stages names "{name}"{faults or ", which is no stage"}; the stages are {known}')
    try:
        stage = STAGES[name](gateway)
    except Exception as error:  # noqa: BLE001 - the code of others may raise anything
        raise PipelineError(f'the stage "{name}" cannot be made: {type(error).__name__}: {error}') from None
    check_plugged(stage, name)
    return stage


def check_plugged(stage: Any, name: str) -> None:
    """What a plug-in's stage may declare. Raises PipelineError."""
    if getattr(stage, "name", None) != name or name in OWNERS:
        raise PipelineError(f"the stage '{name}' must carry its own name, not {getattr(stage, 'name', None)!r}")
    if not callable(stage) or not isinstance(getattr(stage, "reads", None), frozenset):
        raise PipelineError(f"the stage '{name}' needs `reads`, `writes` (frozensets), `async __call__(exchange)`")
    if getattr(stage, "writes", None) != frozenset():
        raise PipelineError(f"the stage '{name}' may write no field of an exchange, only `exchange.note(...)`")
    if closed := (stage.reads | optional_reads(stage)) & CLOSED:
        raise PipelineError(f"the stage '{name}' may not read exchange.{min(closed)}")


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
    for stage in stages:
        if stage.name not in OWNERS:
            check_plugged(stage, stage.name)
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
