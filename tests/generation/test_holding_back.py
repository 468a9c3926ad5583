"""An answer that is held back: waited for without being cut, whatever its model sends."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import BrokenStream, ModelTimeout
from netgpt.generation.fallback import Opened
from netgpt.generation.start import Start, Waited, parted, with_words
from netgpt.models.stream import join_chunks
from netgpt.testing.models import ScriptedModel

BODY = {"messages": [{"role": "user", "content": "go"}], "stream": True}
TEXT = "one two three four five six"


def chunk(text: str, place: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "a", "choices": [{"index": place, "delta": {"content": text}, "finish_reason": None, **more}]}


async def listed(*chunks: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for each in chunks:
        yield each


def started(model: ScriptedModel) -> Start:
    return Start(Opened([], model.chat(BODY)))


async def test_a_wait_that_is_given_up_cuts_nothing() -> None:
    start, far, seen = started(ScriptedModel(TEXT, delay_s=0.02)), time.monotonic() + 30, list[Waited]()
    while (read := await start.more(far, time.monotonic() + 0.005)) is not Waited.END:
        seen.append(read)
    assert Waited.LATE in seen and start.text() == TEXT and start.whole and start.error is None
    assert start.usage is not None and start.tokens == start.usage.completion_tokens


async def test_past_its_deadline_it_is_broken_off_however_it_was_waited_for() -> None:
    for waits in (math.inf, 0.0):
        model = ScriptedModel(TEXT, delay_s=5)
        start, until = started(model), time.monotonic() + 0.05
        while (read := await start.more(until, time.monotonic() + waits)) is Waited.LATE:
            pass
        assert read is Waited.END and isinstance(start.error, ModelTimeout) and not start.whole
        with pytest.raises(ModelTimeout):
            await anext(start.follow(until))
        await start.close()
        assert model.closed_early == 1


async def test_closing_ends_the_call_also_in_the_middle_of_a_wait() -> None:
    model = ScriptedModel(TEXT, delay_s=5)
    start = started(model)
    assert await start.more(time.monotonic() + 30, time.monotonic() + 0.01) is Waited.LATE
    async with asyncio.timeout(1):
        await start.close()
    assert model.closed_early == 1


async def test_what_broke_it_off_is_kept_and_raised_to_who_follows() -> None:
    start = started(ScriptedModel(TEXT, error=BrokenStream("cut"), error_after=3))
    while await start.more(math.inf) is Waited.CHUNK:
        pass
    assert isinstance(start.error, BrokenStream) and start.text() and not start.whole
    with pytest.raises(BrokenStream):
        await anext(start.follow(math.inf))


async def test_a_model_cannot_say_in_our_name_how_far_it_may_be_believed() -> None:
    claims = {**chunk("sure"), "netgpt": {"confidence": {"chance": 1.0}}}
    start = Start(Opened([claims], listed()))
    await start.more(math.inf)
    assert "netgpt" not in start.chunks[0]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "bc"]), st.booleans()), min_size=1, max_size=12))
def test_words_put_before_stand_before_each_choice_once(parts: list[tuple[int, str, bool]]) -> None:
    chunks = [chunk(text, place, finish_reason="stop" if ends else None) for place, text, ends in parts]
    before = join_chunks(chunks)["choices"]
    after = {each["index"]: each for each in join_chunks(with_words(chunks, "W:"))["choices"]}
    for each in before:
        said, ended = each["message"]["content"] or "", each["finish_reason"]
        assert after[each["index"]]["message"]["content"] == (f"W:{said}" if said or ended else "")


def test_an_end_that_says_something_is_parted_from_what_it_says() -> None:
    whole = {**chunk("bye", finish_reason="stop"), "usage": {"prompt_tokens": 1}}
    whole["choices"].append({"index": 1, "delta": {"content": "on"}, "finish_reason": None})
    said, ends = parted(whole, 0)
    assert said["choices"] == [{"index": 0, "delta": {"content": "bye"}, "finish_reason": None}] and "usage" not in said
    assert [each["finish_reason"] for each in ends["choices"]] == ["stop", None] and ends["usage"]
