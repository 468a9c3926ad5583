"""`netgpt train`: what it would train on, and every way in which it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from netgpt.cli import app
from netgpt.testing.server import FaultyCloud
from netgpt.training.lora.run import TrainingRun

runner = CliRunner()


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector without its language model: starts at once."""
    monkeypatch.setenv("NETGPT_PRIVACY__NAMES", "false")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    file = tmp_path / "mine.jsonl"
    rows = [
        {"request": f"question {n}", "answer": f"answer {n}", "slice": "odd" if n % 2 else "even"} for n in range(40)
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def call(*arguments: object) -> Any:
    return runner.invoke(app, ["train", *map(str, arguments)])


def dry(*arguments: object) -> dict[str, Any]:
    done = call(*arguments, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    message: dict[str, Any] = json.loads(done.stdout)
    return message


@pytest.mark.slow
def test_a_dry_run_shows_what_it_would_train_on(examples: Path) -> None:
    message = dry("site", "--examples", examples)
    assert message["summary"]["origins"] == {"file:mine.jsonl": 40}
    assert message["summary"]["slices"] == {"even": 20, "odd": 20}
    assert message["summary"]["held_out"] > 0 and message["state"] == "dry run" and message["adapter"] is None
    assert any("nobody consents" in note for note in message["notes"])
    shown = call("site", "--public-examples", "--examples", examples, "--dry-run")
    assert "40 examples" in shown.stdout and "question 3" not in shown.output


@pytest.mark.slow
def test_private_values_of_a_file_are_not_learnt(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [{"request": f"mail jo{n}@example.org", "answer": f"done, jo{n}@example.org"} for n in range(3)]
    rows += [{"request": "what is her mail", "answer": f"jo{n}@example.org"} for n in range(2)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    message = dry("site", "--examples", file)
    assert message["summary"]["examples"] == 1  # the three are one once pseudonymized
    assert message["skipped"] == {"the answer names something private that the question does not": 2}


def test_the_recipe_needs_no_data_folder() -> None:
    message = dry("complete")
    assert message["summary"]["examples"] > 100 and any("--data" in note for note in message["notes"])
    assert message == dry("complete")  # the same seed, the same examples


@pytest.mark.slow
def test_a_file_for_a_person_is_theirs_with_and_without_consent(examples: Path) -> None:
    message = dry("user", "ada", "--examples", examples)
    assert message["summary"]["people"] == 1 and message["name"].startswith("user-")
    assert any("no consent" in note for note in message["notes"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["user"], "name the person"),
        (["user", "ada"], "netgpt profile consent USER training on"),
        (["site"], "0 examples are too few"),
        (["site", "ada"], "did you mean `netgpt train user ada`"),
        (["site", "--examples", "none.jsonl"], "none.jsonl: cannot be read"),
        (["complete", "--data", "nowhere"], "nowhere"),
        (["site", "--self-instruct", "5"], "needs a cloud"),
        (["user", "ada", "--self-instruct", "5"], "nothing about a person"),
        (["site", "--learning-rate", "7"], "learning_rate"),
    ],
)
def test_what_cannot_be_trained_is_reported_with_the_cure(arguments: list[str], says: str) -> None:
    done = call(*arguments)
    assert done.exit_code in (1, 2) and says in done.stderr.replace("\n", " ")


def test_what_stands_in_the_way_of_training(
    examples: Path, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "netgpt models pull" in call("site", "--public-examples", "--examples", examples).stderr.replace("\n", " ")
    assert "--base" in call("site", "--public-examples", "--examples", examples, "--full").stderr
    with TrainingRun(clean_environment / "training" / "site"):
        monkeypatch.setenv("NETGPT_EDGE__MODEL", str(examples))  # any file: the lock comes first
        assert (
            "runs already"
            in call("site", "--public-examples", "--examples", examples, "--base", str(examples.parent)).stderr
        )
    monkeypatch.setenv("NETGPT_EDGE__BASE_URL", "http://127.0.0.1:9/v1")
    assert "built-in engine" in call("site", "--public-examples", "--examples", examples).stderr


@pytest.mark.slow
def test_the_cloud_writes_about_the_site(monkeypatch: pytest.MonkeyPatch, clean_environment: Path) -> None:
    def reply(body: Any) -> str:
        pairs = [{"request": f"{word} tips", "facts": [1], "completion": f"I want {word} tips in Portwick."}
                 for word in ("coffee", "museum", "parking")]  # fmt: skip
        return json.dumps({"pairs": pairs})

    monkeypatch.setenv("NETGPT_SITE__CITY", "Portwick")
    monkeypatch.setenv("NETGPT_TRAINING__MIN_EXAMPLES", "4")
    with FaultyCloud(reply) as cloud:
        monkeypatch.setenv("NETGPT_CLOUD__BASE_URL", cloud.base_url)
        assert "3 pairs" in " ".join(dry("site", "--self-instruct", 3)["notes"])
        assert cloud.all_bytes() == b""  # a dry run spends nothing
        done = call("site", "--self-instruct", 3)
        assert "3 examples are too few" in done.stderr.replace("\n", " ") and cloud.answered == 1
    assert (clean_environment / "training" / "self-instruct.jsonl").stat().st_mode & 0o777 == 0o600
