"""The bench of what hiding costs: checked on a detector whose finds are known."""

import json
import re
from collections.abc import Sequence

import pytest
from netgpt_bench.cli import app
from netgpt_bench.utility import ALL, KINDS, LOST, RuleCloud, Task, TaskMaker, measure, right_facts, run
from typer.testing import CliRunner

from netgpt.errors import SettingsError
from netgpt.types import Span


class Finds:
    """A Detector that finds one form and gives it one kind."""

    def __init__(self, form: str, kind: str) -> None:
        self._form, self._kind = re.compile(form), kind

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        return [[Span(*m.span(), self._kind, "test", 0.9) for m in self._form.finditer(text)] for text in texts]

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


PEOPLE = Finds(r"(?<=- )[A-Z][a-z]+ [A-Z][a-z]+", "PERSON")
DATES = Finds(r"\d{4}-\d\d-\d\d", "DATE")
AGES = Finds(r"(?<=is )\d+(?= years)", "AGE")
AMOUNTS = Finds(r"(?<=paid |owes )\d+|(?<=spent )\d+", "ACCOUNT")


def rows_of(table: Sequence[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(row["work"]): row for row in table}


async def test_the_cloud_by_rule_makes_no_mistake_of_its_own() -> None:
    tasks = TaskMaker(3).tasks(100)
    assert {task.kind for task in tasks} == set(KINDS)
    for task in tasks:
        assert right_facts(task, await RuleCloud().answer(task.text)) == len(task.facts), task.kind


def test_the_same_seed_makes_the_same_tasks() -> None:
    assert TaskMaker(5).tasks(20) == TaskMaker(5).tasks(20) != TaskMaker(6).tasks(20)


def test_facts_are_whole_words_and_ordered_where_order_is_asked() -> None:
    assert right_facts(Task("sum", "", ("12",)), "it is 121 or\n 12") == 1
    assert right_facts(Task("sum", "", ("12",)), "it is 121") == 0
    assert right_facts(Task("sort", "", ("a b", "c", "d"), ordered=True), "a  b, d, c") == 2


async def test_an_instruction_that_it_does_not_know_is_said_to_be_lost() -> None:
    assert await RuleCloud().answer("[ORG_1] these\n\n- a") == LOST


async def test_names_hidden_spoil_their_order_and_nothing_else() -> None:
    tasks = TaskMaker(3).tasks(60)
    result = rows_of(await measure(tasks, RuleCloud().answer, PEOPLE, ["balanced", "strict"], lambda _: None))
    assert result["sorting by name"]["strict %"] != 100.0
    assert result["sorting by name"]["balanced %"] == 100.0  # their numbers follow the alphabet
    for kind in ("adding amounts", "counting people", "choosing by amount", "sorting by amount", "choosing by age"):
        assert result[kind]["balanced %"] == result[kind]["strict %"] == 100.0, kind


async def test_days_are_counted_between_shifted_dates_and_ages_compared() -> None:
    tasks = TaskMaker(3).tasks(60)
    for detector, kind in ((DATES, "days between dates"), (AGES, "choosing by age")):
        result = rows_of(await measure(tasks, RuleCloud().answer, detector, ["balanced", "strict"], lambda _: None))
        assert (result[kind]["balanced %"], result[kind]["strict %"]) == (100.0, 0.0)
        assert result["facts of a letter"]["balanced %"] == 100.0


async def test_amounts_hidden_spoil_sums_unless_the_policy_lets_them_leave() -> None:
    tasks = TaskMaker(3).tasks(20)
    result = rows_of(await measure(tasks, RuleCloud().answer, AMOUNTS, ["balanced", "open"], lambda _: None))
    assert (result["adding amounts"]["balanced %"], result["adding amounts"]["open %"]) == (0.0, 100.0)
    assert result[ALL]["requests"] == 20


async def test_what_the_policy_keeps_is_counted_apart() -> None:
    secret = Finds(r"(?<=paid )\d+", "CARD")
    result = rows_of(await measure(TaskMaker(3).tasks(10), RuleCloud().answer, secret, ["strict"], lambda _: None))
    assert (result["adding amounts"]["strict kept"], result["adding amounts"]["strict %"]) == (1, None)
    assert result[ALL]["strict kept"] == 1


@pytest.mark.slow
async def test_a_real_model_has_a_table_of_its_own() -> None:
    async def silent(_text: str) -> str:
        return ""

    result = await run(
        detector=PEOPLE,
        requests=20,
        seed=1,
        policies=["open"],
        model=silent,
        model_requests=10,
        progress=lambda _: None,
    )
    assert rows_of(result["tables"]["model"])[ALL]["right without hiding %"] == 0.0
    assert rows_of(result["tables"]["rules"])[ALL]["right without hiding %"] == 100.0


async def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(SettingsError):
        await measure([], RuleCloud().answer, PEOPLE, ["loose"], lambda _: None)


@pytest.mark.slow
def test_the_command_prints_json() -> None:
    done = CliRunner().invoke(app, ["utility", "--requests", "20", "--policy", "balanced", "--no-names", "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (
        result["requests"] == 20 and result["commit"] and rows_of(result["tables"]["rules"])[ALL]["balanced %"] == 100.0
    )


def test_no_policy_at_all_is_refused() -> None:
    done = CliRunner().invoke(app, ["utility", "--policy", ","])
    assert done.exit_code == 2 and "--policy" in done.output
