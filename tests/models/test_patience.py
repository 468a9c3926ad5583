"""Thinking is no silence: until an answer begins there is one limit, within it another, and errors name the right one.

The connection is real, the clock is not: bytes come at their second, and nobody waits.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual_time import run_virtually

from netgpt.errors import ModelTimeout
from netgpt.models.errors import Peer, failed_transport
from netgpt.models.http1 import Http1, Silence
from netgpt.settings.sections import Cloud
from netgpt.stages.record import cost_of
from netgpt.types import Usage

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


COMMENT, ROLE = (
    piece(b": thinking\n\n"),
    piece(b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n'),
)
WORD, END = piece(b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'), b"0\r\n\r\n"


class Wire(asyncio.Transport):
    """Takes whatever is written."""

    def write(self, data: Any) -> None:
        assert data

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


async def read(script: list[tuple[float, bytes]]) -> tuple[float, Silence | None]:
    """When the answer was whole, or the silence was too long, in seconds from the request."""
    first, idle = Cloud().patience
    loop, connection = asyncio.get_running_loop(), Http1(idle, first)
    connection.connection_made(Wire())
    for at, data in script:
        loop.call_at(at, connection.data_received, data)
    try:
        answer = await connection.post(b"POST / HTTP/1.1\r\n\r\n", b"")
        while await answer.read():
            pass
    except Silence as silence:
        return loop.time(), silence
    return loop.time(), None


THINKING: dict[str, list[tuple[float, bytes]]] = {
    "a head after 33 s": [(33, HEAD + WORD + END)],
    "a head at once, the first byte after 33 s": [(0, HEAD), (33, WORD + END)],
    "a head at once, the first byte after 110 s": [(0, HEAD), (110, WORD + END)],
    "a comment at once, a word after 33 s": [(0, HEAD + COMMENT), (33, WORD + END)],
    "a role at once, a word after 33 s": [(0, HEAD + ROLE), (33, WORD + END)],
    "comments every 30 s for 5 minutes": [
        (0, HEAD + COMMENT), *((30.0 * n, COMMENT) for n in range(1, 10)), (300, WORD + END)
    ],
    "a pause of 50 s between two words": [(1, HEAD + WORD), (51, WORD + END)],
}  # fmt: skip


@pytest.mark.parametrize("name", THINKING)
def test_thinking_is_no_failure(name: str) -> None:
    ended, silence = run_virtually(read(THINKING[name]))
    assert silence is None and ended == pytest.approx(THINKING[name][-1][0])


@pytest.mark.parametrize(
    ("script", "at", "words"),
    [
        ([], 120, r"silent for 120 s before its answer began; cloud\.first_byte_s is the limit"),
        ([(5, HEAD)], 125, r"silent for 120 s before its answer began; cloud\.first_byte_s is the limit"),
        ([(5, HEAD + ROLE)], 65, r"silent for 60 s in the middle of its answer; cloud\.idle_s is the limit"),
        ([(5, HEAD + COMMENT), (50, WORD)], 110, r"in the middle of its answer; cloud\.idle_s is the limit"),
    ],
)
def test_silence_ends_in_its_time_and_names_the_setting(
    script: list[tuple[float, bytes]], at: float, words: str
) -> None:
    ended, silence = run_virtually(read(script))
    assert silence is not None and ended == pytest.approx(at)
    error = failed_transport(Peer("m", "a.example", "cloud"), silence, answering=bool(script)).error
    with pytest.raises(ModelTimeout, match=words):
        raise error


def test_one_setting_bounds_both() -> None:
    assert Cloud().patience == (120, 60)
    assert Cloud(timeout_s=10).patience == (10, 10) and Cloud(timeout_s=90).patience == (90, 60)
    assert Cloud(first_byte_s=200, idle_s=5).patience == (200, 5)


@pytest.mark.parametrize(
    ("prompt", "completion", "more", "counted"),
    [
        (1000, 10, {"prompt_tokens_details": {"cached_tokens": 900}}, (1000, 10, 900)),
        (1000, 10, {"prompt_cache_hit_tokens": 900, "prompt_cache_miss_tokens": 100}, (1000, 10, 900)),
        (1000, 10, {"cache_read_input_tokens": 900}, (1000, 10, 900)),
        (10, 10, {"cached_tokens": 900}, (10, 10, 10)),
        (5, 15, {"total_tokens": 1020}, (5, 1015, 0)),
        (5, 15, {"completion_tokens_details": {"reasoning_tokens": 1000}}, (5, 1015, 0)),
        (5, 15, {"reasoning_tokens": 1000}, (5, 1015, 0)),
        (5, 15, {"total_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 9}}, (5, 15, 0)),
        (5, 15, {"total_tokens": 3}, (5, 15, 0)),
        (5, 15, {"prompt_tokens_details": {"cached_tokens": "x"}}, (5, 15, 0)),
    ],
)
def test_what_is_counted(prompt: int, completion: int, more: dict[str, Any], counted: tuple[int, int, int]) -> None:
    read = Usage.from_openai({"prompt_tokens": prompt, "completion_tokens": completion, **more})
    assert read is not None and (read.prompt_tokens, read.completion_tokens, read.cached_tokens) == counted


def test_what_a_cache_had_costs_less_where_that_is_set() -> None:
    work = Usage(1_000_000, 100_000, cached_tokens=900_000)
    assert cost_of(work, Cloud(price_prompt=2, price_completion=10)) == pytest.approx(3.0)
    assert cost_of(work, Cloud(price_prompt=2, price_completion=10, price_cached=0.2)) == pytest.approx(1.38)
    assert cost_of(work, Cloud(price_prompt=2, price_completion=10, price_cached=0)) == pytest.approx(1.2)
