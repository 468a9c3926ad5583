from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netgpt.cli.route import app

RUN = CliRunner()


def message(*words: str, stdin: str | bytes | None = None) -> str:
    done = RUN.invoke(app, list(words), input=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_line_for_each_row_in_their_order(tmp_path: Path):
    texts = ["play some jazz", "What is 3 * (4 + 5) / 7 to four decimals?", "", "\ud83d\ude00", "ä b"] * 250
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts), encoding="utf-8")
    rows = [json.loads(line) for line in message("score", "--jsonl", str(path), "--json").splitlines()]
    assert [row["index"] for row in rows] == list(range(1250))
    assert all(0 <= row["p_edge_ok"] <= 1 for row in rows)
    assert rows[0]["p_edge_ok"] == rows[5]["p_edge_ok"] > rows[1]["p_edge_ok"]
    assert message("score", "--jsonl", "-", "--json", stdin=path.read_bytes()).count("\n") == 1250


def test_plain_text_and_another_field(tmp_path: Path):
    assert 0 <= float(message("score", "turn", "off", "the", "light")) <= 1
    assert json.loads(message("score", "--json", stdin="turn off the light")).keys() == {"index", "p_edge_ok"}
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "who?"}\n\n', encoding="utf-8")
    assert message("score", "--jsonl", str(path), "--field", "question").count("\n") == 1
    path.write_text("", encoding="utf-8")
    assert message("score", "--jsonl", str(path)) == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "rows.jsonl:3: not JSON"),
        ("7", "rows.jsonl:3: not an object"),
        ('{"text": "a"}', 'rows.jsonl:3: no field "prompt"; name the field'),
        ('{"prompt": 7}', 'rows.jsonl:3: the field "prompt" is not a string'),
    ],
)
def test_a_faulty_line_is_named_and_the_rows_before_it_are_answered(tmp_path: Path, line: str, why: str):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n' + line + "\n", encoding="utf-8")
    done = RUN.invoke(app, ["score", "--jsonl", str(path), "--json"])
    assert done.exit_code == 2 and why in done.stderr.replace("\n", "")
    assert len(done.stdout.splitlines()) == 2


def test_missing_files_are_named(tmp_path: Path):
    done = RUN.invoke(app, ["score", "--jsonl", str(tmp_path / "none.jsonl")])
    assert done.exit_code == 2 and "none.jsonl: cannot be read" in done.stderr
    done = RUN.invoke(app, ["score", "a", "--model", str(tmp_path / "none.safetensors")])
    assert done.exit_code == 1 and "netgpt route train" in done.stderr
    done = RUN.invoke(app, ["score", "a", "--jsonl", "-"])
    assert done.exit_code == 2 and "not both" in done.stderr


def test_an_own_model_is_trained_used_and_shown(tmp_path: Path):
    rows = [{"prompt": f"say {n}" + " and then count again" * (n % 7), "label": int(n % 7 < 3)} for n in range(90)]
    data, out = tmp_path / "own.jsonl", tmp_path / "deep" / "own.safetensors"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    card = json.loads(message("train", "--data", str(data), "--out", str(out), "--json"))
    assert card["path"] == str(out) and card["kinds"]["own"]["rows"] == 90
    texts = ("say 0", "say 6" + " and then count again" * 6)
    easy, hard = (float(message("score", text, "--model", str(out))) for text in texts)
    assert easy > hard
    assert "own" in message("show", "--model", str(out))
    wrong = RUN.invoke(app, ["train", "--data", str(data), "--out", str(tmp_path / "own.bin")])
    assert wrong.exit_code == 2 and "must end in .safetensors" in wrong.stderr


def test_the_shipped_model_says_that_it_saw_no_labels():
    card = json.loads(message("show", "--json"))
    assert card["labels"].startswith("none") and len(card["sorts"]) > 30
    assert "stories" in message("show")
