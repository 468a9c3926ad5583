"""Adapters that come and go while the engine serves: on real weights, with adapters that are strong enough to see."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from netgpt_bench.isolation import random_adapter

from netgpt.errors import AdapterGone, ModelUnavailable
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.errors import Backoff
from netgpt.models.hot_swap import Adapter, SwappingEngine
from netgpt.models.stream import join_chunks

pytestmark = pytest.mark.slow


class Pool:
    """A swapping engine, its events, and a client."""

    def __init__(self, weights: Path, folder: Path) -> None:
        self.events: list[str] = []
        make = partial(
            Engine, weights, context_tokens=512, slots=2, log_path=folder / "engine.log", backoff=Backoff(first_s=0.05)
        )
        self.engine = SwappingEngine(make, drain_s=20, on_event=self.events.append)
        self.model = EdgeModel(
            "edge", self.engine.endpoint, "edge", timeout_s=60, default_max_tokens=3, leases=self.engine.lease
        )

    async def say(self, *ids: str, **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": "When is high tide?"}], "temperature": 0, **more}
        answer = join_chunks([chunk async for chunk in self.model.chat(body, adapters=ids)])
        return str(answer["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def adapters(bundled_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    folder = tmp_path_factory.mktemp("adapters")
    return [
        Adapter(f"{n}@1", random_adapter(bundled_weights, folder / f"{n}.gguf", seed)) for seed, n in enumerate("abc")
    ]


@asynccontextmanager
async def pool(weights: Path, folder: Path, *adapters: Adapter) -> AsyncIterator[Pool]:
    made = Pool(weights, folder)
    await made.engine.set_adapters(adapters)
    await made.engine.start()
    try:
        yield made
    finally:
        await made.model.close()
        await made.engine.stop(0)


def children() -> list[int]:
    """Processes of engines among ours: the server that forks commands for other tests is one too."""
    own = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return [pid for pid in own if b"engine_child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_each_answer_has_its_adapter_and_nothing_of_the_callers(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    async with pool(bundled_weights, tmp_path, *adapters[:2]) as here:
        plain, first = await here.say(), await here.say("a@1")
        assert plain != first
        assert await here.say(lora=[{"id": 0, "scale": 1.0}], id_slot=1) == plain, "only the client chooses adapters"
        assert await here.say("a@1") == first
        with pytest.raises(AdapterGone, match="c@1"):
            await here.say("c@1")
        assert "2 adapters" in here.engine.health().detail
        vectors = [(await here.model.embeddings({"input": "tide"}))["data"][0]["embedding"]]
        await here.say("a@1")
        vectors.append((await here.model.embeddings({"input": "tide"}))["data"][0]["embedding"])
        assert vectors[0] == pytest.approx(vectors[1], abs=1e-4)


async def test_calls_at_once_become_one_swap_and_running_answers_end_well(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    async with pool(bundled_weights, tmp_path, adapters[0]) as here:
        old, plain = here.engine.pid, await here.say(max_tokens=24)
        body = {"messages": [{"role": "user", "content": "When is high tide?"}], "temperature": 0, "max_tokens": 24}
        running = here.model.chat({**body, "stream": True})
        chunks = [await anext(running)]
        lists = [adapters[:1], adapters[:2], [], adapters[1:]]
        message = await asyncio.gather(*(here.engine.set_adapters(each) for each in lists))
        assert message[-1] == here.engine.resident == ("b@1", "c@1")
        assert here.engine.swaps <= 2 and here.engine.pid != old
        assert len(children()) == 2 and old in children(), "the old engine finishes what it began"
        chunks += [chunk async for chunk in running]
        assert join_chunks(chunks)["choices"][0]["message"]["content"] == plain
        while len(children()) > 1:
            await asyncio.sleep(0.02)
        assert await here.say("c@1") and here.events[:2] == ["started", "swapped"]
    assert children() == [] and here.events[-1] == "stopped"


async def test_what_cannot_be_loaded_is_left_out_and_named(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(adapters[1].path.read_bytes()[:50_000])
    bad = Adapter("bad@1", cut)
    async with pool(bundled_weights, tmp_path, bad, adapters[0]) as here:
        assert here.engine.resident == ("a@1",) and "cut.gguf" in here.engine.refused["bad@1"]
        old = here.engine.pid
        assert await here.engine.set_adapters([adapters[0], bad]) == ("a@1",)
        assert here.engine.pid == old and "cut.gguf" in here.engine.refused["bad@1"]
        assert await here.engine.set_adapters([bad, adapters[2], adapters[0]]) == ("c@1", "a@1")
        assert await here.say("c@1")


async def test_a_new_engine_that_does_not_start_leaves_the_old_one(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    weights = tmp_path / "weights.gguf"
    weights.symlink_to(bundled_weights)
    async with pool(weights, tmp_path, adapters[0]) as here:
        plain = await here.say()
        weights.unlink()
        with pytest.raises(ModelUnavailable, match=r"weights\.gguf"):
            await here.engine.set_adapters(adapters)
        assert here.engine.resident == ("a@1",) and await here.say() == plain
        assert here.events == ["started", "swap failed"]


async def test_a_crash_brings_back_the_same_list_and_goes_on_without_a_file_that_is_gone(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    copy = Adapter("copy@1", tmp_path / "copy.gguf")
    copy.path.write_bytes(adapters[1].path.read_bytes())
    async with pool(bundled_weights, tmp_path, adapters[0], copy) as here:
        first = await here.say("a@1")
        os.kill(here.engine.pid or 0, signal.SIGKILL)
        async with asyncio.timeout(60):
            while here.engine.restarts < 1:
                await asyncio.sleep(0.02)
        assert here.engine.resident == ("a@1", "copy@1") and await here.say("a@1") == first
        copy.path.unlink()
        os.kill(here.engine.pid or 0, signal.SIGKILL)
        async with asyncio.timeout(60):
            while "copy@1" in here.engine.resident or not here.engine.health().ok:
                await asyncio.sleep(0.02)
        assert await here.say("a@1") == first and "copy.gguf" in here.engine.refused["copy@1"]


async def test_stopping_in_the_middle_of_a_swap_leaves_no_child(
    bundled_weights: Path, tmp_path: Path, adapters: list[Adapter]
) -> None:
    async with pool(bundled_weights, tmp_path, adapters[0]) as here:
        swap = asyncio.create_task(here.engine.set_adapters(adapters))
        await asyncio.sleep(0.1)
        await here.engine.stop(0)
        with pytest.raises(ModelUnavailable, match="stopped"):
            await swap
        assert children() == []
