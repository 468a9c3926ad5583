"""The engine on real weights: starts, is guarded by its key, comes back from the dead, leaves no orphan."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ggufs import tiny_gguf
from patience import in_time
from weights import bundled_weights  # noqa: F401

from netgpt.errors import ModelUnavailable
from netgpt.models.engine import QUICK_DEATHS, Engine, EngineLog
from netgpt.models.errors import Backoff

pytestmark = pytest.mark.slow


class Served:
    """An engine, its events, and a client with its key."""

    def __init__(self, weights: Path, log: Path, **settings: Any) -> None:
        self.events: list[str] = []
        self.engine = Engine(
            weights, context_tokens=512, slots=2, log_path=log, on_event=self.events.append, **settings
        )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.engine.pid
        return self.engine.pid

    async def ask(self, **body: Any) -> httpx.Response:
        endpoint = self.engine.endpoint()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {endpoint.api_key}"}, timeout=120) as client:
            body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, **body}
            return await client.post(f"{endpoint.base_url}/chat/completions", json=body)

    async def restarted(self, times: int, timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while self.engine.restarts < times:
                await asyncio.sleep(0.02)


@pytest.fixture
async def served(bundled_weights: Path, tmp_path: Path) -> AsyncIterator[Served]:  # noqa: F811
    served = Served(bundled_weights, tmp_path / "logs" / "engine.log")
    await served.engine.start()
    yield served
    await served.engine.stop(0)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int, timeout_s: float = 60) -> bool:
    end = time.monotonic() + timeout_s
    while alive(pid) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return not alive(pid)


async def test_it_starts_answers_and_stops(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    served = Served(bundled_weights, tmp_path / "logs" / "engine.log")
    began = time.perf_counter()
    await served.engine.start()
    assert in_time(time.perf_counter() - began, 10)
    assert served.engine.health().ok
    answer = (await served.ask()).json()
    assert answer["choices"][0]["message"]["content"]
    assert "/" not in answer["model"], "the path of the weights is nobody's business"
    pid = served.pid
    await served.engine.stop()
    assert served.events == ["started", "stopped"]
    assert not alive(pid)
    with pytest.raises(ModelUnavailable, match="stopped"):
        served.engine.endpoint()
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


async def test_the_key_is_wanted_and_hidden(served: Served) -> None:
    endpoint = served.engine.endpoint()
    assert endpoint.api_key
    assert endpoint.api_key not in repr(endpoint)
    async with httpx.AsyncClient(timeout=60) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            for path in ("/chat/completions", "/embeddings"):
                answer = await client.post(endpoint.base_url + path, json={"messages": []}, headers=headers)
                assert answer.status_code == 401
            slots = await client.get(endpoint.base_url.removesuffix("/v1") + "/slots", headers=headers)
            assert slots.status_code == 401
    commands = Path(f"/proc/{served.engine.pid}/cmdline").read_bytes()
    assert endpoint.api_key.encode() not in commands


@pytest.fixture
def cloud_key(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("NETGPT_CLOUD__API_KEY", "very-secret")
    return b"very-secret"


async def test_our_settings_do_not_reach_the_child(cloud_key: bytes, served: Served) -> None:
    assert cloud_key not in Path(f"/proc/{served.engine.pid}/environ").read_bytes()


async def test_it_comes_back_from_kill_9(served: Served) -> None:
    first = served.engine.endpoint()
    os.kill(served.pid, signal.SIGKILL)
    await served.restarted(1)
    assert served.engine.health().ok
    assert served.engine.endpoint() != first, "a new key and port for each start"
    assert (await served.ask()).status_code == 200
    assert served.events == ["started", "died", "restarted"]


async def test_a_hung_child_is_replaced(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    served = Served(bundled_weights, tmp_path / "engine.log", probe_s=0.2)
    await served.engine.start()
    try:
        os.kill(served.pid, signal.SIGSTOP)
        await served.restarted(1, timeout_s=90)
        assert served.engine.health().ok
    finally:
        await served.engine.stop(0)


async def test_stop_waits_for_what_is_being_answered(served: Served) -> None:
    endpoint, options = served.engine.endpoint(), {"stream": True, "stream_options": {"include_usage": True}}
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 60, "ignore_eos": True, **options}
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=120) as client,
        client.stream("POST", f"{endpoint.base_url}/chat/completions", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        stopping = asyncio.create_task(served.engine.stop(drain_s=60))
        rest = [line.removeprefix("data: ") async for line in lines if line]
        await stopping
    assert rest[-1] == "[DONE]" and json.loads(rest[-2])["usage"]["completion_tokens"] == 60


async def test_stop_waits_for_tracked_calls_but_not_for_ever(served: Served) -> None:
    with served.engine.track():
        began = time.perf_counter()
        await served.engine.stop(drain_s=0.5)
        took = time.perf_counter() - began
        assert took >= 0.5 and in_time(took, 5)


async def test_a_hang_up_ends_a_streamed_answer(served: Served) -> None:
    endpoint = served.engine.endpoint()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 450, "stream": True, "ignore_eos": True}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        async with client.stream("POST", f"{endpoint.base_url}/chat/completions", json=body) as answer:
            await anext(answer.aiter_lines())
        left = time.monotonic()
        slots = [{"is_processing": True}]
        while any(slot["is_processing"] for slot in slots):
            slots = (await client.get(endpoint.base_url.removesuffix("/v1") + "/slots")).json()
            await asyncio.sleep(0.02)
    assert in_time(time.monotonic() - left, 2), "still generating two seconds after the client hung up"


async def test_tools_reach_a_model_whose_template_ignores_them(served: Served) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    plain, with_tools = (await served.ask()).json(), (await served.ask(tools=[tool])).json()
    assert with_tools["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 20


async def test_no_orphan_when_the_parent_is_killed(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    script = (
        "import asyncio, sys; from pathlib import Path; from netgpt.models.engine import Engine\n"
        "async def main():\n"
        "    engine = Engine(Path(sys.argv[1]), context_tokens=256, slots=1, log_path=Path(sys.argv[2]))\n"
        "    await engine.start(); print(engine.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(bundled_weights), str(tmp_path / "log")], stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert alive(pid)
        parent.kill()
    assert await gone(pid)


async def test_bad_weights_are_reported_and_nothing_runs(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "none.gguf", log_path=tmp_path / "log")
    with pytest.raises(ModelUnavailable, match="no such file"):
        await engine.start()
    assert (engine.state, engine.pid) == ("failed", None)
    assert "no such file" in engine.health().detail


async def test_what_only_the_engine_can_refuse_is_reported_in_its_words(tmp_path: Path) -> None:
    engine = Engine(tiny_gguf(tmp_path / "a.gguf", general__architecture="martian"), log_path=tmp_path / "log")
    with pytest.raises(ModelUnavailable, match=r"could not load .*martian.*log"):
        await engine.start()
    assert engine.state == "failed"
    await engine.stop()


async def test_weights_that_vanish_mean_failed_then_recovery(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    weights = tmp_path / "w.gguf"
    weights.symlink_to(bundled_weights)
    served = Served(weights, tmp_path / "log", backoff=Backoff(0.001, 0.002))
    await served.engine.start()
    try:
        weights.unlink()
        os.kill(served.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while served.engine.state != "failed":
                await asyncio.sleep(0.01)
        assert "no such file" in served.engine.health().detail
        assert served.events == ["started", "died", *["not restarted"] * QUICK_DEATHS, "failed"]
        with pytest.raises(ModelUnavailable, match="failed"):
            await served.engine.wait_ready(0.05)
    finally:
        await served.engine.stop(0)
    assert served.engine.state == "stopped"


def test_backoff_doubles_to_its_limit_and_forgets() -> None:
    backoff = Backoff(0.1, 5.0, seed=1)
    waits = [backoff.next() for _ in range(QUICK_DEATHS + 4)]
    assert all(0.5 * limit <= wait <= limit for wait, limit in zip(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2], strict=False))
    assert max(waits) <= 5.0
    backoff.reset()
    assert backoff.next() <= 0.1


def test_the_log_is_private_and_bounded(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs" / "e.log", max_bytes=1000)
    for number in range(100):
        log.write(f"0.00.{number} I a line of some length\n".encode())
    log.write(b"0.01 E loader: error loading")
    log.write(b" model: unknown thing\n0.02 E later: another\n")
    files = sorted((tmp_path / "logs").iterdir())
    assert [file.name for file in files] == ["e.log", "e.log.1"]
    assert all(file.stat().st_size <= 1000 and stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert log.reason() == "error loading model: unknown thing"
