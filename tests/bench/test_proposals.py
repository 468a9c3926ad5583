"""`netgpt bench proposals`: its frames, what it counts as told, and the bar of precision on all of its frames."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

from netgpt_bench.proposals import ORDINARY, Score, Truth, conversation, frames, run

from netgpt.context.proposals import Proposal
from netgpt.types import Label


def test_the_frames_are_many_and_of_every_part() -> None:
    made = frames()
    parts = Counter(part for _, part in made.rows)
    assert sum(map(len, made.rows.values())) > 350 and set(parts) == {"dev", "later", "held", "none"}
    draw = random.Random(3)
    for kind, rows in made.rows.items():
        for _ in rows:
            remark = made.say(kind, draw)
            assert "{" not in remark.text and (remark.truth is None) == (kind[1] == "none")
    messages, truths = conversation(made, ("diet", "dev"), draw)
    assert messages[-1]["role"] == "user" and len(truths) == 1


def test_a_note_tells_a_truth_with_its_words_and_its_sign() -> None:
    assert Truth(("drive",), True).told_by("doesn't drive") and not Truth(("drive",), True).told_by("drives a van")
    assert Truth(("daughter", "six"), False).told_by("has a daughter who turns six")
    assert not Truth(("daughter", "six"), False).told_by("has a daughter")
    assert Truth(("dog/cat",), False).told_by("has a cat")
    score = Score()
    notes = [Proposal(text, "note", Label.PERSONAL, text) for text in ("has a cat", "is a pirate")]
    assert score.add([Truth(("cat",), False), Truth(("dog",), False)], notes) == ["is a pirate"]
    assert score.row("x") == {"kind": "x", "conversations": 1, "precision": 0.5, "recall": 0.5, "proposed": 2}


def test_what_is_proposed_is_true(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    row = {"text": "i love hip hop", "intent": "x"}
    (tmp_path / "prompts" / "snips_dev.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    said: list[str] = []
    result = run(tmp_path, count=600, sample=8, seed=11, progress=said.append)
    held, *others = [each for each in result["rows"] if each["kind"].startswith("all")]
    assert held["kind"] == "all, held out" and held["precision"] >= 0.95 and held["recall"] > 0.25
    assert all(each["precision"] >= 0.95 and each["recall"] >= 0.7 for each in others)
    assert result["ordinary"] == [{"set": "snips", "requests": 1, "proposals": 1}]
    assert result["printed"] == ["loves hip hop <- i love hip hop"] and len(said) == len(ORDINARY) - 1
