"""Answers that no cloud should give, by name: what each is made of, and the pieces in which it is sent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

PLACEHOLDER = "[EMAIL_1]"


def deep(levels: int) -> Any:
    value: Any = PLACEHOLDER
    for _ in range(levels):
        value = [value]
    return value


def calling(**function: Any) -> dict[str, Any]:
    return {"content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", **function}}]}


def choice(message: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": f"to {PLACEHOLDER}"} if message is None else dict(message)
    return {"index": 0, "message": said, "finish_reason": "stop", **more}


def whole(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": list(choices or (choice(),)), **more}


MANY = [choice({"content": str(number)}, index=number) for number in range(10_000)]
CALLS = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(5_000)]
HUGE = "y" * 1_000_000
ODD_VALUES: list[Any] = [None, True, 5, -1, 1.5, "", "x", PLACEHOLDER, [], [PLACEHOLDER], {}, {"a": PLACEHOLDER}, 2**63]

ANSWERS: dict[str, Any] = {
    **{f"arguments {n}": whole(choice(calling(arguments=value))) for n, value in enumerate(ODD_VALUES)},
    **{f"content {n}": whole(choice({"content": value})) for n, value in enumerate(ODD_VALUES)},
    **{f"role {n}": whole(choice({"role": value, "content": "hi"})) for n, value in enumerate(ODD_VALUES)},
    **{f"index {n}": whole(choice(index=value)) for n, value in enumerate([*ODD_VALUES, 10**18, -(10**18)])},
    **{f"finish {n}": whole(choice(finish_reason=value)) for n, value in enumerate(ODD_VALUES)},
    **{f"usage {n}": whole(usage=value) for n, value in enumerate(ODD_VALUES)},
    **{f"tokens {n}": whole(usage={"prompt_tokens": value}) for n, value in enumerate(ODD_VALUES)},
    **{
        f"{name} {n}": whole(**{name: value})
        for name in ("id", "created", "model", "object", "system_fingerprint", "service_tier", "netgpt", "timings")
        for n, value in enumerate([*ODD_VALUES, HUGE])
    },
    **{f"logprobs {n}": whole(choice(logprobs=value)) for n, value in enumerate([*ODD_VALUES, {"x": [deep(40)]}])},
    **{f"error {n}": {"error": value} for n, value in enumerate([*ODD_VALUES, {"message": HUGE, "code": "429"}])},
    **{f"error in a choice {n}": whole(choice(error=value)) for n, value in enumerate(ODD_VALUES)},
    **{f"tool calls {n}": whole(choice({"tool_calls": value})) for n, value in enumerate(ODD_VALUES)},
    **{f"tool call {n}": whole(choice({"tool_calls": [value]})) for n, value in enumerate(ODD_VALUES)},
    **{f"call id {n}": whole(choice({"tool_calls": [{"id": value, "function": {"name": "f"}}]})) for n, value in
       enumerate([*ODD_VALUES, HUGE])},
    **{f"name {n}": whole(choice(calling(name=value))) for n, value in enumerate([*ODD_VALUES, HUGE])},
    "unknown type of call": whole(choice({"tool_calls": [{"id": "c", "type": "magic", "magic": {"to": PLACEHOLDER}}]})),
    "300 deep": whole(deep=deep(300)),
    "300 deep in the message": whole(choice({"content": "hi", "deep": deep(300)})),
    "300 deep arguments": whole(choice(calling(arguments=deep(300)))),
    "10,000 choices": whole(*MANY),
    "5,000 calls": whole(choice({"content": None, "tool_calls": CALLS})),
    "unknown fields": whole(provider={"to": PLACEHOLDER}, citations=[f"https://x.example/{PLACEHOLDER}"]),
    "an unknown field with an odd name": whole(**{PLACEHOLDER: 1, "a b": 2, "n" * 5_000: 3}),
    "parts": whole(choice({"content": [{"type": "text", "text": "to "}, {"type": "text", "text": PLACEHOLDER}, 5]})),
    "thoughts": whole(choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                                          {"type": "text", "text": PLACEHOLDER}]})),
    "extras": whole(choice({"content": "hi", "refusal": None, "audio": {"transcript": PLACEHOLDER},
                            "annotations": [{"type": "url_citation", "url_citation": {"title": PLACEHOLDER}}],
                            "reasoning_details": [{"type": "x", "text": PLACEHOLDER, "index": -(10**9)}]})),
    "a long field": whole(x=PLACEHOLDER * 100_000),
    "many values": whole(x=[[]] * 150_000),
    "a message and a delta": whole(choice(delta={"content": "other"})),
    "no choices": {"id": "x"}, "a list": [whole()], "a text": "x",
    "choices that are none": {"choices": [1, None]},
}  # fmt: skip

RAW: dict[str, bytes] = {
    "a lone surrogate": b'{"choices": [{"index": 0, "message": {"content": "a\\ud83d b"}}]}',
    "numbers that are none": b'{"choices": [{"index": 0, "message": {"content": "a"}}], "x": [NaN, -Infinity, 1e999]}',
    "10^400": b'{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1' + b"0" * 400 + b"}}",
    "a key twice": b'{"choices": [], "choices": [{"index": 0, "message": {"content": "a"}}]}',
    "two documents": json.dumps(whole()).encode() * 2,
    "half": json.dumps(whole()).encode()[:-9],
    "nothing": b"", "not UTF-8": b'{"a": "\xff"}', "100,000 deep": b"[" * 20_000,
}  # fmt: skip


def streamed(answer: Any) -> bytes:
    """The same as one event of a stream, where it is an answer at all."""
    if isinstance(answer, dict) and isinstance(answer.get("choices"), list):
        turned = [
            {**each, "delta": each.get("message")} if isinstance(each, dict) else each for each in answer["choices"]
        ]
        answer = {**answer, "choices": turned}
    return b"data: " + json.dumps(answer).encode() + b"\n\ndata: [DONE]\n\n"


TINY = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
FLOODS: dict[str, bytes] = {
    "tiny chunks": TINY * 40_000 + END,
    "chunks of nothing": b'data: {"choices":[]}\n\n' * 100_000 + END,
    "comments": b":\n" * 400_000 + TINY + END,
    "a line without end": b"data: " + b"x" * 4_100_000,
    "a flood behind the end": END.removesuffix(b"data: [DONE]\n\n") + TINY * 20_000,
    "every chunk an end": TINY.replace(b"}}]", b'},"finish_reason":"stop"}]') * 20_000,
}


def bomb(size: int = 20_000_000) -> bytes:
    """A gzip body that becomes `size` bytes."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return pack.compress(b'{"x": "' + b"a" * size) + pack.flush()


def pieces(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
