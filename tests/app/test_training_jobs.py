"""Trainings beside the running box: one at a time for all its processes, stopped, cut, and told of afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from small_training import plant_lessons

from netgpt.adapters.registry import Registry
from netgpt.app.training import TrainingJobs, WantedTraining
from netgpt.errors import RequestError
from netgpt.settings import load_settings
from netgpt.store.store import open_store
from netgpt.training.people import forget_person
from netgpt.types import Person

ADA = Person("local", "ada")


def jobs_of(home: Path) -> TrainingJobs:
    """As one process of a box has them."""
    return TrainingJobs(load_settings(environment={}, home=home), built_in=True)


async def ended(jobs: TrainingJobs) -> dict[str, Any]:
    while True:
        told = jobs.now()
        if told is not None and not told["runs"]:
            return told
        await asyncio.sleep(0.05)


async def test_what_fails_is_told_in_words_and_without_a_name(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path)
    assert jobs.now() is None
    begun = await jobs.start(WantedTraining(ADA), "key_1")
    assert begun["runs"] and begun["by"] == "key_1"
    told = await ended(jobs)
    assert told["state"] == "failed" and "has not consented to training" in told["message"]
    file = tmp_path / "training" / "now.json"
    assert '"ada"' not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    await jobs.close()


async def test_one_runs_at_a_time_and_another_process_stops_it(tmp_path: Path) -> None:
    one, other = jobs_of(tmp_path), jobs_of(tmp_path)
    await one.start(WantedTraining(), "key_1")
    with pytest.raises(RequestError, match="a training runs already"):
        await other.start(WantedTraining(), "key_2")
    assert await other.stop("key_2") is True
    assert (await ended(one))["state"] in ("stopped", "failed"), "failed: it found too few examples before"
    assert await other.stop("key_2") is False
    await one.close()


async def test_what_was_cut_is_known_and_goes_with_the_person(tmp_path: Path) -> None:
    await plant_lessons(tmp_path, ADA)
    jobs = jobs_of(tmp_path)
    await jobs.start(WantedTraining(ADA, dry_run=True), "key_1")
    told = await ended(jobs)
    assert told["state"] == "dry run" and told["summary"]["examples"] == 160
    await jobs.start(WantedTraining(ADA), "key_1")
    pid = jobs._pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    told = await ended(jobs_of(tmp_path))
    assert told["state"] == "cut" and "goes on where it was" in told["message"]
    settings = load_settings(environment={}, home=tmp_path)
    store = open_store(settings)
    registry = Registry(settings.adapters_dir, proof=store.files)
    await forget_person(store, registry, settings.training_dir, ADA)
    await store.close()
    assert jobs.now() is None
    await jobs.close()


async def test_a_box_that_cannot_train_says_why(tmp_path: Path) -> None:
    jobs = TrainingJobs(load_settings(environment={}, home=tmp_path), built_in=False)
    with pytest.raises(RequestError, match="built-in engine") as refused:
        await jobs.start(WantedTraining(), "key_1")
    assert refused.value.status == 501 and jobs.now() is None
