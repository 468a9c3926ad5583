"""The supervisor of several workers, with programs that are none: what dies starts again, what always dies does not."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from netgpt.cli.supervisor import MOST_TRIES, Supervisor
from netgpt.settings import load_settings

READY = "import sys, json, os, time; o = json.load(sys.stdin); os.write(o['line'], b'[\"ready\",null]\\n'); "
"""A worker that says that it answers, and then does what follows."""


async def supervised(home: Path, program: str, stop_after: str = "", **server: object) -> tuple[int, Supervisor]:
    """Two workers that run this program; told to stop when the log has `stop_after`."""
    settings = load_settings(
        environment={}, home=home, edge={"base_url": "http://127.0.0.1:9/v1"}, server={"workers": 2, **server}
    )
    supervisor = Supervisor(settings, {}, (sys.executable, "-c", program))
    supervisor.listener = socket.create_server(("127.0.0.1", 0))
    supervisor.closing_s = 0.3
    told = asyncio.Event()
    try:
        running = asyncio.create_task(supervisor.run(told.set))
        if stop_after == "ready":
            await told.wait()
            while not all(each["state"] == "ready" for each in supervisor.board.shown().values()):
                await asyncio.sleep(0.01)
            supervisor._stop(signal.SIGTERM)
        return await running, supervisor
    finally:
        supervisor.listener.close()
        await supervisor.board.close()


async def test_a_crash_loop_ends_with_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    code, supervisor = await supervised(tmp_path, "raise SystemExit(3)")
    said = capfd.readouterr().err
    assert code == 1
    assert f"ended {MOST_TRIES} times in a row soon after its start (the last time: exit code 3)" in said
    assert str(supervisor.settings.log_file) in said
    assert "(exit code 3); another one starts in 0.2 s" in caplog.text
    assert "another one starts in 0.8 s" in caplog.text  # later each time


async def test_all_are_drained_and_what_hangs_is_killed(tmp_path: Path) -> None:
    hangs = READY + "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    code, supervisor = await supervised(tmp_path, hangs, "ready", drain_s=0.1)
    assert code == 0 and all(each["state"] == "down" for each in supervisor.board.shown().values())
