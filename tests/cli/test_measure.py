"""`netgpt models measure` and `show`: on the real engine, of a server on the box, and of a cloud within a budget."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from capability.model_answers import right_answer
from patience import wait_until
from typer.testing import CliRunner

from netgpt.app.capability import FILE
from netgpt.capability.questions import CheckedQuestion, questions
from netgpt.cli.models import app
from netgpt.judgement import TASK_KINDS
from netgpt.settings import load_settings
from netgpt.store.receipts import ReceiptRow
from netgpt.store.store import open_store
from netgpt.testing.server import Fault, FaultyCloud, last_user_text

runner = CliRunner()
KNOWN: dict[str, CheckedQuestion] = {
    question.asked: question for kind in TASK_KINDS for question, _ in zip(questions(kind, 1), range(8), strict=False)
}


def knows_facts(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """A model that is right in every kind but in arithmetic."""
    question = KNOWN.get(last_user_text(body))
    if question is None or question.kind == "arithmetic":
        return "I would say 7."
    answer = right_answer(question)
    calls = [
        {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (name, arguments) in enumerate(answer.calls)
    ]
    return {"content": answer.text, **({"tool_calls": calls} if calls else {})}


def measured(*arguments: str) -> dict[str, Any]:
    result = runner.invoke(app, ["measure", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def receipts() -> list[ReceiptRow]:
    async def read() -> list[ReceiptRow]:
        store = open_store(load_settings())
        try:
            return list(await store.receipts.page(None, 1000))
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.mark.slow
def test_the_built_in_engine_is_measured_and_what_was_found_is_shown(
    bundled_weights: Path, clean_environment: Path
) -> None:
    (clean_environment / "models").mkdir(parents=True)
    (clean_environment / "models" / bundled_weights.name).symlink_to(bundled_weights)
    found = measured("smollm2-135m", "--kind", "facts", "--kind", "dates", "--rounds", "1", "--minutes", "5")
    assert found["run"]["stopped"] == "enough"
    assert {kind: facts["asked"] for kind, facts in found["kinds"].items() if "asked" in facts} == {
        "facts": 1,
        "dates": 1,
    }
    assert (clean_environment / FILE).stat().st_mode & 0o777 == 0o600
    assert not receipts()
    shown = json.loads(runner.invoke(app, ["show", "smollm2-135m", "--json"]).stdout)
    assert set(shown["capability"]) == set(TASK_KINDS)
    assert shown["capability"]["word-problems"]["source"].startswith("https://")
    table = runner.invoke(app, ["show", "smollm2-135m"]).stdout
    assert "what it can do" in table
    assert "translation" in table


def test_a_server_on_the_box_is_asked_everything_and_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyCloud(knows_facts) as server:
        monkeypatch.setenv("NETGPT_EDGE__BASE_URL", server.base_url)
        first = measured("edge", "--rounds", "1")
        assert all(facts["right"] == (kind != "arithmetic") for kind, facts in first["kinds"].items())
        asked = {last_user_text(json.loads(request.body)) for request in server.received}
        server.forget()
        second = measured("edge", "--rounds", "2")
        again = {last_user_text(json.loads(request.body)) for request in server.received}
        assert second["kinds"]["dates"]["asked"] == 2
        assert not asked & again
        assert measured("edge", "--rounds", "2")["run"]["asked"] == 0
        assert measured("edge", "--rounds", "1", "--again")["kinds"]["dates"]["asked"] == 3
        assert measured("edge", "--rounds", "1", "--fresh")["kinds"]["dates"]["asked"] == 1


def test_a_cloud_is_asked_through_the_vault_with_receipts_and_within_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyCloud(knows_facts) as cloud:
        monkeypatch.setenv("NETGPT_CLOUD__BASE_URL", cloud.base_url)
        monkeypatch.setenv("NETGPT_CLOUD__MODEL", "gpt-4o")
        monkeypatch.setenv("NETGPT_CLOUD__API_KEY", "k")
        monkeypatch.setenv("NETGPT_CLOUD__PRICE_PROMPT", "100")
        monkeypatch.setenv("NETGPT_CLOUD__PRICE_COMPLETION", "100")
        found = measured("cloud", "--kind", "facts", "--kind", "extraction", "--rounds", "3")
        assert found["kinds"]["facts"]["right"] == 0  # these kinds alone have questions of their own
        sent = [json.loads(request.body) for request in cloud.received]
        assert len(receipts()) == len(sent) <= found["run"]["asked"] == 6
        assert not any("@" in last_user_text(body) for body in sent)  # held back: the detector hides addresses
        cloud.forget()
        tight = measured("cloud", "--fresh", "--rounds", "3", "--budget", "0.2")
        assert tight["run"]["stopped"] == "money"
        assert tight["run"]["money"] <= 0.2


def test_an_endless_answer_is_left_and_does_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyCloud("the capital is Paris, Rome, Oslo and " * 20_000, delay_s=0.001) as server:
        monkeypatch.setenv("NETGPT_EDGE__BASE_URL", server.base_url)
        found = measured("edge", "--kind", "facts", "--rounds", "1")
        assert found["kinds"]["facts"]["right"] == 0
        wait_until(lambda: bool(server.hangups))


def test_a_model_that_never_answers_is_an_error_with_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyCloud(faults=[Fault.SERVER_ERROR] * 500) as server:
        monkeypatch.setenv("NETGPT_EDGE__BASE_URL", server.base_url)
        result = runner.invoke(app, ["measure", "edge", "--rounds", "1"])
    assert result.exit_code == 1
    assert "answered none" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["measure", "smolm2"], "did you mean"),
        (["measure", "none.gguf"], "no such weights file"),
        (["measure", "edge", "--kind", "cooking"], "no such kind of task"),
        (["measure", "edge"], "netgpt models pull"),
    ],
)
def test_faults_are_one_line_with_a_cure(arguments: list[str], words: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_weights_that_are_not_the_listed_ones_are_not_measured(clean_environment: Path) -> None:
    folder = clean_environment / "models"
    folder.mkdir(parents=True)
    with (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").open("wb") as file:
        file.truncate(98_362_432)  # the size is right, nothing else
    result = runner.invoke(app, ["measure", "smollm2-135m"])
    assert result.exit_code == 1
    assert "the file was changed" in result.stderr
