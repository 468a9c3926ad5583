"""Putting the originals back into an answer: whole, or streamed at any cut.

What was streamed equals what the whole text would have become. Only the shortest tail that could still turn into a
placeholder is held back; it is given out before the `finish_reason` of its choice, and when the stream ends or breaks.
What looks like a placeholder and is not certain to be one stays as it is, and is counted (`Account`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

from netgpt.privacy.placeholders import hold_from, kinds_of, original_of, replace_all, variants
from netgpt.privacy.unresolved import Watch
from netgpt.types import Chunk

__all__ = ["Account", "Restorer", "StreamRestorer", "restore_chunks"]

_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
_JSON_FIELDS = ("arguments", "input")


@dataclass(slots=True)
class Account:
    """What restoring one answer did; it grows while the answer streams."""

    restored: int = 0
    """Placeholders that the originals were put in place of."""
    unresolved: int = 0
    """What looks like a placeholder and stays: the model bent, translated or invented it."""


class Restorer:
    """Knows the originals of one conversation. `repr` shows how many, never which."""

    def __init__(self, originals: Mapping[str, str]) -> None:
        """`originals`: placeholder name without brackets -> private text."""
        self._originals = dict(originals)
        self._pattern = variants(kinds_of(self._originals)) if self._originals else None

    def __repr__(self) -> str:
        return f"<Restorer of {len(self._originals)} placeholders>"

    def text(self, text: str, *, as_json: bool = False) -> str:
        """`text` with every known placeholder replaced; unknown ones stay. `as_json`: text is JSON source."""
        if self._pattern is None or not text:
            return text
        return replace_all(self._pattern, text, self._originals, as_json=as_json)

    def stream(self, *, as_json: bool = False, account: Account | None = None) -> StreamRestorer:
        """A restorer for one text that comes in pieces; it books in `account`."""
        return StreamRestorer(self._pattern, self._originals, as_json, account or Account())


class StreamRestorer:
    """Restores one text piece by piece: `feed` each piece, then `flush`."""

    def __init__(self, pattern: Any, originals: Mapping[str, str], as_json: bool, account: Account) -> None:
        self._pattern = pattern
        self._originals = originals
        self._as_json = as_json
        self._account = account
        self._watch = Watch(originals)
        self._before = ""
        """The last character that was given out: the pattern looks one back."""
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be given out now that `piece` has come."""
        if self._pattern is None:
            return piece
        text = self._before + self._held + piece
        done = len(self._before)
        given: list[str] = []
        hold = hold_from(self._pattern, text, done)
        for match in self._pattern.finditer(text, done):
            if hold is not None and match.start() >= hold:
                break
            given += [self._as_it_came(text[done : match.start()]), self._original(match)]
            done = match.end()
            hold = hold_from(self._pattern, text, done) if hold is not None and hold < done else hold
        until = len(text) if hold is None else hold
        given.append(self._as_it_came(text[done:until]))
        self._before, self._held = text[max(0, until - 1) : until], text[until:]
        return "".join(given)

    def flush(self) -> str:
        """The held tail, restored as far as it is a placeholder; nothing is held afterwards."""
        if self._pattern is None:
            return ""
        text, start = self._before + self._held, len(self._before)
        given: list[str] = []
        for match in self._pattern.finditer(text, start):
            given += [self._as_it_came(text[start : match.start()]), self._original(match)]
            start = match.end()
        given.append(self._as_it_came(text[start:]))
        self._before, self._held = text[-1:], ""
        self._booked(self._watch.end)
        return "".join(given)

    def _original(self, match: Any) -> str:
        value = original_of(match, self._originals)
        if value is None:
            return self._as_it_came(str(match[0]))
        self._booked(self._watch.end)
        self._account.restored += 1
        return json.dumps(value, ensure_ascii=False)[1:-1] if self._as_json else value

    def _as_it_came(self, text: str) -> str:
        if text:
            self._booked(lambda: self._watch.feed(text))
        return text

    def _booked(self, work: Callable[[], None]) -> None:
        before = self._watch.count
        work()
        self._account.unresolved += self._watch.count - before


class _HasRestorer(Protocol):
    def restorer(self) -> Restorer: ...


Key = tuple[int, str, int]
"""Choice index, field, tool-call index (-1 where there is none)."""


