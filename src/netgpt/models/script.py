"""What the shipped fakes say: a reply becomes a whole OpenAI answer with counted usage. Deterministic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Reply", "answer_to", "calls_tool", "echo", "embeddings_of", "last_user_text"]

Reply = str | Callable[[Mapping[str, Any]], str | dict[str, Any]]
"""A fixed text, or a function of the request's body that returns a text, a message (`{"tool_calls": [...]}`), or a
whole answer (with `choices`)."""

_CREATED = 1_700_000_000
"""Every answer claims this second, so that two runs give the same bytes."""


def last_user_text(body: Mapping[str, Any]) -> str:
    """The text of the last message of the user; the texts of its parts joined, when it has parts."""
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def echo(body: Mapping[str, Any]) -> str:
    """The default reply: what the user said last, so that a test can see what came in come back."""
    return last_user_text(body)


def calls_tool(name: str, arguments: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str | dict[str, Any]]:
    """A reply that calls the tool once, and after its result says what the tool said."""

    def reply(body: Mapping[str, Any]) -> str | dict[str, Any]:
        messages = body.get("messages") or [{}]
        if messages[-1].get("role") == "tool":
            return _text(messages[-1].get("content"))
        text = json.dumps(arguments, ensure_ascii=False)
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
        return {"content": None, "tool_calls": [call]}

    return reply


def answer_to(body: Mapping[str, Any], reply: Reply, number: int = 1) -> dict[str, Any]:
    """The whole `chat.completion`: the reply in each of the `n` choices. A "token" of its usage is a word."""
    said = reply if isinstance(reply, str) else reply(body)
    if isinstance(said, dict) and "choices" in said:
        return said
    message = {"role": "assistant", **({"content": said} if isinstance(said, str) else said)}
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    count = body.get("n") or 1
    choices = [{"index": place, "message": message, "finish_reason": finish} for place in range(count)]
    prompt, completion = _words(body.get("messages")), _words(message) * count
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    model = body.get("model") or "scripted"
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": _CREATED, "model": model}
    return {**head, "choices": choices, "usage": usage}


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _words(value: Any) -> int:
    """Words of the texts in a message, or in a list of messages."""
    if isinstance(value, list):
        return sum(_words(each) for each in value)
    if not isinstance(value, dict):
        return 0
    calls = [call.get("function", {}).get("arguments", "") for call in value.get("tool_calls") or ()]
    return len(" ".join([_text(value.get("content")), *calls]).split())


def embeddings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's embeddings answer: eight numbers in [-1, 1] a text, the same for the same text."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    data = []
    for index, text in enumerate(texts):
        digest = hashlib.sha256(str(text).encode("utf-8", "replace")).digest()
        vector = [byte / 127.5 - 1 for byte in digest[:8]]
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model") or "fake", "usage": usage}
