"""The registry under fire: many processes at once, and kills at any moment."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from made_adapters import adapter_file, card_for

from netgpt.adapters.registry import Registry
from netgpt.errors import NetGPTError
from netgpt.types import Person

FORK = multiprocessing.get_context("fork")
ADA = Person("acme", "ada")


def add_some(folder: Path, weights: Path, times: int) -> None:
    registry = Registry(folder)
    for _ in range(times):
        registry.add(weights, card_for(weights), next_free=True)


def change_without_end(folder: Path, weights: Path, seed: int) -> None:
    """Everything that a registry does, in random order, until the process is killed."""
    registry, rng = Registry(folder), random.Random(seed)
    while True:
        ids = [entry.id for entry in registry.list()] or ["site@1"]
        id = rng.choice(ids)
        action = rng.choice(["add", "add", "promote", "canary", "rollback", "remove", "metrics", "forget"])
        try:
            if action == "add":
                registry.add(weights, card_for(weights), next_free=True)
            elif action == "promote":
                registry.promote(id)
            elif action == "canary":
                registry.promote(id, canary=0.5)
            elif action == "rollback":
                registry.rollback("site")
            elif action == "remove":
                registry.remove(id)
            elif action == "metrics":
                registry.set_metrics(id, {"round": rng.random()})
            elif len(ids) > 4:
                registry.drop_person(ADA)
        except NetGPTError:
            continue  # not now: in use, gone, nothing to roll back


def check_whole(registry: Registry) -> None:
    """Whatever is listed is whole, and one version at most is active, and one canary."""
    entries = registry.list()
    assert registry.damaged() == {}
    assert all(registry.resolve(entry.id).usable for entry in entries)
    states = [entry.state.value for entry in entries]
    assert states.count("active") <= 1 and states.count("canary") <= 1


def test_many_processes_add_at_once_and_nobody_is_lost(tmp_path: Path) -> None:
    folder, weights = tmp_path / "adapters", adapter_file(tmp_path / "a.gguf")
    workers = [FORK.Process(target=add_some, args=(folder, weights, 3)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    registry = Registry(folder)
    assert [entry.card.version for entry in registry.list()] == list(range(1, 13))
    check_whole(registry)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_half_done(tmp_path: Path) -> None:
    folder, weights = tmp_path / "adapters", adapter_file(tmp_path / "a.gguf")
    registry, rng = Registry(folder), random.Random(4)
    seed = 0
    while seed < 12 or (registry.next_version("site") == 1 and seed < 100):  # a busy machine has done nothing yet
        seed += 1
        worker = FORK.Process(target=change_without_end, args=(folder, weights, seed))
        worker.start()
        time.sleep(rng.uniform(0.02, 0.25) * max(1, seed / 12))
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(60)
        check_whole(registry)
    assert registry.next_version("site") > 1, "something was done"
    registry.sweep()
    check_whole(registry)
    listed = {str(entry.path.parent.relative_to(folder)) for entry in registry.list()}
    there = {str(path.parent.relative_to(folder)) for path in folder.rglob("adapter.gguf")}
    assert there == listed, "no weights but the listed ones"
    assert {path.name for path in folder.glob(".*")} <= {".lock", ".index.json.part"}


def test_a_reader_beside_a_writer_never_sees_half_an_adapter(tmp_path: Path) -> None:
    folder, weights = tmp_path / "adapters", adapter_file(tmp_path / "a.gguf")
    worker = FORK.Process(target=add_some, args=(folder, weights, 6))
    worker.start()
    registry, seen = Registry(folder), 0
    while worker.is_alive():
        check_whole(registry)
        seen = max(seen, len(registry.list()))
    worker.join()
    assert worker.exitcode == 0 and len(registry.list()) == 6
