"""Training as a service: what a caller is told as it happens, without any command line."""

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


class Heard(TrainingProgress):
    def __init__(self) -> None:
        self.told: list[str] = []

    def gathering(self) -> None:
        self.told.append("gathering")

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        self.told.append(f"gathered {summary.examples}")

    def begun(self, resumes: bool) -> None:
        self.told.append("begun")


async def trained(home: Path, is_up: Heard, *, dry_run: bool) -> TrainingResult:
    file = home / "mine.jsonl"
    file.write_text("\n".join(json.dumps({"request": f"question {n}", "answer": f"answer {n}"}) for n in range(40)))
    settings = Settings(home=home)
    job = TrainingJob("site", Recipe(), examples=file, public_examples=True, dry_run=dry_run)
    store = open_store(settings)
    try:
        return await train_adapter(settings, job, store=store, detector=LocalDetector(names=False), progress=is_up)
    finally:
        await store.close()


async def test_a_dry_run_ends_when_the_examples_are_gathered(tmp_path: Path) -> None:
    is_up = Heard()
    result = await trained(tmp_path, is_up, dry_run=True)
    assert is_up.told == ["gathering", "gathered 40"]
    assert result.state == "dry run" and result.summary.examples == 40 and not (tmp_path / "training").exists()


async def test_what_stands_in_the_way_is_raised_after_the_examples_are_shown(tmp_path: Path) -> None:
    is_up = Heard()
    with pytest.raises(NetGPTError, match="netgpt models pull"):
        await trained(tmp_path, is_up, dry_run=False)
    assert is_up.told == ["gathering", "gathered 40"]
