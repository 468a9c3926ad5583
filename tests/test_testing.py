"""The list of properties holds for every model that is shipped, and finds one that breaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from clouds import cloud_model, edge_model
from outbounds import send

from netgpt.errors import BrokenStream
from netgpt.testing import check_model
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Chunk


async def test_the_scripted_model_keeps_the_contract() -> None:
    await check_model(ScriptedModel)


async def test_the_edge_model_keeps_the_contract() -> None:
    with FaultyCloud() as cloud:
        await check_model(lambda: edge_model(cloud.base_url))


async def test_the_cloud_model_keeps_the_contract() -> None:
    with FaultyCloud() as cloud:
        await check_model(lambda: cloud_model(cloud.base_url), ask=send)


class NeverEnds(ScriptedModel):
    async def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        async for chunk in super().chat(body):
            yield {**chunk, "choices": [{**choice, "finish_reason": None} for choice in chunk["choices"]]}


class ChangesTheBody(ScriptedModel):
    async def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        body["messages"].append({"role": "user", "content": "and more"})
        async for chunk in super().chat(body):
            yield chunk


class StreamsAlways(ScriptedModel):
    async def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        async for chunk in super().chat({**body, "stream": True}):
            yield chunk


@pytest.mark.parametrize(
    ("broken", "name"),
    [(NeverEnds, "answers_whole"), (ChangesTheBody, "leaves_the_body"), (StreamsAlways, "answers_whole")],
)
async def test_a_model_that_breaks_the_contract_is_named(broken: type[ScriptedModel], name: str) -> None:
    with pytest.raises(AssertionError, match=name):
        await check_model(broken)


async def test_a_model_that_fails_is_not_hidden() -> None:
    with pytest.raises(BrokenStream):
        await check_model(lambda: ScriptedModel(error=BrokenStream("cut")))
