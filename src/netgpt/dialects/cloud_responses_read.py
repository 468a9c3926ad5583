"""Answers, events and errors of OpenAI's Responses API read as OpenAI's chat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from netgpt.dialects.reading import Speaker, as_mapping, as_text, count, objects, usage_of
from netgpt.dialects.saying import RESPONSES_FORMAT
from netgpt.types import Chunk

_FINISH: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
_STATUSES: Final = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "insufficient_quota": 429, "server_error": 500,
    "invalid_api_key": 401, "authentication_error": 401, "permission_error": 403, "model_not_found": 404,
    "context_length_exceeded": 400, "invalid_prompt": 400, "invalid_request_error": 400,
}  # fmt: skip
"""The HTTP status that an error in an answer stands for; of pictures: 400."""
_TOOLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


class ResponsesReader:
    """Reads one answer. Items of tools that the cloud itself runs are passed over; their words come as text."""

    def __init__(self, peer: str) -> None:
        self._say = Speaker(peer)
        self._said: set[tuple[Any, str]] = set()
        """(output index, what) of everything of which words have come: what is told again at the end is known then."""
        self._done: set[Any] = set()
        """Output indices that have ended."""
        self._begun: set[Any] = set()
        self._ids: dict[Any, Any] = {}
        """Ids of items by their output index."""
        self._refused = False

    def read(self, event: Any) -> Iterator[Chunk | None]:
        """One event as chunks, None: the answer is whole. Unknown ones are passed over."""
        if not isinstance(event, Mapping):
            raise self._say.broken("an event that is no object")
        place = event.get("output_index") if isinstance(event.get("output_index"), int) else None
        match as_text(event.get("type")).removeprefix("response."):
            case "created" | "in_progress" | "queued":
                if not self._say.said_anything:
                    yield self._say.begin(as_mapping(event.get("response")))
            case "output_item.added":
                yield from self._added(place, as_mapping(event.get("item")))
            case "output_item.done":
                yield from self._item(place, as_mapping(event.get("item")))
            case "completed" | "incomplete":
                yield from self._end(as_mapping(event.get("response")))
            case "cancelled":
                raise self._say.broken("the end of an answer that was cancelled there")
            case kind:
                yield from self._piece(kind, place, event)

    def whole(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer as a `chat.completion`."""
        if not isinstance(response.get("output"), list) or response.get("status") in ("cancelled", "in_progress"):
            raise self._say.broken("an answer without output")
        self._say.begin(response)
        said: dict[str, Any] = {"role": "assistant", "content": None}
        choice: dict[str, Any] = {"index": 0, "message": said}
        for place, item in enumerate(objects(response["output"])):
            for chunk in self._item(place, item):
                _join(choice, chunk["choices"][0])
        choice["finish_reason"] = self._finish(response)
        usage = _usage(as_mapping(response.get("usage")))
        return {**self._say.head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def _added(self, place: Any, item: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = as_text(item.get("type"))
        if place in self._begun:
            return
        self._begun.add(place)
        self._ids[place] = item.get("id")
        if kind in _TOOLS:
            tool, text = _TOOLS[kind]
            id = item.get("call_id") or item.get("id") or f"call_{len(self._say.calls)}"
            fields = {"name": item.get("name"), text: ""}
            yield self._say.chunk(self._say.call(place, fields, kind=tool, id=id))
        elif kind == "message" and isinstance(item.get("phase"), str):
            yield self._say.chunk({"phase": item["phase"]})

    def _piece(self, kind: str, place: Any, event: Mapping[str, Any]) -> Iterator[Chunk]:
        delta = event.get("delta")
        match kind:
            case "output_text.delta":
                self._said.add((place, "text"))
                yield self._say.chunk({"content": delta}, **_tokens(event))
            case "refusal.delta":
                self._said.add((place, "text"))
                yield self._say.chunk({"refusal": delta})
            case "reasoning_summary_text.delta":
                yield from self._thought(place, event.get("summary_index"), "summary", as_text(delta))
            case "reasoning_text.delta":
                yield from self._thought(place, event.get("content_index"), "text", as_text(delta))
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                if place in self._say.calls:
                    self._said.add((place, "input"))
                    tool, text = _TOOLS["function_call" if kind.startswith("function") else "custom_tool_call"]
                    yield self._say.chunk(self._say.call(place, {text: as_text(delta)}, kind=tool))
            case "output_text.annotation.added":
                self._said.add((place, "annotations"))
                yield self._say.chunk({"annotations": [_annotation(as_mapping(event.get("annotation")))]})

    def _thought(self, place: Any, part: Any, kind: str, words: str) -> Iterator[Chunk]:
        part = part if isinstance(part, int) else 0
        if not words:
            return
        again = (place, f"{kind} {part}") not in self._said
        gap = "\n\n" if again and any(each == place for each, _ in self._said) else ""
        self._said.add((place, f"{kind} {part}"))
        fields = {"summary" if kind == "summary" else "text": words}
        once = {"format": RESPONSES_FORMAT, "id": self._ids.get(place)}
        detail = self._say.detail((place, kind, part), f"reasoning.{kind}", once, **fields)
        yield self._say.chunk({"reasoning_content": gap + words, "reasoning_details": [detail]})

    def _item(self, place: Any, item: Mapping[str, Any]) -> Iterator[Chunk]:
        """A whole item: of it, what has not come in pieces."""
        if place in self._done:
            return
        yield from self._added(place, item)
        self._done.add(place)
        kind = as_text(item.get("type"))
        if kind == "message":
            for part in objects(item.get("content")):
                yield from self._message_part(place, part)
        elif kind in _TOOLS and (place, "input") not in self._said:
            tool, text = _TOOLS[kind]
            yield self._say.chunk(self._say.call(place, {text: as_text(item.get(text))}, kind=tool))
        elif kind == "reasoning":
            for field, name in (("summary", "summary"), ("content", "text")):
                for number, part in enumerate(objects(item.get(field))):
                    if (place, f"{name} {number}") not in self._said:
                        yield from self._thought(place, number, name, as_text(part.get("text")))
            if item.get("encrypted_content"):
                once = {"format": RESPONSES_FORMAT, "id": item.get("id")}
                detail = self._say.detail((place, "data"), "reasoning.encrypted", once, data=item["encrypted_content"])
                yield self._say.chunk({"reasoning_details": [detail]})

    def _message_part(self, place: Any, part: Mapping[str, Any]) -> Iterator[Chunk]:
        self._refused = self._refused or part.get("type") == "refusal"
        if (place, "text") not in self._said:
            words = {"refusal": part.get("refusal")} if part.get("type") == "refusal" else {"content": part.get("text")}
            yield self._say.chunk(words, **_tokens(part))
        marks = [_annotation(each) for each in objects(part.get("annotations"))]
        if marks and (place, "annotations") not in self._said:
            yield self._say.chunk({"annotations": marks})

    def _end(self, response: Mapping[str, Any]) -> Iterator[Chunk | None]:
        if not self._say.said_anything:
            yield self._say.begin(response)
        nothing_yet = not self._begun and not self._said
        for place, item in enumerate(objects(response.get("output"))):  # what came without its end, or not at all
            if nothing_yet or (place in self._begun and self._ids[place] == item.get("id")):
                yield from self._item(place, item)
        yield self._say.chunk({}, finish=self._finish(response))
        if response.get("usage"):
            yield self._say.usage(_usage(as_mapping(response["usage"])))
        yield None

    def _finish(self, response: Mapping[str, Any]) -> str:
        if response.get("status") == "incomplete":
            reason = as_text(as_mapping(response.get("incomplete_details")).get("reason"))
            return _FINISH.get(reason, "length")
        return "tool_calls" if self._say.calls else "stop"


def _join(choice: dict[str, Any], said: Mapping[str, Any]) -> None:
    """A choice so far, and what one item adds."""
    message = choice["message"]
    for name, value in said["delta"].items():
        if name == "tool_calls":
            for call in value:
                _join_call(message.setdefault(name, []), call)
        elif isinstance(value, list):
            message.setdefault(name, []).extend(value)
        else:
            message[name] = (message.get(name) or "") + value if isinstance(value, str) else value
    if tokens := as_mapping(said.get("logprobs")).get("content"):
        choice.setdefault("logprobs", {"content": []})["content"].extend(tokens)


def _join_call(calls: list[dict[str, Any]], call: Mapping[str, Any]) -> None:
    if call["index"] == len(calls):
        calls.append({name: value for name, value in call.items() if name != "index"})
        return
    known = calls[call["index"]]
    for tool, text in _TOOLS.values():
        if tool in call:
            known[tool][text] += call[tool][text]


def _tokens(said: Mapping[str, Any]) -> dict[str, Any]:
    """The probabilities of tokens, where they were asked for."""
    tokens = objects(said.get("logprobs"))
    return {"logprobs": {"content": tokens}} if tokens else {}


def _annotation(mark: Mapping[str, Any]) -> dict[str, Any]:
    """A citation as chat writes it: what it is beside an object of that name."""
    kind = as_text(mark.get("type"))
    if kind != "url_citation":
        return dict(mark)
    return {"type": kind, kind: {name: value for name, value in mark.items() if name != "type"}}


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    read = as_mapping(usage.get("input_tokens_details"))
    written = as_mapping(usage.get("output_tokens_details"))
    return usage_of(
        count(usage.get("input_tokens")), count(usage.get("output_tokens")), cached=count(read.get("cached_tokens")),
        written=count(read.get("cache_write_tokens")), reasoning=count(written.get("reasoning_tokens")),
    )  # fmt: skip


def openai_error(document: Any) -> Any:
    """An error event, or the error of an answer that failed, in chat's shape, with the status that it stands for;
    anything else as it is."""
    found = as_mapping(document)
    kind = as_text(found.get("type"))
    if kind == "response.failed" or found.get("object") == "response":
        response = as_mapping(found.get("response")) if kind else found
        failed = kind or response.get("status") == "failed"
        error = as_mapping(response.get("error")) or ({"code": "server_error"} if failed else {})
    elif kind == "error":
        error = as_mapping(found.get("error")) or {name: found.get(name) for name in ("code", "message", "param")}
    else:
        return document
    if not error:
        return document
    code = as_text(error.get("code")) or as_text(error.get("type"))
    status = _STATUSES.get(code, 400 if "image" in code else 502)
    return {"error": {"type": "server_error" if status >= 500 else "invalid_request_error", **error, "status": status}}
