"""The detector's child: killed, hung, missing, flooded. Nothing is ever half done."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from patience import in_time, unhurried, until

from netgpt.errors import DetectorError
from netgpt.privacy.process import DetectorProcess
from netgpt.privacy.vault import Vault

BODY = {"model": "m", "messages": [{"role": "user", "content": "I am ada@mill.org"}]}

CHILD = """
import json, sys, time
print('{"ready": true}', flush=True)
for line in sys.stdin:
    request = json.loads(line)
    text = request["texts"][0]
    if text == "hang": time.sleep(600)
    if text == "die": sys.exit(3)
    if text == "garble": print("not json", flush=True); continue
    if text == "few": print(json.dumps({"id": request["id"], "spans": []}), flush=True); continue
    if text == "slow": time.sleep(0.3)
    spans = [[[0, 1, "EMAIL", "r", 1.0]] for _ in request["texts"]]
    print(json.dumps({"id": 0, "spans": []}), flush=True)  # an answer to a call given up long ago
    print(json.dumps({"id": request["id"], "spans": spans}), flush=True)
"""


@asynccontextmanager
async def child(folder: Path, timeout_s: float) -> AsyncIterator[DetectorProcess]:
    script = folder / "child.py"
    script.write_text(CHILD)
    process = DetectorProcess(command=[sys.executable, str(script)], timeout_s=timeout_s, max_waiting=3)
    await process.start()
    yield process
    await process.close()


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[DetectorProcess]:
    async with child(tmp_path, 60.0) as process:
        yield process


async def until_ready(process: DetectorProcess) -> None:
    await until(lambda: process.health()[0], 120)


@pytest.mark.slow
async def test_the_real_child_finds_and_survives_being_killed() -> None:
    process = DetectorProcess(timeout_s=60)
    with pytest.raises(DetectorError, match="not running"):
        await process.detect(["ada@mill.org"])
    await process.start()
    [[span]] = await process.detect(["I am ada@mill.org"], values=[("DIET", "vegan")], names=[False])
    assert (span.start, span.end, span.kind) == (5, 17, "EMAIL")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(DetectorError):
        await Vault().seal(BODY, process)
    await until_ready(process)
    assert process.restarts == 1
    assert b"ada@mill.org" not in (await Vault().seal(BODY, process)).content
    await process.close()
    assert process.health() == (False, "closed")


@pytest.mark.slow
async def test_pathological_texts_meet_the_timeout() -> None:
    process = DetectorProcess(names=False, timeout_s=1.5)
    await process.start()
    for text in ("a@" * 500_000, "1 " * 500_000, "[" * 1_000_000, "12 A " * 200_000):
        await until_ready(process)
        began = asyncio.get_running_loop().time()
        try:
            await process.detect([text])
        except DetectorError as error:
            assert "longer than" in error.message
        assert in_time(asyncio.get_running_loop().time() - began, 4)
    await process.close()


@pytest.mark.parametrize("text", ["hang", "die", "garble", "few"])
async def test_a_faulty_child_is_an_error_and_is_replaced(tmp_path: Path, text: str) -> None:
    async def attempt() -> None:
        async with child(tmp_path, 1.0 if text == "hang" else 60.0) as toy:
            with pytest.raises(DetectorError, match="nothing was sent"):
                await toy.detect([text])
            await until_ready(toy)
            assert len(await toy.detect(["fine", "too"])) == 2

    await unhurried(attempt)


async def test_nothing_is_sealed_when_the_child_hangs(tmp_path: Path) -> None:
    vault = Vault()
    async with child(tmp_path, 1.0) as toy:
        with pytest.raises(DetectorError):
            await vault.seal({"messages": [{"role": "hang", "content": "hang"}]}, toy)
    assert "0 placeholders" in repr(vault)


async def test_requests_wait_their_turn_and_no_more_than_allowed(toy: DetectorProcess) -> None:
    results = await asyncio.gather(*(toy.detect(["slow"]) for _ in range(8)), return_exceptions=True)
    answered = [result for result in results if isinstance(result, list)]
    refused = [result for result in results if isinstance(result, DetectorError)]
    assert answered and refused
    assert len(answered) + len(refused) == 8


async def test_a_cancelled_call_does_not_disturb_the_next(toy: DetectorProcess) -> None:
    call = asyncio.create_task(toy.detect(["slow"]))
    await asyncio.sleep(0.1)
    call.cancel()
    assert len(await toy.detect(["fine"])) == 1


async def test_a_child_that_does_not_start_says_so() -> None:
    with pytest.raises(DetectorError, match="did not start"):
        await DetectorProcess(command=[sys.executable, "-c", "raise SystemExit(1)"]).start()
    with pytest.raises(DetectorError, match="cannot be started"):
        await DetectorProcess(command=["/nonexistent/netgpt-child"]).start()


@pytest.mark.slow
async def test_the_child_ends_with_its_parents_pipe() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "netgpt.privacy.worker",
        "--no-names",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    assert await process.stdout.readline() == b'{"ready":true}\n'
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == 0
