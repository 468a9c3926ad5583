"""What a server said, given the form that the later stages rely on: nothing of an answer is trusted.

A field that is known has the type it must have, or the answer is broken. A field that is not known passes as it is, to
be read as text where originals are put back, and only so many values of them. What a server has no say in (the box's
own `netgpt`, the numbers of choices and calls, ids beyond all measure) is dropped or made anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any, Final

import orjson

from netgpt.errors import BrokenStream
from netgpt.models.errors import Peer, error_in_answer
from netgpt.models.habits import NATIVE, ended_for, figure, figures, usage_in, usage_of
from netgpt.models.tool_calls import CalledTool, Calls, Numbers
from netgpt.types import Chunk

DEEPEST: Final = 32
"""Levels of lists and objects within a field."""
MOST_VALUES: Final = 50_000
"""Values in the fields of one answer that are not known here; what is beyond is dropped."""
MOST_PROBABILITIES: Final = 1_000_000
"""Values in its `logprobs`."""
LONGEST_ID: Final = 4_096
"""Characters; some servers carry a signature in the id of a call."""
LONGEST_NAME: Final = 256
LONGEST_FIELD: Final = 500_000
"""Characters of the texts in one field that is not known here, where something might be put back in them."""
LONGEST_TEXT: Final = 8_192
"""Characters of one text in one chunk: a longer one goes on as several, so that nobody waits for it."""
TEXTS: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
"""Fields of a delta that are pieces of one text."""

_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NAME: Final = re.compile(r"[\w.,:;/@+() -]{0,256}")
_MARK: Final = re.compile(r"[\[({<%&\\_]")
"""What begins a placeholder, or stands in one. Pictures and sounds have none of it."""
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9_. -]{0,63}|")
_CALL_EXTRAS: Final = frozenset({"extra_content", "provider_specific_fields", "thought_signature"})


class AnswerChecker:
    """Reads the documents of one answer. `choices`: as many as were asked for; what is beyond is cut."""

    def __init__(self, peer: Peer, choices: int) -> None:
        self._peer = peer
        self._choices = Numbers(choices)
        self._calls: dict[int, Calls] = {}
        self._functions: dict[int, CalledTool] = {}
        self._values, self._probabilities = MOST_VALUES, MOST_PROBABILITIES
        self._seen: dict[str, tuple[Any, Any]] = {}
        self._head: dict[str, Callable[[Any], Any]] = {
            "id": _id, "object": lambda _value: "chat.completion.chunk", "created": _seconds, "model": _word,
            "usage": usage_of, "system_fingerprint": _word, "service_tier": _word, "timings": figures,
        }  # fmt: skip

    def chunk(self, raw: Any) -> Chunk:
        """A document as a chunk. Raises BrokenStream, or what an error object within a choice stands for.

        Habits of real servers are put right: no `choices` or null, choices without an index, usage in odd places.
        """
        if not isinstance(raw, dict):
            raise self._broken()
        found = raw.get("choices")
        if found is None:
            found = []
        if not isinstance(found, list):
            raise self._broken()
        if not raw.get("usage") and (usage := usage_in(raw)) is not None:
            raw = {**raw, "usage": usage}
        chunk: Chunk = {}
        for name, value in raw.items():
            if name in self._head:
                if value is not None and self._seen.get(name, (None,))[0] != value:  # most repeat it in every chunk
                    self._seen[name] = value, self._head[name](value)
                if (read := value if value is None else self._seen[name][1]) is not None or value is None:
                    chunk[name] = read
            elif name not in ("choices", "netgpt", "error") and self._passes(name, value):
                chunk[name] = value
        chunk["choices"] = [choice for place, each in enumerate(found) if (choice := self._choice(place, each))]
        return chunk

    def could_run(self, number: int) -> bool:
        """Whether every tool that a choice called has a name and arguments that are whole; False: it called none."""
        calls = [*self._calls[number].all] if number in self._calls else []
        calls += [self._functions[number]] if number in self._functions else []
        return bool(calls) and all(call.could_run for call in calls)

    def whole(self, document: Mapping[str, Any]) -> Chunk:
        """A whole answer as one chunk: each choice a whole delta, ended."""
        choices = document.get("choices")
        if not isinstance(choices, list) or not choices:
            raise BrokenStream(f"{self._peer} sent an answer without choices or messages")
        return self.chunk({**document, "choices": [self._ended(choice) for choice in choices]})

    def _ended(self, choice: Any) -> dict[str, Any]:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise BrokenStream(f"{self._peer} sent an answer without choices or messages")
        message, calls = choice["message"], choice["message"].get("tool_calls")
        if isinstance(calls, list):
            calls = [{**call, "index": place} if isinstance(call, dict) else call for place, call in enumerate(calls)]
            message = {**message, "tool_calls": calls}
        reason = choice.get("finish_reason")
        return {**choice, "delta": message, "finish_reason": "stop" if reason in (None, "") else reason}

    def _broken(self, what: str = "does not have OpenAI's shape") -> BrokenStream:
        return BrokenStream(f"{self._peer} sent a chunk that {what}")

    def _passes(self, name: str, value: Any) -> bool:
        """Whether a field that is not known here goes on."""
        if not _FIELD.fullmatch(name):
            return False
        left = _left(value, self._values)
        self._values = max(left, 0)
        return left >= 0

    def _choice(self, place: int, choice: Any) -> dict[str, Any] | None:
        if not isinstance(choice, dict):
            raise self._broken()
        index, delta, reason = choice.get("index", place), choice.get("delta"), choice.get("finish_reason")
        if index is None:
            index = place
        if delta is None and "delta" not in choice:  # a stream of messages, or of the older endpoint's texts
            text = choice.get("text")
            delta = choice.get("message") or ({"content": text} if isinstance(text, str) else None)
        if type(index) is not int or not isinstance(delta, dict | None) or not isinstance(reason, str | None):
            raise self._broken()
        if "error" in choice and (error := error_in_answer(self._peer, {"error": choice["error"]})) is not None:
            raise error
        if reason and not _REASON.fullmatch(reason):
            raise self._broken("ends for a reason that is no word")
        number = self._choices.of(index)
        if number is None:
            return None
        said = self._delta(number, delta) if delta else {}
        ended = ended_for(reason, str(self._peer), called=number in self._functions) if reason else None
        if ended == "stop" and number in self._calls and self.could_run(number):
            ended = "tool_calls"  # agents look there for whether they are to go on
        result = {"index": number, "delta": said, "finish_reason": ended}
        if ended and ended != reason:
            result[NATIVE] = reason
        for name, value in choice.items():
            if name == "logprobs":
                result[name] = self._logprobs(value)
            elif name not in result and name not in ("message", "error", "usage") and self._passes(name, value):
                result[name] = value
        return result

    def _logprobs(self, value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(each, list | None) for each in value.values()):
            raise self._broken()
        left = _left(value, self._probabilities)
        self._probabilities = max(left, 0)
        return {name: each for name, each in value.items() if _FIELD.fullmatch(name)} if left >= 0 else None

    def _delta(self, number: int, delta: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in delta.items():
            if name in TEXTS and isinstance(value, str | None):
                result[name] = value
            elif name == "role":
                result |= {name: "assistant"} if value else {}
            elif name == "content":
                for field, text in self._said(value).items():
                    result[field] = (result.get(field) or "") + text
            elif name == "tool_calls":
                if calls := self._tool_calls(number, value):
                    result[name] = calls
            elif name == "function_call":
                result[name] = function = self._function(value)
                self._functions.setdefault(number, CalledTool(0)).add(function or {})
            elif name == "refusal":
                raise self._broken()
            elif name != "usage" and self._passes(name, value):
                result[name] = [_detail(each) for each in value] if isinstance(value, list) else value
        return result

    def _said(self, parts: Any) -> dict[str, str]:
        """The texts of a `content` that is a list of parts, as some servers send it, by the delta's fields."""
        texts: dict[str, list[str]] = {}
        if not isinstance(parts, list | dict):
            raise self._broken()
        for part in parts if isinstance(parts, list) else [parts]:
            said = {"text": part} if isinstance(part, str) else part if isinstance(part, dict) else None
            if said is None:
                raise self._broken()
            for name, field in _PARTS.items():
                inner = said.get(name)
                if isinstance(inner, list):  # Mistral's {"type": "thinking", "thinking": [{"type": "text", ...}]}
                    inner = "".join(each["text"] for each in inner if _has_text(each))
                if inner and isinstance(inner, str):
                    texts.setdefault(field, []).append(inner)
        return {field: "".join(pieces) for field, pieces in texts.items()} or {"content": ""}

    def _tool_calls(self, number: int, calls: Any) -> list[dict[str, Any]] | None:
        if calls is None:
            return None
        calls = [calls] if isinstance(calls, dict) else calls
        if not isinstance(calls, list):
            raise self._broken()
        known = self._calls.setdefault(number, Calls())
        try:
            return [self._call(known, call, place, len(calls) > 1) for place, call in enumerate(calls)]
        except ValueError as error:
            raise self._broken(str(error)) from None

    def _call(self, known: Calls, call: Any, place: int, several: bool) -> dict[str, Any]:
        if not isinstance(call, dict):
            raise self._broken()
        index = call.get("index")
        if isinstance(index, float | str) and str(index).removesuffix(".0").isdecimal():
            index = int(float(index))
        if index.__class__ not in (int, NoneType):
            raise self._broken()
        result: dict[str, Any] = {}
        for name, value in call.items():
            if name == "id":
                result[name] = _id(value)
            elif name == "type":
                result[name] = _word(value)
            elif name in ("function", "custom"):
                result[name] = self._function(value)
            elif name in _CALL_EXTRAS and self._passes(name, value):
                result[name] = value
        return known.taken(result, index, place, several)

    def _function(self, function: Any) -> dict[str, Any] | None:
        """A called function or custom tool. Arguments that are no text are written as JSON, as which they are read."""
        if function is None:
            return None
        if not isinstance(function, dict):
            raise self._broken()
        result: dict[str, Any] = {}
        for name, value in function.items():
            if name == "name":
                if not isinstance(value, str | None) or len(value or "") > LONGEST_NAME:
                    raise self._broken("calls a tool by something that is no name")
                result[name] = value
            elif name in ("arguments", "input"):
                result[name] = self._arguments(value)
            elif name in _CALL_EXTRAS and self._passes(name, value):
                result[name] = value
        return result

    def _arguments(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        if _left(value, MOST_VALUES) < 0:
            raise self._broken("calls a tool with arguments beyond all measure")
        return orjson.dumps(value).decode()


_PARTS: Final = {"text": "content", "thinking": "reasoning_content", "refusal": "refusal"}
"""What a part of a content says, and the field of a delta for it."""


_DETAILS: Final = frozenset({"text", "summary", "thinking"})


def _detail(piece: Any) -> Any:
    """A piece of reasoning or an annotation: what should be a text of it is one, or is left out."""
    if not isinstance(piece, dict) or all(isinstance(piece.get(name, ""), str) for name in _DETAILS):
        return piece
    return {name: value for name, value in piece.items() if name not in _DETAILS or isinstance(value, str)}


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


_PLAIN_VALUES: Final = frozenset({int, float, bool, NoneType})


def _left(value: Any, values: int) -> int:
    """How many of `values` are left after those in `value`; less than 0: it holds more, is too deep or too long."""
    if value.__class__ in _PLAIN_VALUES or (value.__class__ is str and len(value) < LONGEST_ID):
        return values - 1
    level, depth, written = [value], 0, 0
    while level:
        values -= len(level)
        written += sum(len(each) for each in level if each.__class__ is str and _MARK.search(each))
        if values < 0 or depth > DEEPEST or written > LONGEST_FIELD:
            return -1
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return values


def _id(value: Any) -> str | None:
    """An id as it is; one beyond all measure is replaced by its digest, which is as good a name."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    if len(value) <= LONGEST_ID and value.isprintable():
        return value
    return "id-" + hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:32]


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _seconds(value: Any) -> int | None:
    number = figure(value)
    return None if number is None else int(number)


def portions(chunk: Chunk) -> Iterator[Chunk]:
    """The chunk, or the same in several: one for each choice where one ends, and long texts in pieces.

    The first carries what is said of the whole answer, the last the usage.
    """
    choices = chunk["choices"]
    several = len(choices) > 1 and any(choice["finish_reason"] for choice in choices)
    if not several and not any(_is_long(choice["delta"]) for choice in choices):
        yield chunk
        return
    usage = {name: value for name, value in chunk.items() if name in ("usage", "timings")}
    head = {name: value for name, value in chunk.items() if name not in ("choices", *usage)}
    for choice in choices:
        for piece in split_choice(choice, LONGEST_TEXT) if _is_long(choice["delta"]) else (choice,):
            yield {**head, "choices": [piece]}
            head = {name: value for name, value in head.items() if name in ("id", "object", "created", "model")}
    if usage:
        yield {**head, **usage, "choices": []}


_PLAIN: Final = frozenset({"index", "delta", "finish_reason"})


def joins(last: Chunk, chunk: Chunk) -> bool:
    """Whether `chunk` only goes on with the words of `last` (or, like it, says nothing); then `last` says them too."""
    if {**last, "choices": None} != {**chunk, "choices": None} or "usage" in chunk:
        return False
    said = [choice for each in (last, chunk) for choice in each["choices"]]
    if not said:
        return True
    first, second = said[0], said[-1]
    if len(said) != 2 or second["finish_reason"] or (first["index"], first["finish_reason"]) != (second["index"], None):
        return False
    if first.keys() != _PLAIN or second.keys() != _PLAIN or first["delta"].keys() != second["delta"].keys():
        return False
    ((name, words),) = tuple(second["delta"].items()) if len(second["delta"]) == 1 else ((None, None),)
    if name not in TEXTS or not isinstance(words, str) or not isinstance(first["delta"][name], str):
        return False
    first["delta"][name] += words
    return True


def _is_long(delta: Mapping[str, Any]) -> bool:
    return any(
        len(text) > LONGEST_TEXT for text in (delta.get(name) for name in TEXTS) if text.__class__ is str
    ) or any(
        len((call.get(part) or {}).get(name) or "") > LONGEST_TEXT
        for call in delta.get("tool_calls") or ()
        for part, name in (("function", "arguments"), ("custom", "input"))
    )


def split_choice(choice: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    """A choice whose texts are cut into pieces of `size` characters, of which the last ends it."""
    start = {"index": choice["index"], "finish_reason": None}
    delta = choice["delta"]
    texts = {name: delta[name] for name in delta if name in TEXTS and isinstance(delta[name], str)}
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
    function = call.get(kind) or {}
    text_name = "input" if kind == "custom" else "arguments"
    text = function.get(text_name)
    if not isinstance(text, str):
        yield dict(call)
        return
    yield {**call, kind: {**function, text_name: ""}}
    for at in range(0, len(text), size):
        yield {"index": call["index"], kind: {text_name: text[at : at + size]}}
