"""An answer that broke off, and the words of another model after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from netgpt.errors import BrokenStream, ContextTooLong, ModelUnavailable
from netgpt.generation.continuation import Given, can_continue, continuation, continued
from netgpt.types import Chunk, Usage


def says(text: str, **more: Any) -> Chunk:
    return {"id": "a", "created": 1, "model": "far", "choices": [{"index": 0, "delta": {"content": text}}], **more}


async def stream(*chunks: Chunk, error: Exception | None = None) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


CUT = BrokenStream("cut")


async def carried(
    first: AsyncIterator[Chunk], *rest: Chunk, error: Exception | None = None
) -> tuple[str, Given | None]:
    asked: list[Given] = []

    def finish(given: Given) -> AsyncIterator[Chunk]:
        asked.append(given)
        return stream(*rest, error=error)

    chunks = [c async for c in continued(first, finish, lambda: None, lambda report, _n: report or Usage())]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return said, asked[0] if asked else None


async def test_a_whole_answer_is_left_alone() -> None:
    assert await carried(stream(says("all of it"))) == ("all of it", None)


@pytest.mark.parametrize(
    ("given", "rest", "said"),
    [("one two", " three", "one two three"), ("one ", " two", "one two"), ("one ", "two", "one two"), ("", "x", "x")],
)
async def test_the_rest_follows_without_a_second_space(given: str, rest: str, said: str) -> None:
    report, seen = await carried(stream(says(given), error=CUT), says(""), says(rest), says(" end"))
    assert report == said + " end" and seen is not None and seen.text == given
    last = continuation({"max_tokens": 20}, [{"role": "user", "content": "q"}], seen)["messages"][-1]
    assert last == ({"role": "assistant", "content": given.rstrip()} if given else {"role": "user", "content": "q"})


async def test_what_had_its_end_or_is_no_plain_text_is_not_carried_on() -> None:
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    call = {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]}
    for last in (ended, call, {"choices": [{"index": 1, "delta": {"content": "b"}}]}):
        with pytest.raises(BrokenStream):
            await carried(stream(says("a"), last, error=CUT), says("x"))


async def test_the_first_error_is_the_one_that_is_reported() -> None:
    with pytest.raises(BrokenStream, match="cut"):
        await carried(stream(says("a"), error=CUT), says("b"), error=ModelUnavailable("asleep"))


async def test_a_rest_that_does_not_fit_is_reported_as_the_cut() -> None:
    with pytest.raises(BrokenStream, match="cut"):
        await carried(stream(says("a"), error=CUT), error=ContextTooLong("too long for the edge"))


async def test_an_error_that_is_not_the_models_is_not_carried_on() -> None:
    with pytest.raises(ValueError, match="ours"):
        await carried(stream(says("a"), error=ValueError("ours")), says("b"))


@pytest.mark.parametrize(
    ("body", "may"),
    [
        ({"stream": True}, True),
        ({"stream": True, "n": 1, "response_format": {"type": "text"}}, True),
        ({}, False),
        ({"stream": True, "n": 2}, False),
        ({"stream": True, "tools": [{}]}, False),
        ({"stream": True, "response_format": {"type": "json_schema"}}, False),
        ({"stream": True, "logprobs": True}, False),
    ],
)
def test_only_one_plain_text_can_be_carried_on(body: dict[str, Any], may: bool) -> None:
    assert can_continue(body) is may


def test_what_was_given_counts_against_the_longest_answer() -> None:
    given = Given()
    given.see(says("x" * 400))
    assert continuation({"max_tokens": 150}, [], given)["max_tokens"] == 50
    assert continuation({"max_completion_tokens": 90}, [], given)["max_completion_tokens"] == 16
