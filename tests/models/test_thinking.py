"""What a model thinks aloud is no part of its answer, however the stream is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from netgpt.models.base import Endpoint
from netgpt.models.client import EdgeModel
from netgpt.models.engine import EngineLog, EngineProcess, EngineSettings
from netgpt.models.stream import join_chunks
from netgpt.models.thinking import PAIRS, Thoughts
from netgpt.testing.server import FaultyCloud
from netgpt.types import Chunk


def answer(pieces: list[str], reason: str = "stop", index: int = 0) -> list[Chunk]:
    """A stream that says these pieces."""
    head: Chunk = {"id": "x", "object": "chat.completion.chunk"}
    said = [{"index": index, "delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    first = {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    last = {"index": index, "delta": {}, "finish_reason": reason}
    return [{**head, "choices": [choice]} for choice in (first, *said, last)]


def read(chunks: list[Chunk]) -> tuple[str | None, str | None]:
    """(thoughts, words) of choice 0."""
    thoughts = Thoughts()
    joined = join_chunks(part for chunk in chunks for part in thoughts.chunks(chunk))
    message = joined["choices"][0]["message"]
    return message.get("reasoning_content"), message["content"]


THOUGHT = "<think>\nOkay, they ask 2 < 3.\nYes.\n</think>\n\nYes, it is."


def test_every_cut_gives_the_same() -> None:
    expected = ("Okay, they ask 2 < 3.\nYes.", "Yes, it is.")
    assert read(answer(list(THOUGHT))) == expected
    for first in range(len(THOUGHT) + 1):
        for second in range(first, len(THOUGHT) + 1, 3):
            assert read(answer([THOUGHT[:first], THOUGHT[first:second], THOUGHT[second:]])) == expected


@pytest.mark.parametrize("tag", PAIRS)
def test_every_tag_in_either_case_is_known(tag: str) -> None:
    for start, end in ((tag, PAIRS[tag]), (tag.upper(), PAIRS[tag].upper())):
        assert read(answer([f"\n{start}hm{end}No."])) == ("hm", "No.")
        assert read(answer(list(f"{start}\n\n{end}\n\nNo."))) == (None, "No."), (
            "it did not think: Qwen's empty thoughts"
        )


@pytest.mark.parametrize(
    "text",
    [
        "Write <think> before it, and </think> after it.", "<b>bold</b>", "<thin", "<", "", "  \n", "think",
        "```html\n<think>x</think>\n```", "2 < 3", "[THE] end", "<thinker>x</thinker>", "</think> is an end tag",
    ],
)  # fmt: skip
def test_what_is_no_thought_stays_as_it_is(text: str) -> None:
    for pieces in ([text], list(text)):
        assert read(answer(pieces)) == (None, text)


def test_thoughts_without_an_end_were_the_answer_or_were_cut() -> None:
    assert read(answer(["<think> is a tag ", "of HTML? No."])) == ("is a tag of HTML? No.", "is a tag of HTML? No.")
    assert read(answer(["<think>so, first I"], "length")) == ("so, first I", "")


def test_choices_calls_and_usage_are_kept_apart() -> None:
    thoughts = Thoughts()
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    chunks: list[Chunk] = [
        {"choices": [
            {"index": 0, "delta": {"content": "<think>a"}, "finish_reason": None},
            {"index": 1, "delta": {"content": "plain"}, "finish_reason": None},
        ]},
        {"choices": [{"index": 0, "delta": {"content": "</think>", "tool_calls": [call]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [{"index": 1, "delta": {"content": " <think>b</think>"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    ]  # fmt: skip
    joined = join_chunks(part for chunk in chunks for part in thoughts.chunks(chunk))
    first, second = (choice["message"] for choice in joined["choices"])
    assert first["reasoning_content"] == "a" and first["content"] is None and first["tool_calls"][0]["id"] == "c"
    assert second["content"] == "plain <think>b</think>" and "reasoning_content" not in second
    assert joined["usage"] == {"prompt_tokens": 1}


def test_a_server_that_sends_thoughts_apart_is_left_alone() -> None:
    delta = {"reasoning_content": "hm", "content": None}
    chunks: list[Chunk] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}]
    assert list(Thoughts().chunks(chunks[0])) == chunks
    assert read(chunks + answer(["Yes."])) == ("hm", "Yes.")


def test_endless_blanks_do_not_pile_up() -> None:
    thoughts = Thoughts()
    given = 0
    for _ in range(20_000):
        chunk: Chunk = {"choices": [{"index": 0, "delta": {"content": "\n" * 8}, "finish_reason": None}]}
        given += sum(
            len(each["delta"].get("content", "")) for part in thoughts.chunks(chunk) for each in part["choices"]
        )
    assert given >= 150_000


@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_leaves_the_tags_in_is_read_whole_and_streamed(stream: bool) -> None:
    async with FaultyCloud(lambda body: THOUGHT) as server:
        for size in (1, 2, 5, 500):
            server.chunk_size = size
            model = EdgeModel("edge", lambda: Endpoint(server.base_url), "m", timeout_s=30, default_max_tokens=64)
            body = {"messages": [{"role": "user", "content": "2 < 3?"}], "stream": stream}
            message = join_chunks([chunk async for chunk in model.chat(body)])["choices"][0]["message"]
            await model.close()
            assert message["content"] == "Yes, it is."
            assert message["reasoning_content"] == "Okay, they ask 2 < 3.\nYes."


QWEN3: Final = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n"
    "{%- if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{%- endif %}{%- endif %}"
)
"""Ends as the template of Qwen3 does: thoughts that are over before they begin, where none are wanted."""


@pytest.mark.parametrize("thinking", [False, True])
async def test_the_engine_lets_a_model_think_only_where_that_is_wanted(
    thinking: bool, bundled_weights: Path, tmp_path: Path
) -> None:
    settings = EngineSettings(bundled_weights, 512, 1, chat_template=QWEN3, thinking=thinking)
    run = await EngineProcess.launch(settings, EngineLog(tmp_path / "log"), 180)
    try:
        headers = {"Authorization": f"Bearer {run.endpoint.api_key}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            url = run.endpoint.base_url.removesuffix("/v1") + "/apply-template"
            body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
            prompt = (await client.post(url, json=body)).json()["prompt"]
            assert ("<think>\n\n</think>" in prompt) is not thinking
            body["chat_template_kwargs"] = {"enable_thinking": not thinking}
            other = (await client.post(url, json=body)).json()["prompt"]
            assert ("<think>\n\n</think>" in other) is thinking, "a request may say otherwise"
    finally:
        await run.end()
