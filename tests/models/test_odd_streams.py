"""Single streams as real servers wrote them: what is meant is read; what broke off never ends like a whole answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from netgpt.errors import BrokenStream, NetGPTError
from netgpt.models.errors import Peer
from netgpt.models.stream import join_chunks, read_chunks

PEER = Peer("m", "cloud.example", "cloud")
DONE, EVENTS = b"data: [DONE]\n\n", "text/event-stream"


async def answer(data: bytes, kind: str = EVENTS, *, streams: bool = True) -> dict[str, Any]:
    async def sent() -> AsyncGenerator[bytes, None]:
        step = 7 if len(data) < 5_000 else 5_000
        for at in range(0, len(data), step):
            yield data[at : at + step]

    chunks = [chunk async for chunk in read_chunks(sent(), kind, PEER, 1, streams=streams)]
    return join_chunks(chunks)


def event(delta: Any, reason: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "x", "choices": [choice], **more}).encode() + b"\n\n"


def call(name: Any = ..., arguments: Any = ..., **more: Any) -> bytes:
    function = {"name": name, "arguments": arguments}
    return event(
        {"tool_calls": [{**more, "function": {key: text for key, text in function.items() if text is not ...}}]}
    )


END = event({}, "tool_calls") + DONE
CALLS: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "two whole calls of one index, no ids": (
        call("f", '{"a":1}', index=0, id="") + call("f", '{"a":2}', index=0, id="") + END,
        [("f", '{"a":1}'), ("f", '{"a":2}')],
    ),
    "two calls without arguments, one index, own ids": (
        call("f", "", index=0, id="a") + call("f", "", index=0, id="b") + END, [("f", ""), ("f", "")]
    ),
    "a new id with each piece": (
        call("f", "", index=0, id="r1") + call(..., '{"a":', index=0, id="r2") + call(..., "1}", index=0, id="r3")
        + END,
        [("f", '{"a":1}')],
    ),
    "a new id with each piece, no index": (
        call("f", "", id="r1") + call(..., '{"a":', id="r2") + call(..., "1}", id="r3") + END, [("f", '{"a":1}')]
    ),
    "empty ids and names in what follows": (
        call("f", "", index=None, id="a") + call("", '{"a":', index=None, id="") + call(None, "1}", index=None, id=None)
        + call("f", "{}", index=None, id="b") + END,
        [("f", '{"a":1}'), ("f", "{}")],
    ),
    "a name in pieces": (
        call("get_", "", index=0, id="a") + call("weather", "", index=0) + call(..., "{}", index=0) + END,
        [("get_weather", "{}")],
    ),
    "said again when it was whole": (
        call("f", "{}", index=0, id="a") + call("f", "", index=0, id="a") + END, [("f", "{}")]
    ),
    "in turns": (
        call("f", "", index=0, id="a") + call("g", "", index=1, id="b") + call(..., '{"a":', index=0)
        + call(..., "{}", index=1) + call(..., "1}", index=0) + END,
        [("f", '{"a":1}'), ("g", "{}")],
    ),
    "numbers from 1": (call("f", "{}", index=1, id="a") + END, [("f", "{}")]),
    "a list without numbers, in pieces": (
        event({"tool_calls": [{"function": {"name": name, "arguments": ""}} for name in "fg"]})
        + event({"tool_calls": [{"function": {"arguments": text}} for text in ('{"x":1}', '{"y":1}')]}) + END,
        [("f", '{"x":1}'), ("g", '{"y":1}')],
    ),
    "one call that is no list": (
        event({"tool_calls": {"id": "a", "function": {"name": "f", "arguments": {"a": 1}}}}) + END, [("f", '{"a":1}')]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_calls_are_told_apart(name: str) -> None:
    data, meant = CALLS[name]
    (choice,) = (await answer(data))["choices"]
    calls = choice["message"]["tool_calls"]
    assert [(each["function"]["name"], each["function"].get("arguments", "")) for each in calls] == meant
    assert len({each["id"] for each in calls}) == len(meant)


WORDS: dict[str, bytes] = {
    "one event over several lines": b'data: {\ndata: "choices": [\ndata: {"index":0,"delta":{"content":"ab"},\ndata: '
    b'"finish_reason":"stop"}\ndata: ]\ndata: }\n\n' + DONE,
    "only CR": (event({"content": "ab"}, "stop") + DONE).replace(b"\n", b"\r"),
    "empty lists of calls": event({"content": "a", "tool_calls": []}) + event({"content": "b"}, "stop") + DONE,
    "content as one part": event({"content": {"type": "text", "text": "ab"}}, "stop") + DONE,
    "an empty list of parts": event({"content": []}) + event({"content": "ab"}, "stop") + DONE,
    "no thought in a thinking part": event({"content": [{"type": "thinking", "thinking": []}]})
    + event({"content": "ab"}, "stop") + DONE,
    "a reason that is the word null": event({"content": "ab"}, "null") + event({}, "stop") + DONE,
    "a whole answer as one event": b'data: {"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}]}\n\n',
    "texts of the older endpoint": b'data: {"choices":[{"text":"ab","finish_reason":"stop"}]}\n\n' + DONE,
    "lines of JSON": event({"content": "a"})[6:-1] + event({"content": "b"}, "stop")[6:-1],
    "usage in a delta": event({"content": "ab"})
    + event({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, "stop"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [EVENTS, "application/json", "none"])
@pytest.mark.parametrize("name", WORDS)
async def test_words_are_read_whatever_the_content_type_says(name: str, kind: str) -> None:
    for streams in (True, False):
        (choice,) = (await answer(WORDS[name], kind, streams=streams))["choices"]
        assert choice["message"] == {"role": "assistant", "content": "ab"} and choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("reason", "meant"),
    [("eos", "stop"), ("COMPLETE", "stop"), ("end_turn", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"),
     ("maxTokens", "length"), ("FinishReason.MAX_TOKENS", "length"), ("max-output-tokens", "length"),
     ("tool_use", "tool_calls"), ("tool-calls", "tool_calls"), ("function_call", "tool_calls"),
     ("SAFETY", "content_filter"), ("refusal", "content_filter"), ("something new", "stop")],
)  # fmt: skip
async def test_reasons_in_other_words(reason: str, meant: str) -> None:
    (choice,) = (await answer(event({"content": "a"}, reason) + DONE))["choices"]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (meant, reason)


BROKEN: dict[str, bytes] = {
    "cut": event({"content": "a"}),
    "half arguments and DONE": call("f", '{"a":', index=0, id="a") + DONE,
    "a call without a name and DONE": call(..., "{}", index=0, id="a") + DONE,
    "half arguments of the older way": event({"function_call": {"name": "f", "arguments": '{"a":'}}) + DONE,
    "only thoughts and DONE": event({"reasoning_content": "hm"}) + DONE,
    "only signs of life": b"data:\n\n: hm\n\nevent: ping\ndata: {}\n\n",
    "an error's reason": event({"content": "a"}) + event({}, "error") + DONE,
    "a network's reason": event({"content": "a"}) + event({}, "network_error") + DONE,
    "a call that went wrong": event({"content": "a"}) + event({}, "MALFORMED_FUNCTION_CALL") + DONE,
    "an error in a line of its own": event({"content": "a"}) + b'{"error":{"message":"boom","code":500}}\n',
    "an error event in plain words": event({"content": "a"}) + b"event: error\ndata: overloaded\n\n",
    "no words at all": b"",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_broke_off_does_not_end_like_a_whole_answer(name: str) -> None:
    with pytest.raises(NetGPTError) as caught:
        await answer(BROKEN[name])
    assert caught.value.status == 502


async def test_the_older_way_to_call_ends_with_done() -> None:
    data = event({"function_call": {"name": "f", "arguments": '{"a":'}}) + event({"function_call": {"arguments": "1}"}})
    (choice,) = (await answer(data + DONE))["choices"]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"\\ud83d", "\ufffd"), (b"\\ude00", "\ufffd"), (b"\\ud83d\\ude00", "\U0001f600"), (b"\\\\ud83d", "\\ud83d"),
        (b"\\ud83dx\\ude00", "\ufffdx\ufffd"), (b"NaN Infinity -Infinity", "NaN Infinity -Infinity"),
        (b'\\"NaN\\": NaN', '"NaN": NaN'), (b"a\tb", "a\tb"), (b"\xe2\x82", "\ufffd"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [0, 20_000])
async def test_hardly_json_is_mended_in_small_and_large_documents(text: bytes, read: str, size: int) -> None:
    data = b'{"choices":[{"message":{"content":"%b%b"},"logprobs":null,"x":NaN,"y":[-Infinity, Infinity]}]}'
    if b"\t" in text and size:
        size = 0  # raw control characters are read in small documents alone
    (choice,) = (await answer(data % (text, b"a" * size), "application/json"))["choices"]
    assert choice["message"]["content"] == read + "a" * size and choice["y"] == [None, None]


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        (
            {
                "usage": {
                    "billed_units": {"input_tokens": 1, "output_tokens": 9},
                    "tokens": {"input_tokens": 3, "output_tokens": 9},
                }
            },
            (3, 9),
        ),
        ({"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 9}}}, (3, 9)),
        ({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}}, (3, 9)),
        ({"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 9}}}, (3, 9)),
        ({"usage": {"input_tokens": 1, "output_tokens": "9", "cache_read_input_tokens": 2}}, (3, 9)),
        ({"usage": {"prompt_tokens": 3.0, "completion_tokens": 9.0}}, (3, 9)),
    ],
)
async def test_usage_under_other_names(more: dict[str, Any], counts: tuple[int, int]) -> None:
    usage = (await answer(event({"content": "a"}, "stop", **more) + DONE))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == counts


async def test_a_page_is_no_answer_and_a_list_of_one_is() -> None:
    with pytest.raises(NetGPTError, match="text/html"):
        await answer(b"\n <!doctype html><p>Log in", "application/json")
    with pytest.raises(BrokenStream, match="not an object"):
        await answer(b"[1, 2]", "application/json")
    assert (await answer(b'[{"choices":[{"message":{"content":"a"}}]}]', "text/plain"))["choices"]


@pytest.mark.parametrize("beat", [
    b'"ping"', b"[PING]", b"[HEARTBEAT]", b"[KEEP-ALIVE]", b"OK", b"true", b"0", b"heartbeat 3", b"<ping>", b"\xc2\xa0",
    b"[]", b"...", b": 12",
])  # fmt: skip
async def test_signs_of_life_in_the_middle_are_passed_over(beat: bytes) -> None:
    said = event({"content": "all of "}) + b"data: " + beat + b"\n\n" + event({"content": "it"}, "stop") + DONE
    assert (await answer(said))["choices"][0]["message"]["content"] == "all of it"


@pytest.mark.parametrize("said", [b"error 500", b"[ERROR]", b"cancelled", b'"overloaded"', b"[1]", b"timeout 3"])
async def test_an_error_in_words_is_no_sign_of_life(said: bytes) -> None:
    with pytest.raises(BrokenStream):
        await answer(event({"content": "all of it"}) + b"data: " + said + b"\n\n" + DONE)
