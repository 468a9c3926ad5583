"""The detector is killed and stopped while requests are under way: still nothing planted reaches the cloud."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
from leaking import FACTS, SECRET_WORDS, ask_all, planted, profile, seen_by
from patience import in_time
from private_requests import PLACES
from private_values import leaked
from serving import Served

from netgpt.testing.server import FaultyCloud

KILLS = 6


@pytest.mark.slow
def test_a_detector_that_dies_and_hangs_lets_nothing_through(tmp_path: Path) -> None:
    with (
        FaultyCloud() as cloud,
        Served(tmp_path / "home", cloud=cloud, privacy__timeout_s="1", server__deadline_s="8") as gateway,
    ):
        profile(gateway, "ada")
        stop, kills = threading.Event(), list[int]()

        def torture() -> None:
            """Each detector works for a moment before it is killed or stopped, however long its start takes."""
            for kind in cycle([signal.SIGKILL, signal.SIGSTOP]):
                while not gateway.get("/readyz").json()["parts"]["detector"]["ok"] and not stop.wait(0.05):
                    pass
                if stop.wait(0.7):
                    return
                for pid in _workers(gateway.process.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, kind)
                        kills.append(pid)

        thread = threading.Thread(target=torture)
        thread.start()
        try:
            requests = planted(31, 4)
            facts = [PLACES["user"](form) | {"user": "ada"} for _, (_, forms) in FACTS.items() for form in forms]
            slowest, at = 0.0, 0
            while thread.is_alive() and (len(kills) < KILLS or not cloud.received):
                began = time.monotonic()
                ask_all(
                    gateway, [body for _, _, body in requests[at : at + 24]] + facts[at % 20 : at % 20 + 6], workers=30
                )
                slowest, at = max(slowest, time.monotonic() - began), (at + 24) % len(requests)
        finally:
            stop.set()
            thread.join()
        seen = seen_by(cloud)
        assert len(kills) >= KILLS and cloud.received and in_time(slowest, 8 + 1)
        assert [(place, value.text) for place, value, _ in requests if leaked(value, seen)] == []
        assert [w for w in SECRET_WORDS if "".join(c for c in w if c.isalnum()) in seen] == []


def _workers(pid: int) -> list[int]:
    """Process ids of the detector's children of the gateway."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid and b"privacy.worker" in command:
                found.append(int(entry.name))
    return found
