"""Whole answers and streamed chunks: each can be turned into the other without loss (OpenAI's chat shapes)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netgpt.types import Chunk

__all__ = ["Joiner", "as_chunk", "join_chunks", "split_answer"]

_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
"""Fields of a delta that are pieces of one text."""
_CALL_TEXTS = frozenset({"arguments", "input"})
"""Fields of a called function or custom tool that are pieces of one text."""


def as_chunk(answer: Mapping[str, Any]) -> Chunk:
    """A whole `chat.completion` as one chunk: each choice a whole delta with its `finish_reason`, usage kept.

    A choice without `finish_reason` gets "stop": the document arrived whole, so it cannot have been cut.
    """
    chunk = {**answer, "object": "chat.completion.chunk", "choices": []}
    for place, choice in enumerate(answer["choices"]):
        rest = {name: value for name, value in choice.items() if name != "message"}
        rest["index"] = choice.get("index", place)
        rest["finish_reason"] = choice.get("finish_reason") or "stop"
        chunk["choices"].append({**rest, "delta": _numbered(choice.get("message") or {})})
    return chunk


def _numbered(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message as a delta: its tool calls carry their index."""
    delta = dict(message)
    calls = delta.get("tool_calls")
    if calls:
        delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
    return delta


def join_chunks(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """All chunks of one answer as the whole `chat.completion` that a request without `stream` would have got."""
    joiner = Joiner()
    for chunk in chunks:
        joiner.add(chunk)
    return joiner.answer()


class Joiner:
    """Joins the chunks of one answer while they pass. `answer()` may be asked at any time."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Chunk) -> None:
        for name, value in chunk.items():
            if name not in {"choices", "object"} and (value is not None or name not in self._head):
                self._head[name] = value
        for choice in chunk.get("choices") or ():
            _add_choice(self._choices.setdefault(choice.get("index", 0), {}), choice)

    def answer(self) -> dict[str, Any]:
        """The answer so far; a choice that has not ended has `finish_reason` None."""
        head = dict(self._head)
        if head.get("usage", False) is None:
            del head["usage"]
        choices = [_whole_choice(index, self._choices[index]) for index in sorted(self._choices)]
        return {"id": "", **head, "object": "chat.completion", "choices": choices}


def _add_choice(joined: dict[str, Any], choice: Mapping[str, Any]) -> None:
    for name, value in choice.items():
        if name == "delta":
            _add_delta(joined.setdefault("message", {}), value or {})
        elif name == "logprobs":
            joined[name] = _joined_logprobs(joined.get(name), value)
        elif value is not None or name not in joined:
            joined[name] = value


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        so_far = message.get(name)
        if name == "tool_calls" and value:
            calls = message.get(name) or []
            message[name] = calls
            for call in value:
                _add_call(calls, call)
        elif name == "function_call" and isinstance(so_far, dict) and isinstance(value, dict):
            _add_function(so_far, value)
        elif _are_pieces(name, so_far, value):
            message[name] = so_far + value
        elif value is not None or name not in message:
            message[name] = dict(value) if isinstance(value, dict) else value


def _are_pieces(name: str, so_far: Any, more: Any) -> bool:
    if isinstance(so_far, str):
        return isinstance(more, str) and name in _TEXTS
    return isinstance(so_far, list) and isinstance(more, list)


def _add_call(calls: list[dict[str, Any]], call: Mapping[str, Any]) -> None:
    """Merge one piece of a tool call into the call of the same index (a server without indices: of the same id)."""
    index = call.get("index")
    if index is None:
        index = next((known["index"] for known in calls if call.get("id") in {None, known.get("id")}), len(calls))
    known = next((each for each in calls if each["index"] == index), None)
    if known is None:
        known = {"index": index}
        calls.append(known)
    for name, value in call.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            _add_function(known[name], value)
        elif isinstance(value, dict):
            known[name] = dict(value)
        elif value not in (None, ""):
            known[name] = value


def _add_function(known: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        so_far = known.get(name)
        if name in _CALL_TEXTS and isinstance(so_far, str) and isinstance(value, str):
            known[name] = so_far + value
        elif value not in (None, "") or name not in known:
            known[name] = value


def _joined_logprobs(so_far: Any, more: Any) -> Any:
    if not so_far or not more:
        return so_far or more
    return {name: [*(so_far.get(name) or ()), *(more.get(name) or ())] or None for name in {**so_far, **more}}


def _whole_choice(index: int, joined: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **joined.get("message", {})}
    if message.get("tool_calls"):
        calls = sorted(message["tool_calls"], key=lambda call: call["index"])
        message["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    rest = {name: value for name, value in joined.items() if name not in {"index", "message"}}
    return {"index": index, "message": message, "finish_reason": None, **rest}


def split_answer(answer: Mapping[str, Any], size: int) -> Iterator[Chunk]:
    """A whole answer as the chunks of a stream, texts cut into pieces of `size` characters; the usage comes last.

    The opposite of `join_chunks`; the shipped fakes speak with it. Choices take turns, as real servers' do.
    """
    whole = as_chunk(answer)
    head = {name: value for name, value in whole.items() if name not in {"choices", "usage"}}
    turns = [_split_choice(choice, size) for choice in whole["choices"]]
    while turns:
        for turn in list(turns):
            piece = next(turn, None)
            if piece is None:
                turns.remove(turn)
            else:
                yield {**head, "choices": [piece]}
    if "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


def _split_choice(choice: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    start = {"index": choice["index"], "finish_reason": None}
    delta = choice["delta"]
    texts = {name: delta[name] for name in delta if name in _TEXTS and isinstance(delta[name], str)}
    calls = delta.get("tool_calls") or []
    plain = {name: value for name, value in delta.items() if name not in texts and not (name == "tool_calls" and calls)}
    yield {**start, "delta": {**plain, **dict.fromkeys(texts, "")}}
    for name, text in texts.items():
        for at in range(0, len(text), size):
            yield {**start, "delta": {name: text[at : at + size]}}
    for call in calls:
        for piece in _split_call(call, size):
            yield {**start, "delta": {"tool_calls": [piece]}}
    rest = {name: value for name, value in choice.items() if name != "delta"}
    yield {**rest, "delta": {}}


def _split_call(call: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    kind = "custom" if "custom" in call else "function"
    function = call.get(kind, {})
    text_name = "input" if kind == "custom" else "arguments"
    text = function.get(text_name)
    if not isinstance(text, str):
        yield dict(call)
        return
    yield {**call, kind: {**function, text_name: ""}}
    for at in range(0, len(text), size):
        yield {"index": call["index"], kind: {text_name: text[at : at + size]}}
