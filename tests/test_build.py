"""The box as a whole: what one broken part must not do to the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from boxes import gateway

from netgpt.adapters.registry import open_registry
from netgpt.settings import load_settings
from netgpt.testing.models import ScriptedModel


class Unclosable(ScriptedModel):
    """A model that fails to close."""

    async def close(self) -> None:
        raise RuntimeError("it does not close")


async def test_a_part_that_fails_to_close_does_not_keep_the_others_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not close"):
        async with gateway(tmp_path / "home", edge=Unclosable("x")) as here:
            pass
    assert here.store._closed
    await here.store.close()


async def test_a_task_that_broke_does_not_keep_the_box_from_closing(tmp_path: Path) -> None:
    async def breaks() -> None:
        raise RuntimeError("unforeseen")

    async with gateway(tmp_path / "home") as here:
        here._tasks.insert(0, asyncio.create_task(breaks()))
        await asyncio.sleep(0)
    assert here._tasks == []


async def test_a_damaged_registry_does_not_stop_the_box(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "adapters").mkdir(parents=True)
    (home / "adapters" / "index.json").write_text("{broken")
    async with gateway(home) as here:
        assert (await here.ask_edge({"messages": [{"role": "user", "content": "hello"}]}))["choices"]


def test_without_an_engine_of_its_own_the_box_compares_no_weights(tmp_path: Path) -> None:
    edge = {"base_url": "http://127.0.0.1:1/v1", "model": "theirs"}
    registry = open_registry(load_settings(environment={}, home=tmp_path, edge=edge), None)
    assert registry.base is None and registry.folder == tmp_path / "adapters"
