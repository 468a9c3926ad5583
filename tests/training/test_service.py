"""Training as a service: the progress that a caller sees, without any command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from netgpt.errors import NetGPTError
from netgpt.privacy.detector import LocalDetector
from netgpt.settings import Settings
from netgpt.store.store import open_store
from netgpt.training.example import Summary
from netgpt.training.lora.recipe import Recipe
from netgpt.training.service import TrainingJob, TrainingProgress, TrainingResult, train_adapter


class Recorder(TrainingProgress):
    def __init__(self) -> None:
        self.events: list[str] = []

    def gathering(self) -> None:
        self.events.append("gathering")

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        self.events.append(f"gathered {summary.examples}")

    def begun(self, resumes: bool) -> None:
        self.events.append("begun")


async def trained(home: Path, progress: Recorder, *, dry_run: bool) -> TrainingResult:
    file = home / "mine.jsonl"
    file.write_text("\n".join(json.dumps({"request": f"question {n}", "answer": f"answer {n}"}) for n in range(40)))
    settings = Settings(home=home)
    job = TrainingJob("site", Recipe(), examples=file, public_examples=True, dry_run=dry_run)
    store = open_store(settings)
    try:
        return await train_adapter(settings, job, store=store, detector=LocalDetector(names=False), progress=progress)
    finally:
        await store.close()


async def test_a_dry_run_ends_when_the_examples_are_gathered(tmp_path: Path) -> None:
    progress = Recorder()
    result = await trained(tmp_path, progress, dry_run=True)
    assert progress.events == ["gathering", "gathered 40"]
    assert result.state == "dry run" and result.summary.examples == 40 and not (tmp_path / "training").exists()


async def test_missing_weights_are_reported_after_the_examples(tmp_path: Path) -> None:
    progress = Recorder()
    with pytest.raises(NetGPTError, match="netgpt models pull"):
        await trained(tmp_path, progress, dry_run=False)
    assert progress.events == ["gathering", "gathered 40"]
