"""A detector that answers the search and is gone for the check of what would be sent: nothing leaves."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from boxes import answer, exchange, gateway
from patience import until

from netgpt.errors import DetectorError
from netgpt.privacy.process import DetectorProcess
from netgpt.privacy.vault import Vault
from netgpt.testing.server import FaultyCloud

ADA = "ada@mill.example"
CHILD = """
import json, os, signal, sys, time
how, asked = sys.argv[1], 0
print('{"ready": true}', flush=True)
for line in sys.stdin:
    request, asked = json.loads(line), asked + 1
    texts = request["texts"]
    if asked > 1:
        if how == "hangs": time.sleep(600)
        if how == "stopped": os.kill(os.getpid(), signal.SIGSTOP)
        if how == "dies": sys.exit(3)
        if how == "garbled": print('{"id": 1, "sp', flush=True); continue
        if how == "another's answer": request["id"] -= 1
        if how == "too few": texts = texts[1:]
        if how == "an error": print(json.dumps({"id": request["id"], "error": "x"}), flush=True); continue
    spans = [[[text.index("ada@"), text.index("ada@") + 16, "EMAIL", "r",
        1.0]] if "ada@" in text else [] for text in texts]
    print(json.dumps({"id": request["id"], "spans": spans}), flush=True)
"""
HOW = ["hangs", "stopped", "dies", "garbled", "another's answer", "too few", "an error"]


@pytest.fixture
async def process(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DetectorProcess]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    made = DetectorProcess(command=[sys.executable, str(script), request.param], timeout_s=0.5, max_waiting=3)
    await made.start()
    yield made
    await made.close()


@pytest.mark.parametrize("process", HOW, indirect=True, ids=HOW)
async def test_nothing_is_sealed_and_the_next_request_is_served_anew(process: DetectorProcess) -> None:
    vault = Vault()
    with pytest.raises(DetectorError, match="nothing was sent"):
        await vault.seal({"messages": [{"role": "user", "content": f"I am {ADA}, thanks"}]}, process)
    await until(lambda: process.health()[0], 120)


@pytest.mark.parametrize("process", ["hangs", "dies"], indirect=True)
async def test_the_box_answers_and_no_byte_nor_receipt_leaves(process: DetectorProcess, tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        async with gateway(tmp_path / "home", cloud, detector=process, completion={"mode": "off"}) as here:
            one = exchange(f"Write to {ADA}", "netgpt")
            assert await answer(here, one) == "the edge says so"
            assert one.outbound is None and one.block_reason
            assert await here.store.receipts.head() is None
        assert cloud.all_bytes() == b""
