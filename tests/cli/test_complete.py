from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from netgpt.cli.complete import complete
from netgpt.completion.compose import HEADING

app = typer.Typer()
app.command()(complete)
FACTS = [
    "The user is in Cambridge",
    "has a dog called Rex",
    {"text": "is vegetarian", "kind": "diet"},
    "budget: is small",
]


def called(*words, input=None):
    return CliRunner().invoke(app, [*words], input=input)


def test_a_request_is_completed_by_embeddings_alone():
    result = called("find me a place to eat", "--no-model", "--fact", "diet: is vegetarian", "--fact", "pet: has a dog")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"find me a place to eat\n\n{HEADING}\n- The user is vegetarian.\n"


def test_rows_come_in_order_and_bad_ones_are_reported_with_their_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"request": "where should I eat tonight", "facts": FACTS})
    nothing = json.dumps({"request": "tell me a joke", "facts": FACTS})
    path.write_text("\n".join([good, "{nope", "", nothing, '{"request": ""}', '{"request": "a", "facts": [3]}', "[]"]))
    result = called("--jsonl", str(path), "--no-model")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert len(rows) == 6
    assert set(rows[0]) == {"chosen", "text"}
    assert 2 in rows[0]["chosen"] and 1 not in rows[0]["chosen"]
    assert rows[0]["text"].startswith("where should I eat tonight\n")
    assert rows[2] == {"chosen": [], "text": "tell me a joke"}
    for row, line in ((rows[1], 2), (rows[3], 5), (rows[4], 6), (rows[5], 7)):
        assert row["error"].startswith(f"{path}:{line}: ")
        assert row["error"] in result.stderr.replace("\n", "")


def test_stdin_is_a_file_too_and_off_adds_nothing():
    row = json.dumps({"request": "dinner ideas", "facts": FACTS})
    result = called("--jsonl", "-", "--mode", "off", input=row)
    assert json.loads(result.stdout) == {"chosen": [], "text": "dinner ideas"}


@pytest.mark.parametrize("words", [[], ["a", "--jsonl", "x"], ["--jsonl", "absent.jsonl"], [""]])
def test_wrong_calls_say_what_is_wrong(words):
    result = called(*words, "--no-model")
    assert result.exit_code == 2
    assert "error:" in result.stderr


def test_without_weights_the_cure_is_reported():
    result = called("dinner ideas", "--fact", "is vegan")
    assert result.exit_code == 1
    assert "netgpt models pull" in result.stderr
