"""Detectors that are copies of one: they find the same, share its memory, and end with who asked for them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from patience import until

from netgpt.errors import DetectorError
from netgpt.privacy.detector_pools import LONG, DetectorPools
from netgpt.privacy.process import DetectorProcess, environment, worker_command
from netgpt.privacy.template import DetectorTemplate


def private_mb(pid: int) -> float:
    """Memory that the process shares with nobody, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


@pytest.fixture
async def pools() -> AsyncIterator[DetectorPools]:
    template = DetectorTemplate(worker_command(names=False), environment())
    made = DetectorPools(lambda: DetectorProcess(timeout_s=60, template=template), template=template)
    await made.start()
    yield made
    await made.close()


async def mails(detector: DetectorPools | DetectorProcess, text: str = "I am ada@mill.org") -> int:
    return sum(len(spans) for spans in await detector.detect([text]))


async def test_copies_find_the_same_and_take_little(pools: DetectorPools) -> None:
    long = "write to ada@mill.org. " * (LONG // 20)
    assert await mails(pools) == 1 and await mails(pools, long) == LONG // 20
    quick, second, template = pools.quick.pid, pools.long.pid, pools._template
    assert quick is not None and second is not None and quick != second and template is not None
    first = template._process
    assert first is not None
    await mails(pools.quick)
    assert private_mb(second) < 0.6 * (private_mb(first.pid) + private_mb(quick)) or private_mb(second) < 20
    assert os.getpriority(os.PRIO_PROCESS, second) > os.getpriority(os.PRIO_PROCESS, quick)
    await pools.close()
    assert not any(map(runs, (quick, second, first.pid)))


async def test_a_copy_that_is_killed_is_replaced(pools: DetectorPools) -> None:
    killed = pools.quick.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: pools.quick.pid not in (None, killed), 60)
    assert pools.quick.restarts == 1 and await mails(pools) == 1 and not runs(killed)


async def test_a_template_that_is_killed_is_started_again(pools: DetectorPools) -> None:
    template = pools._template
    assert template is not None and template._process is not None and pools.quick.pid is not None
    gone = template._process
    gone.kill()
    await gone.wait()
    assert await mails(pools) == 1, "its copies go on"
    os.kill(pools.quick.pid, signal.SIGKILL)
    await until(lambda: pools.quick.restarts >= 1 and pools.quick.pid is not None, 120)
    assert await mails(pools) == 1


async def test_who_takes_too_long_is_ended(pools: DetectorPools) -> None:
    slow = DetectorProcess(timeout_s=0.001, template=pools._template)
    await slow.start()
    before = slow.pid
    with pytest.raises(DetectorError, match=r"privacy\.timeout_s"):
        await slow.detect(["write to ada@mill.org. " * 20_000])
    await until(lambda: slow.pid not in (None, before), 60)
    await slow.close()
    assert before is not None and not runs(before)


async def test_a_start_that_nobody_waits_for_leaves_nothing_wrong(pools: DetectorPools) -> None:
    template = pools._template
    assert template is not None
    for wait in (0.0, 0.001, 0.005):
        task = asyncio.create_task(template.child(60))
        await asyncio.sleep(wait)
        task.cancel()
        for outcome in await asyncio.gather(task, return_exceptions=True):
            if not isinstance(outcome, BaseException):
                outcome.kill()
                await outcome.wait()
    other = DetectorProcess(timeout_s=60, template=template)
    await other.start()
    assert await mails(other) == 1
    await other.close()


async def test_a_template_that_cannot_start_says_so() -> None:
    template = DetectorTemplate([sys.executable, "-c", "raise SystemExit(3)"], environment())
    for _ in range(2):
        with pytest.raises(DetectorError, match="the detector cannot be started"):
            await DetectorProcess(template=template).start()
    with pytest.raises(DetectorError, match=r"not ready within 0\.2 s"):
        await DetectorTemplate([sys.executable, "-c", "import time; time.sleep(60)"], environment()).child(0.2)


OWNER = """
import asyncio
from netgpt.privacy.process import DetectorProcess, environment, worker_command
from netgpt.privacy.template import DetectorTemplate
async def main():
    template = DetectorTemplate(worker_command(names=False), environment())
    process = DetectorProcess(template=template)
    await process.start()
    print(process.pid, template._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_nothing_outlives_an_owner_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(owner.stdout.readline)).split()]
        assert len(pids) == 2 and all(map(runs, pids))
        owner.kill()
    await until(lambda: not any(map(runs, pids)), 60)
