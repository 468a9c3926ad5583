"""What every test gets: an empty home, no key, no proxy, no way to spend money."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before NumPy: test processes share the cores
    os.environ.setdefault(_threads, "1")

from weights import bundled_weights, encoder_weights  # noqa: E402

settings.register_profile(
    "no clock", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)  # the same cases in each run; `netgpt bench fuzz` looks for others, as long as it is let
settings.load_profile("no clock")

__all__ = ["bundled_weights", "clean_environment", "encoder_weights"]


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary NETGPT_HOME, and none of the caller's settings, keys or proxies."""
    for name in list(os.environ):
        if name.startswith(("NETGPT_", "OPENAI_", "HF_", "OLLAMA_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("NETGPT_HOME", str(home))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return home


_NEVER_AGAIN = re.compile(
    r"privacy|policy|store|files|scope|leak|isolation|rights|receipt|forgotten|tampered|hostile|boundary|injection"
    r"|planted|leaves|hidden|secret|tenant|audit"
)
"""Tests, by file and name, that are asked once: of what must not leave or be seen."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a stall may fail is asked up to three times (shown as "rerun"): three of thirty thousand met one.

    Where files run side by side, those with the longest tests go first: else one of them runs alone at the end.
    """
    for item in items:
        if not _NEVER_AGAIN.search(item.nodeid.partition("[")[0]):
            item.add_marker(pytest.mark.flaky(reruns=2))
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: a search for garbage that reads it all holds every thread for a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1_000_000)  # the oldest only between files, see below: no test waits for it


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
