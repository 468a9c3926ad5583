"""`netgpt redact`, through typer, on real files."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from netgpt.cli.redact import redact

app = typer.Typer()
app.command()(redact)
runner = CliRunner()


def test_text_from_the_arguments_is_masked() -> None:
    result = runner.invoke(app, ["--no-names", "I", "am", "ada@mill.org,", "ada@mill.org"])
    assert result.exit_code == 0
    assert result.stdout == "I am [EMAIL_1], [EMAIL_1]\n"


def test_text_from_standard_input_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("ring +44 20 7946 0018\n")
    assert runner.invoke(app, ["--no-names", "--file", str(path)]).stdout == "ring [PHONE_1]\n"
    assert runner.invoke(app, ["--no-names"], input="10.1.2.3").stdout == "[IP_1]\n"


def test_json_shows_the_spans() -> None:
    result = runner.invoke(app, ["--no-names", "--json", "I am ada@mill.org"])
    span = {"start": 5, "end": 17, "kind": "EMAIL", "rule": "pattern:email", "text": "ada@mill.org"}
    assert json.loads(result.stdout) == {"text": "I am [EMAIL_1]", "spans": [span]}


def test_rows_keep_their_order_and_their_own_numbering(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"q": f"{i} u{i}@mill.org"}) + "\n" for i in range(20)))
    result = runner.invoke(app, ["--no-names", "--jsonl", str(path), "--field", "q"])
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == [f"{i} [EMAIL_1]" for i in range(20)]


@pytest.mark.parametrize(
    ("second_line", "fault"),
    [
        ("not json", ":2: not JSON"),
        ('{"other": 1}', ':2: no field "text"'),
        ('{"text": 1}', ':2: the field "text" is not'),
    ],
)
def test_a_faulty_row_is_named_after_the_good_ones(tmp_path: Path, second_line: str, fault: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "ok"}\n' + second_line + "\n")
    result = runner.invoke(app, ["--no-names", "--jsonl", str(path)])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["text"] == "ok"
    assert "rows.jsonl" in result.stderr and fault in result.stderr.replace("\n", "")


def test_unreadable_input_is_reported() -> None:
    assert "cannot be read" in runner.invoke(app, ["--file", "/nonexistent"]).stderr
    assert runner.invoke(app, ["--file", "a", "text"]).exit_code == 2


def test_names_are_found_by_default() -> None:
    assert runner.invoke(app, ["Grace Hopper lives in London."]).stdout == "[PERSON_1] lives in [PLACE_1].\n"
