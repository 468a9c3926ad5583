"""What both dialects of clouds need to read an answer as OpenAI's chunks: the head of a chunk, numbers of calls and of
pieces of reasoning.

Nothing of an answer is trusted here or believed to be whole: `models.answers` checks the chunks as those of any cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from netgpt.errors import BrokenStream
from netgpt.types import Chunk


class Speaker:
    """Makes the chunks of one answer: one choice, with calls and pieces of reasoning numbered as they come."""

    def __init__(self, peer: str) -> None:
        """`peer`: how errors name the server."""
        self.peer = peer
        self.head: dict[str, Any] = {"object": "chat.completion.chunk"}
        self.calls: dict[Any, int] = {}
        self._details: dict[Any, int] = {}
        self.said_anything = False

    def begin(self, answer: Mapping[str, Any]) -> Chunk:
        """The first chunk: what is said of the whole answer."""
        self.head |= {name: answer[name] for name in ("id", "model") if answer.get(name) is not None}
        if isinstance(answer.get("created_at"), int | float):
            self.head["created"] = int(answer["created_at"])
        return self.chunk({"role": "assistant", "content": ""})

    def chunk(self, delta: Mapping[str, Any], *, finish: str | None = None, **more: Any) -> Chunk:
        self.said_anything = True
        return {**self.head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}

    def usage(self, usage: Mapping[str, Any]) -> Chunk:
        return {**self.head, "choices": [], "usage": usage}

    def call(self, key: Any, fields: Mapping[str, Any], *, kind: str = "function", id: Any = None) -> dict[str, Any]:
        """A delta of a call: the beginning where there is an id, else a further piece."""
        number = self.calls.setdefault(key, len(self.calls))
        begun = {} if id is None else {"id": id, "type": kind}
        return {"tool_calls": [{"index": number, **begun, kind: fields}]}

    def detail(self, key: Any, kind: str, once: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A piece of reasoning; `once` is said with the first of its pieces."""
        if key not in self._details:
            fields |= once or {}
        number = self._details.setdefault(key, len(self._details))
        return {"type": kind, "index": number, **{name: value for name, value in fields.items() if value is not None}}

    def broken(self, what: str) -> BrokenStream:
        return BrokenStream(f"{self.peer} sent {what}")


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one where something else stands."""
    return value if isinstance(value, Mapping) else {}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; whatever else is there is passed over."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


_MOST: Final = 2**53


def count(value: Any) -> int:
    """A number of tokens; 0 where none is told."""
    return value if type(value) is int and 0 <= value < _MOST else 0


def usage_of(prompt: int, completion: int, *, cached: int, written: int, reasoning: int) -> dict[str, Any]:
    """OpenAI's usage: all of the prompt counts, cached or not, and thoughts are part of the completion."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
