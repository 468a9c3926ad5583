"""Whatever a cloud answers is an answer with the form of one, or an error of ours; and others have their turn."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from odd_answers import ANSWERS, END, FLOODS, RAW, TINY, calling, choice, deep, pieces, streamed, whole

from netgpt.errors import BrokenStream, NetGPTError
from netgpt.models.answers import LONGEST_ID, LONGEST_TEXT
from netgpt.models.errors import Peer
from netgpt.models.stream import Joiner, join_chunks, read_chunks
from netgpt.models.tool_calls import MOST_CALLS
from netgpt.privacy.restore import Restorer, restore_chunks
from netgpt.types import Chunk

PEER = Peer("cloud", "cloud.example", "cloud")
ADA = "ada@mill.example"
EVENTS, JSON = "text/event-stream", "application/json"


class Vault:
    """Has the originals of one conversation, as `privacy.vault.Vault` has them."""

    def restorer(self) -> Restorer:
        return Restorer({"EMAIL_1": ADA})


async def sent(data: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces(data):
        yield piece


async def read(data: bytes, kind: str = JSON, choices: int = 1) -> list[Chunk]:
    chunks = read_chunks(sent(data), kind, PEER, choices)
    return [chunk async for chunk in restore_chunks(Vault(), chunks)]


def checked(chunks: list[Chunk], choices: int = 1) -> dict[str, Any]:
    """The joined answer, after a look at what no answer may be."""
    for chunk in chunks:
        assert orjson.loads(orjson.dumps(chunk))
        assert not chunk.keys() & {"netgpt", "error"}
        assert all(type(each["index"]) is int and 0 <= each["index"] < choices for each in chunk["choices"])
    answer = join_chunks(chunks)
    assert len(answer["choices"]) <= choices
    assert len(str(answer["id"])) <= LONGEST_ID
    for each in answer["choices"]:
        message = each["message"]
        assert message["role"] == "assistant"
        assert isinstance(message["content"], str | None)
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            assert isinstance(function.get("arguments", ""), str)
            assert isinstance(function.get("name"), str | None)
    usage = answer.get("usage") or {}
    assert all(isinstance(count, dict) or 0 <= count < 2**53 for count in usage.values())
    return answer


async def outcome(data: bytes, kind: str) -> dict[str, Any] | NetGPTError:
    try:
        return checked(await read(data, kind))
    except NetGPTError as error:
        assert 400 <= error.status <= 599
        assert "mill.example" not in error.message and len(error.message) < 300
        return error


@pytest.mark.parametrize("name", ANSWERS)
async def test_odd_answers_are_answers_or_errors(name: str) -> None:
    """The same, whole and streamed."""
    one = await outcome(json.dumps(ANSWERS[name]).encode(), JSON)
    two = await outcome(streamed(ANSWERS[name]), EVENTS)
    if isinstance(one, dict) and isinstance(two, dict):
        assert without_made_ids(one) == without_made_ids(two)


def without_made_ids(answer: dict[str, Any]) -> Any:
    """The choices; a call that came without an id got one that nobody can foresee."""
    return orjson.loads(re.sub(rb'"call_[0-9a-f]{24}"', b'"made"', orjson.dumps(answer["choices"])))


@pytest.mark.parametrize("name", RAW)
async def test_what_is_hardly_json_is_read_or_refused(name: str) -> None:
    await outcome(RAW[name], JSON)
    await outcome(b"data: " + RAW[name] + b"\n\n" + END, EVENTS)


@pytest.mark.parametrize("name", ["a lone surrogate", "numbers that are none", "10^400", "a key twice"])
async def test_what_real_servers_write_is_read(name: str) -> None:
    answer = checked(await read(RAW[name]))
    assert answer["choices"][0]["message"]["content"] in ("a", "a\ufffd b")
    assert "usage" not in answer or "prompt_tokens" not in answer["usage"]


@pytest.mark.parametrize(
    ("said", "content"),
    [
        (choice({"content": [{"type": "text", "text": "to "}, {"type": "text", "text": "[EMAIL_1]"}]}), f"to {ADA}"),
        (choice({"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"text": "so"}]}), "so"),
        (choice(index=7), f"to {ADA}"),
        (choice(index=-(10**18)), f"to {ADA}"),
    ],
)
async def test_what_is_meant_is_given(said: dict[str, Any], content: str) -> None:
    answer = checked(await read(orjson.dumps(whole(said))))
    assert answer["choices"][0]["message"]["content"] == content


async def test_arguments_that_are_no_text_become_json_with_the_originals_in_it() -> None:
    answer = checked(await read(orjson.dumps(whole(choice(calling(arguments={"to": ["[EMAIL_1]"]}))))))
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert orjson.loads(call["function"]["arguments"]) == {"to": [ADA]}


async def test_choices_beyond_those_asked_for_are_cut() -> None:
    answer = checked(await read(orjson.dumps(ANSWERS["10,000 choices"]), choices=3), choices=3)
    assert [each["message"]["content"] for each in answer["choices"]] == ["0", "1", "2"]
    assert [each["index"] for each in answer["choices"]] == [0, 1, 2]


async def test_an_answer_calls_only_so_many_tools() -> None:
    with pytest.raises(BrokenStream, match=f"more than {MOST_CALLS} tools"):
        await read(orjson.dumps(ANSWERS["5,000 calls"]))
    calls = [{"index": 10**12 + n, "function": {"name": "f", "arguments": "{}"}} for n in range(MOST_CALLS)]
    answer = checked(await read(orjson.dumps(whole(choice({"tool_calls": calls})))))
    assert len(answer["choices"][0]["message"]["tool_calls"]) == MOST_CALLS


async def test_numbers_of_calls_in_a_stream_are_made_small_and_stay_the_same() -> None:
    said = [{"index": 10**15, "id": "a", "function": {"name": "f", "arguments": '{"a'}}]
    more = [{"index": 10**15, "function": {"arguments": '":1}'}}, {"id": "b", "function": {"name": "g"}}]
    data = b"".join(
        b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}) + b"\n\n"
        for calls in (said, more)
    )
    chunks = await read(data + END, EVENTS)
    seen = [
        call["index"] for chunk in chunks for each in chunk["choices"] for call in each["delta"].get("tool_calls") or ()
    ]
    assert seen == [0, 0, 1]
    one, two = checked(chunks)["choices"][0]["message"]["tool_calls"]
    assert (one["function"]["arguments"], two["function"]["name"]) == ('{"a":1}', "g")


async def test_fields_that_are_not_known_are_restored_or_dropped() -> None:
    (chunk,) = await read(orjson.dumps(ANSWERS["unknown fields"]))
    assert chunk["provider"] == {"to": ADA}
    (chunk,) = await read(orjson.dumps(ANSWERS["an unknown field with an odd name"]))
    assert chunk.keys() == {"id", "object", "created", "model", "choices"}
    for name in ("300 deep", "300 deep in the message", "many values", "a long field"):
        (chunk,) = await read(json.dumps(ANSWERS[name]).encode())
        assert not {"deep", "x"} & {*chunk, *chunk["choices"][0]["delta"]}
    kept = {"x": deep(20), "images": [{"image_url": {"url": "data:image/png;base64," + "iVBO" * 250_000}}]}
    (chunk,) = await read(orjson.dumps(whole(**kept)))
    assert str(chunk["x"]).count("[") == 20 and chunk["images"] == kept["images"]


async def test_a_cloud_has_no_say_in_the_boxs_own_words() -> None:
    forged = TINY.replace(b'{"choices"', b'{"netgpt":{"route":"edge"},"choices"')
    assert not any("netgpt" in chunk for chunk in await read(forged * 3 + END, EVENTS))


async def test_an_error_within_a_choice_is_one() -> None:
    failed = choice({"content": "half"}, finish_reason="error", error={"code": 429, "message": "slow down"})
    with pytest.raises(NetGPTError) as caught:
        await read(orjson.dumps(whole(failed)))
    assert caught.value.status == 429


async def test_a_long_text_goes_on_in_pieces_and_comes_out_whole() -> None:
    text = "word [EMAIL_1] " * 3_000
    call = {"id": "c", "function": {"name": "f", "arguments": orjson.dumps({"x": text}).decode()}}
    said = whole(choice({"content": text, "tool_calls": [call]}), usage={"prompt_tokens": 1, "completion_tokens": 2})
    chunks = await read(orjson.dumps(said))
    assert (
        max(len(each["delta"].get("content") or "") for chunk in chunks for each in chunk["choices"]) < 3 * LONGEST_TEXT
    )
    answer = checked(chunks)
    message = answer["choices"][0]["message"]
    assert message["content"] == text.replace("[EMAIL_1]", ADA)
    assert orjson.loads(message["tool_calls"][0]["function"]["arguments"]) == {"x": message["content"]}
    assert answer["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}


async def test_large_figures_of_probability_are_read_off_the_loop() -> None:
    best = [{"token": "a", "logprob": -1.5, "bytes": [1, 2]}] * 20
    tokens = [{"token": "a", "logprob": -1.5, "bytes": [1], "top_logprobs": best}] * 1_500
    turns = await turns_beside(read(orjson.dumps(whole(choice(logprobs={"content": tokens})))))
    assert turns[0] >= 1
    assert len(join_chunks(turns[1])["choices"][0]["logprobs"]["content"]) == 1_500


async def turns_beside(work: Any) -> tuple[int, Any]:
    """How often somebody else on the loop had a turn while the work was done, and its result or error."""
    turns = 0

    async def counts() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(counts())
    result: Any
    (result,) = await asyncio.gather(work, return_exceptions=True)
    beside.cancel()
    return turns, result


@pytest.mark.parametrize("name", FLOODS)
async def test_others_have_their_turn_during_a_flood(name: str) -> None:
    joiner, given = Joiner(), 0

    async def flood() -> AsyncGenerator[bytes, None]:
        nonlocal given
        for piece in pieces(FLOODS[name]):
            given += len(piece)
            yield piece

    async def work() -> int:
        passed = 0
        async for chunk in read_chunks(flood(), EVENTS, PEER, 1):
            joiner.add(chunk)
            passed += 1
        return passed

    turns, result = await turns_beside(work())
    assert turns >= given // 16_384 - 5
    if isinstance(result, int):
        assert result <= given // 4_096, "a flood of small pieces goes on as fewer"
        assert joiner.answer()["choices"][0]["finish_reason"] == "stop"
    else:
        assert isinstance(result, BrokenStream)
