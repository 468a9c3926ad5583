"""The beginning of an answer: nothing is handed on before its first word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from netgpt.errors import BrokenStream, ModelTimeout, ModelUnavailable
from netgpt.generation.fallback import TOO_LATE, opened
from netgpt.models.stream import characters_of
from netgpt.types import Chunk


def says(**delta: object) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta}]}


async def answer(*chunks: Chunk, error: Exception | None = None) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


def soon() -> float:
    return time.monotonic() + 60


async def test_what_says_nothing_is_held_until_the_first_word() -> None:
    begun = await opened(answer(says(role="assistant", content=""), says(content="a"), says(content="b")), soon())
    assert len(begun.held) == 2 and [chunk async for chunk in begun.rest] == [says(content="b")]
    for word in ({"tool_calls": [{"index": 0}]}, {"reasoning_content": "hm"}, {"refusal": "no"}):
        assert len((await opened(answer(says(role="assistant"), says(**word), says()), soon())).held) == 2


async def test_an_answer_that_breaks_before_its_first_word_raises() -> None:
    with pytest.raises(BrokenStream):
        await opened(answer(says(role="assistant"), error=BrokenStream("cut")), soon())
    with pytest.raises(ModelUnavailable, match="before the first word"):
        await opened(answer(), soon())


async def test_a_server_that_only_shows_signs_of_life_is_not_held_for_ever() -> None:
    assert len((await opened(answer(*[says(role="assistant")] * 20), soon())).held) == 8


async def test_past_its_time_a_call_is_closed() -> None:
    closed = asyncio.Event()

    async def slow() -> AsyncIterator[Chunk]:
        try:
            await asyncio.sleep(60)
            yield {}
        finally:
            closed.set()

    with pytest.raises(ModelTimeout, match="deadline_s") as caught:
        await opened(slow(), time.monotonic() + 0.05)
    assert closed.is_set() and caught.value.code == TOO_LATE


def test_characters_count_texts_and_arguments() -> None:
    call = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    assert characters_of(says(content="abc", **call)) == 5 and characters_of({"choices": [], "usage": {}}) == 0