async def restore_chunks(
    vault: _HasRestorer,
    chunks: AsyncIterator[Chunk],
    *,
    json_content: bool = False,
    account: Account | None = None,
    tail_of_cut: bool = True,
) -> AsyncIterator[Chunk]:
    """The chunks with the originals of `vault` put back; the given chunks are not changed.

    `json_content`: the answer's text is JSON itself (`response_format`), so what is put back is escaped for it.
    `account` is filled while the answer streams and whole when it has ended.
    An error of `chunks` is raised on, after the held tails were given out; `tail_of_cut=False` drops them, so that
    whoever goes on from there does not go on from half a placeholder.
    """
    answer = _Answer(vault.restorer(), json_content, account or Account())
    try:
        try:
            async for chunk in chunks:
                yield answer.restored(chunk)
        except Exception:
            if tail_of_cut and (tail := answer.tail()):
                yield tail
            raise
        if tail := answer.tail():
            yield tail
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


class _Answer:
    """The running restorers of one answer: one for each choice, field and tool call."""

    def __init__(self, restorer: Restorer, json_content: bool, account: Account) -> None:
        self._restorer = restorer
        self._account = account
        self._json = {"arguments", "content"} if json_content else {"arguments"}
        self._streams: dict[Key, StreamRestorer] = {}
        self._last: Chunk = {}

    def restored(self, chunk: Chunk) -> Chunk:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return chunk
        self._last = chunk
        return {**chunk, "choices": [self._choice(choice) for choice in choices]}

    def tail(self) -> Chunk | None:
        """One chunk with every text still held, or None."""
        indices = sorted({key[0] for key in self._streams})
        choices = []
        for index in indices:
            delta = self._flushed(index, {})
            if delta:
                choices.append({"index": index, "delta": delta, "finish_reason": None})
        kept = {key: value for key, value in self._last.items() if key in ("id", "object", "created", "model")}
        return {**kept, "choices": choices} if choices else None

    def _choice(self, choice: Any) -> Any:
        if not isinstance(choice, dict):
            return choice
        result = copy(choice)
        index = choice.get("index", 0)
        for field in ("delta", "message"):
            if isinstance(choice.get(field), dict):
                result[field] = self._delta(index, choice[field])
        if choice.get("finish_reason") is not None:
            field = "message" if isinstance(choice.get("message"), dict) else "delta"
            flushed = self._flushed(index, result.get(field) or {})
            if flushed or isinstance(choice.get(field), dict):
                result[field] = flushed
        return result

    def _delta(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        result = dict(delta)
        for field in _TEXT_FIELDS:
            if isinstance(delta.get(field), str):
                result[field] = self._feed((index, field, -1), delta[field])
        if isinstance(delta.get("function_call"), dict):
            result["function_call"] = self._function(index, -1, delta["function_call"])
        if isinstance(delta.get("tool_calls"), list):
            result["tool_calls"] = [self._call(index, place, call) for place, call in enumerate(delta["tool_calls"])]
        return result

    def _call(self, index: int, place: int, call: Any) -> Any:
        if not isinstance(call, dict):
            return call
        number = call.get("index", place)
        changed = {
            part: self._function(index, number, call[part])
            for part in ("function", "custom")
            if isinstance(call.get(part), dict)
        }
        return {**call, **changed}

    def _function(self, index: int, number: int, function: dict[str, Any]) -> dict[str, Any]:
        result = dict(function)
        for field in ("name", *_JSON_FIELDS):
            if isinstance(function.get(field), str):
                result[field] = self._feed((index, field, number), function[field])
        return result

    def _feed(self, key: Key, piece: str) -> str:
        if key not in self._streams:
            self._streams[key] = self._restorer.stream(as_json=key[1] in self._json, account=self._account)
        return self._streams[key].feed(piece)

    def _flushed(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """`delta` with the held tails of one choice appended where they belong."""
        result = dict(delta)
        for (choice, field, number), stream in self._streams.items():
            if choice != index or not (tail := stream.flush()):
                continue
            if field in _TEXT_FIELDS:
                result[field] = (result.get(field) or "") + tail
            elif number < 0:
                call = dict(result.get("function_call") or {})
                result["function_call"] = {**call, field: call.get(field, "") + tail}
            else:
                result["tool_calls"] = _with_tail(result.get("tool_calls") or [], number, field, tail)
        return result


def _with_tail(calls: list[Any], number: int, field: str, tail: str) -> list[Any]:
    part = "custom" if field == "input" else "function"
    result, found = [], False
    for place, call in enumerate(calls):
        if not found and isinstance(call, dict) and call.get("index", place) == number:
            function = dict(call.get(part) or {})
            call, found = {**call, part: {**function, field: function.get(field, "") + tail}}, True
        result.append(call)
    return result if found else [*result, {"index": number, part: {field: tail}}]
