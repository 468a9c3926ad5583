"""A child that works for a benchmark: it answers, tells why not, and never outlives its parent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from netgpt_bench.harness import result_of
from patience import in_time

from netgpt.errors import ModelUnavailable


async def test_the_last_line_is_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "print('noise'); print(json.dumps({'asked': json.loads(sys.stdin.readline()), 'word': sys.argv[1]}))"
    code = f"import sys, json; {body}"
    (tmp_path / "echoing.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert await result_of("echoing", "echoing", "word", asked={"a": 1}) == {"asked": {"a": 1}, "word": "word"}


async def test_the_error_says_why_a_child_failed() -> None:
    with pytest.raises(ModelUnavailable, match=r"looking failed: .*no_such_module"):
        await result_of("looking", "no_such_module_of_netgpt")


async def test_a_cancelled_caller_leaves_no_child() -> None:
    work = asyncio.create_task(result_of("serving", "http.server", "--bind", "127.0.0.1", "0"))
    await asyncio.sleep(0.3)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 60)


def test_a_child_ends_with_its_stdin() -> None:
    code = "from netgpt_bench.harness import end_with_parent; import time; end_with_parent(); print(1, flush=True); "
    child = subprocess.Popen([sys.executable, "-c", code + "time.sleep(60)"], stdin=subprocess.PIPE, stdout=-1)
    assert child.stdin and child.stdout
    child.stdout.readline()
    assert child.poll() is None
    started = time.monotonic()
    child.stdin.close()
    assert child.wait(60) == 1 and in_time(time.monotonic() - started, 10)
    child.stdout.close()
