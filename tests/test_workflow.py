import pytest

from netgpt.errors import ModelUnavailable, PipelineError
from netgpt.exchange import Exchange, Request
from netgpt.stages import Pipeline
from netgpt.stages.complete import Identify
from netgpt.stages.generate import Generate
from netgpt.types import Caller, Person, Role


class Step:
    """A stage for trials: writes what it says, or fails."""

    def __init__(self, name: str, reads: set[str], writes: set[str], fails: Exception | None = None) -> None:
        self.name, self.reads, self.writes, self.fails = name, frozenset(reads), frozenset(writes), fails
        self.ran = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.ran += 1
        if self.fails:
            raise self.fails


def exchange() -> Exchange:
    return Exchange(Request(body={"messages": []}), Caller("t", Role.USER, bound_user="ada"))


async def test_it_runs_in_order_and_times_each_stage() -> None:
    record = Step("record", {"person"}, set())
    one = exchange()
    await Pipeline([Identify(), record]).run(one)
    assert one.person == Person("t", "ada")
    assert set(one.timings) == {"identify", "record"} and record.ran == 1


async def test_record_runs_when_another_failed() -> None:
    record = Step("record", set(), set())
    one = exchange()
    with pytest.raises(ModelUnavailable):
        await Pipeline([Step("route", set(), set(), ModelUnavailable("gone")), record]).run(one)
    assert record.ran == 1 and isinstance(one.failure, ModelUnavailable)


def test_orders_that_cannot_work_are_refused() -> None:
    record = Step("record", set(), set())
    with pytest.raises(PipelineError, match="must end with the stage 'record'"):
        Pipeline([Identify()])
    with pytest.raises(PipelineError, match=r"reads exchange.person, which no earlier stage writes: put 'identify'"):
        Pipeline([Step("recall", {"person"}, {"facts"}), record])
    with pytest.raises(PipelineError, match="stands twice"):
        Pipeline([Identify(), Identify(), record])
    with pytest.raises(PipelineError, match=r"may not write exchange\.person"):
        Pipeline([Step("recall", set(), {"person"}), record])
    with pytest.raises(PipelineError, match=r"masks .* without restoring"):
        Pipeline([Step("desensitize", set(), {"vault"}), record])


def test_the_real_generate_needs_a_decision() -> None:
    generate = Generate.__new__(Generate)
    assert "decision" in generate.reads
