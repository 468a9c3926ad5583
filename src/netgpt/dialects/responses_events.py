"""OpenAI's Responses API: chat's answer as its `response`, and chat's chunks as its events.

A whole answer is written like a stream of one chunk, so both have the same items. Reasoning and words are items that
end where something else begins; calls end with the answer, since their pieces may come mixed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from netgpt.dialects import event
from netgpt.dialects.responses import ENCRYPTED, FORMAT, LOGPROBS, extras_of, marked, namespaces_of
from netgpt.errors import NetGPTError, RateLimited
from netgpt.types import Chunk

_DELTAS: Final = {
    "output_text": "response.output_text", "refusal": "response.refusal",
    "reasoning_text": "response.reasoning_text", "summary_text": "response.reasoning_summary_text",
}  # fmt: skip
"""How the events of each type of part begin."""
_CALLS: Final = {
    "function": ("function_call", "fc", "arguments", "response.function_call_arguments"),
    "custom": ("custom_tool_call", "ctc", "input", "response.custom_tool_call_input"),
}
"""By chat's type: the item's type, the prefix of its id, its text, how its events begin."""
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_OF_CHAT: Final = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "netgpt")
)


def response_frame(number: str, said: Mapping[str, Any], created_at: float) -> dict[str, Any]:
    """A response before anything is answered. `number`: of its id, and of its items' ids; `said`: the request."""
    text = {name: value for name, value in (said.get("text") or {}).items() if value is not None}
    reasoning = said.get("reasoning") or {}
    names = (
        "instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt_cache_key",
        "safety_identifier", "service_tier", "user",
    )  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": created_at, "status": "in_progress",
        "background": False, "completed_at": None, "error": None, "incomplete_details": None,
        **{name: said.get(name) for name in names},
        "metadata": said.get("metadata") or {}, "model": said.get("model", ""), "output": [],
        "parallel_tool_calls": said.get("parallel_tool_calls") is not False,
        "reasoning": {"effort": None, "summary": None, **reasoning}, "store": said.get("store") is not False,
        "temperature": said.get("temperature"), "text": {"format": {"type": "text"}, **text},
        "tool_choice": said.get("tool_choice") or "auto",
        "tools": [_whole_tool(tool) for tool in said.get("tools") or ()],
        "top_logprobs": said.get("top_logprobs") or 0, "top_p": said.get("top_p"), "truncation": "disabled",
        "usage": None,
    }  # fmt: skip


def _whole_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"parameters": None, "strict": None, **tool} if tool.get("type") == "function" else dict(tool)


def response_of(frame: dict[str, Any], answer: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """A whole `chat.completion` as a response. `frame` is filled in."""
    writer = ResponsesWriter(frame, said, quiet=True)
    choices = [{**choice, "delta": choice.get("message") or {}} for choice in answer.get("choices") or ()]
    writer.add({**answer, "choices": choices})
    writer.end()
    return writer.response


class _Part:
    """A part of an item, while it grows."""

    def __init__(self, kind: str, key: Any) -> None:
        self.kind, self.key = kind, key
        self.pieces: list[str] = []
        self.marks: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def shown(self) -> dict[str, Any]:
        part: dict[str, Any] = {"type": self.kind, "refusal" if self.kind == "refusal" else "text": self.text}
        if self.kind == "output_text":
            part |= {"annotations": self.marks, "logprobs": self.logprobs}
        return part


class _Item:
    """An item of the output, while it grows."""

    def __init__(self, kind: str, id: str, place: int, **fields: Any) -> None:
        self.kind, self.id, self.place, self.fields = kind, id, place, fields
        self.parts: list[_Part] = []
        self.pieces: list[str] = []
        """Of a call's text."""
        self.status = "in_progress"
        self.is_sealed = False
        """Of reasoning: its signature or encrypted content has come; what follows is another thought."""

    def part_of(self, kind: str, key: Any) -> _Part | None:
        return next((part for part in self.parts if (part.kind, part.key) == (kind, key)), None)

    def shown(self) -> dict[str, Any]:
        item = {"type": self.kind, "id": self.id, **self.fields}
        if self.kind == "message":
            item |= {"role": "assistant", "content": [part.shown() for part in self.parts]}
        elif self.kind == "reasoning":
            item["summary"] = [part.shown() for part in self.parts if part.kind == "summary_text"]
            if content := [part.shown() for part in self.parts if part.kind == "reasoning_text"]:
                item["content"] = content
        else:
            item["arguments" if self.kind == "function_call" else "input"] = "".join(self.pieces)
        return item if self.kind == "custom_tool_call" else item | {"status": self.status}


class ResponsesWriter:
    """One answer: fed with chat's chunks, it gives the events, and has the `response` as it stands."""

    def __init__(
        self,
        frame: dict[str, Any],
        said: Mapping[str, Any],
        usage: Callable[[], Mapping[str, Any] | None] = dict,
        *,
        quiet: bool = False,
    ) -> None:
        """`usage`: chat's, asked at the end where no chunk told it. `quiet`: no events are written."""
        self.response, self._quiet, self._usage = frame, quiet, usage
        self._taken = _OF_CHAT | frame.keys()
        """What a server has no say in, or says in other words."""
        include = said.get("include") or ()
        self._gives_encrypted = ENCRYPTED in include
        self._gives_logprobs = LOGPROBS in include or bool(said.get("top_logprobs"))
        self._spaces = namespaces_of(said)
        self._events: list[bytes] = []
        self._number = 0
        self._items: list[_Item] = []
        self._open: _Item | None = None
        """The message or reasoning that is going on."""
        self._calls: dict[Any, _Item] = {}
        self._waiting: dict[Any, dict[str, Any]] = {}
        """Calls whose name has not come yet."""
        self._thoughts: dict[Any, _Item] = {}
        """Reasoning by the index of its pieces."""
        self._has_details = False
        """The words of reasoning come in pieces with types; servers that give them give them plainly too."""
        self._marks: list[dict[str, Any]] = []
        self._finish: str | None = None
        self._has_begun = False

    # What comes in

    def add(self, chunk: Chunk) -> bytes:
        self._head(chunk)
        for choice in chunk.get("choices") or ():
            if not choice.get("index"):
                self._delta(choice.get("delta") or {}, (choice.get("logprobs") or {}).get("content") or ())
                self._finish = choice.get("finish_reason") or self._finish
        return self._written()

    def end(self) -> bytes:
        self._head({})
        for call in self._waiting.values():
            self._begin_call(call)
        if self._marks:
            self._begin_part(self._message(), "output_text", None)
            self._mark_all()
        why = _INCOMPLETE.get(self._finish or "")
        last = max(self._items, key=lambda item: item.place, default=None)
        for item in self._items:
            self._end_item(item, "incomplete" if why is not None and item is last else "completed")
        if self.response["usage"] is None:
            self.response["usage"] = _usage(self._usage())
        if why is None:
            self.response |= {"status": "completed", "completed_at": self.response["completed_at"] or int(time.time())}
        else:
            self.response |= {"status": "incomplete", "incomplete_details": {"reason": why}}
        self._tell_of_all()
        return self._written()

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        self._head({})
        code = "rate_limit_exceeded" if isinstance(error, RateLimited) else "server_error"
        told = self.response.get("netgpt") or {}
        self.response |= {
            "status": "failed", "error": {"code": code, "message": error.message},
            "netgpt": {**told, **netgpt, "code": error.code},
        }  # fmt: skip
        for item in self._items:
            item.status = "incomplete" if item.status == "in_progress" else item.status
        self._tell_of_all()
        return self._written()

    def _head(self, chunk: Chunk) -> None:
        """What is said of the whole answer; with the first chunk, the answer begins."""
        if chunk.get("model"):
            self.response["model"] = chunk["model"]
        for name, value in chunk.items():
            if name == "usage":
                self.response["usage"] = _usage(value) or self.response["usage"]
            elif name in ("netgpt", "service_tier") or name not in self._taken:
                self.response[name] = value
        if not self._has_begun:
            self._has_begun = True
            self._tell("response.created", response=self.response)
            self._tell("response.in_progress", response=self.response)

    def _delta(self, delta: Mapping[str, Any], logprobs: Any) -> None:
        details = delta.get("reasoning_details") or delta.get("thinking_blocks") or ()
        for detail in details:
            self._detail(detail)
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if not self._has_details and isinstance(thought, str) and thought:
            self._say(self._thinking(None, None), "reasoning_text", None, thought)
        if isinstance(words := delta.get("content"), str) and words:
            self._say(self._message(), "output_text", None, words, [_logprob(each) for each in logprobs])
            self._mark_all()
        if isinstance(words := delta.get("refusal"), str) and words:
            self._say(self._message(), "refusal", None, words)
        for mark in delta.get("annotations") or ():
            self._mark(mark)
        if self._open is not None and self._open.kind == "message":
            self._open.fields |= extras_of(delta)
        for place, call in enumerate(delta.get("tool_calls") or ()):
            self._call(call, call.get("index", place))
        if isinstance(call := delta.get("function_call"), dict):
            self._call({"id": f"call_{self._id('')}", "function": call}, "function_call")

    # Items

    def _id(self, prefix: str) -> str:
        return f"{prefix}{self.response['id'].removeprefix('resp_')}{len(self._items):02x}"

    def _begin(self, kind: str, id: str, **fields: Any) -> _Item:
        if self._open is not None:
            self._end_item(self._open, "completed")
            self._open = None
        item = _Item(kind, id, len(self._items), **fields)
        self._items.append(item)
        self._tell("response.output_item.added", output_index=item.place, item=item.shown())
        return item

    def _message(self) -> _Item:
        if self._open is None or self._open.kind != "message":
            self._open = self._begin("message", self._id("msg_"))
        return self._open

    def _thinking(self, id: Any, key: Any) -> _Item:
        """The item of this piece of reasoning: by its index, else its id, else the one that is going on."""
        item = self._thoughts.get(key) if key is not None else None
        if item is None or item.status != "in_progress":
            going_on, given = self._open, id if isinstance(id, str) and id else None
            same = going_on is not None and going_on.kind == "reasoning" and (
                going_on.id == given if given is not None else not going_on.is_sealed
            )  # fmt: skip
            if given in {each.id for each in self._items}:
                given = None
            item = going_on if same and going_on is not None else self._begin("reasoning", given or self._id("rs_"))
            self._open = item
        if key is not None:
            self._thoughts[key] = item
        return item

    def _detail(self, detail: Any) -> None:
        """A piece of reasoning."""
        if not isinstance(detail, dict):
            return
        kind, key = detail.get("type"), detail.get("index")
        summary = kind == "reasoning.summary"
        words = detail.get("summary") if summary else detail.get("text", detail.get("thinking"))
        given = detail.get("id")
        item = self._thinking(given, key)
        self._has_details |= isinstance(words, str)
        if isinstance(words, str) and words:
            self._say(item, "summary_text" if summary else "reasoning_text", key, words)
        for field in ("signature", "data"):
            if isinstance(detail.get(field), str) and detail[field]:
                item.is_sealed = True
                if self._gives_encrypted:
                    format = detail.get("format") or ("anthropic-claude-v1" if field == "signature" else FORMAT)
                    item.fields["encrypted_content"] = marked(detail[field], str(format), field)

    def _say(self, item: _Item, kind: str, key: Any, words: str, logprobs: Any = ()) -> None:
        part = item.part_of(kind, key) or self._begin_part(item, kind, key)
        part.pieces.append(words)
        fields: dict[str, Any] = {"delta": words}
        if kind == "output_text":
            fields["logprobs"] = list(logprobs) if self._gives_logprobs else []
            part.logprobs += fields["logprobs"]
        self._tell(f"{_DELTAS[kind]}.delta", **self._at(item, part), **fields)

    def _begin_part(self, item: _Item, kind: str, key: Any) -> _Part:
        part = _Part(kind, key)
        item.parts.append(part)
        began = "response.reasoning_summary_part" if kind == "summary_text" else "response.content_part"
        self._tell(f"{began}.added", **self._at(item, part), part=part.shown())
        return part

    def _at(self, item: _Item, part: _Part) -> dict[str, Any]:
        """Where a part is: among those of its field."""
        summary = part.kind == "summary_text"
        alike = [each for each in item.parts if (each.kind == "summary_text") == summary]
        name = "summary_index" if summary else "content_index"
        return {"item_id": item.id, "output_index": item.place, name: alike.index(part)}

    def _end_part(self, item: _Item, part: _Part) -> None:
        at = self._at(item, part)
        name = "refusal" if part.kind == "refusal" else "text"
        more = {"logprobs": part.logprobs} if part.kind == "output_text" else {}
        self._tell(f"{_DELTAS[part.kind]}.done", **at, **{name: part.text}, **more)
        ended = "response.reasoning_summary_part" if part.kind == "summary_text" else "response.content_part"
        self._tell(f"{ended}.done", **at, part=part.shown())

    def _mark_all(self) -> None:
        marks, self._marks = self._marks, []
        for mark in marks:
            self._mark(mark)

    def _mark(self, mark: Any) -> None:
        """A citation of the words so far; one that comes before all words waits for them."""
        if not isinstance(mark, dict):
            return
        item = self._open
        part = item.part_of("output_text", None) if item is not None else None
        if item is None or part is None:
            self._marks.append(mark)
            return
        kind = mark.get("type")
        inner = mark.get(str(kind))
        flat = {"type": kind, **inner} if isinstance(inner, dict) else dict(mark)
        if kind == "url_citation":
            flat = {"start_index": 0, "end_index": 0, "title": "", "url": "", **flat}
        part.marks.append(flat)
        place = len(part.marks) - 1
        self._tell(
            "response.output_text.annotation.added", **self._at(item, part), annotation_index=place, annotation=flat
        )

    def _call(self, call: Mapping[str, Any], key: Any) -> None:
        item = self._calls.get(key)
        if item is None:
            waiting = self._waiting.setdefault(key, {"key": key, "text": []})
            kind = "custom" if isinstance(call.get("custom"), dict) else "function"
            said = call.get(kind) or {}
            waiting["kind"] = kind
            waiting["id"] = call.get("id") or waiting.get("id")
            waiting["name"] = said.get("name") or waiting.get("name")
            waiting["text"].append(said.get(_CALLS[kind][2]) or "")
            waiting["extras"] = waiting.get("extras", {}) | extras_of(call)
            if waiting["name"]:
                self._begin_call(self._waiting.pop(key))
            return
        item.fields |= extras_of(call)
        kind = "function" if item.kind == "function_call" else "custom"
        said = call.get(kind) or {}
        self._pass_on(item, _CALLS[kind][3], said.get(_CALLS[kind][2]) or "")

    def _begin_call(self, call: Mapping[str, Any]) -> None:
        kind, prefix, _, begins = _CALLS[call["kind"]]
        id = self._id(f"{prefix}_")
        space, name = self._spaces.get(call["name"] or "", (None, call["name"] or ""))
        where = {} if space is None else {"namespace": space}
        item = self._begin(kind, id, call_id=call["id"] or f"call_{id}", name=name, **where, **call["extras"])
        self._calls[call["key"]] = item
        self._pass_on(item, begins, "".join(call["text"]))

    def _pass_on(self, item: _Item, begins: str, words: str) -> None:
        if words:
            item.pieces.append(words)
            self._tell(f"{begins}.delta", item_id=item.id, output_index=item.place, delta=words)

    def _end_item(self, item: _Item, status: str) -> None:
        if item.status != "in_progress":
            return
        for part in item.parts:
            self._end_part(item, part)
        for kind, _, text, begins in _CALLS.values():
            if item.kind == kind:
                said = {text: "".join(item.pieces)}
                self._tell(f"{begins}.done", item_id=item.id, output_index=item.place, **said)
        item.status = status
        self._tell("response.output_item.done", output_index=item.place, item=item.shown())

    # What goes out

    def _tell_of_all(self) -> None:
        self.response["output"] = [item.shown() for item in self._items]
        self._tell(f"response.{self.response['status']}", response=self.response)

    def _tell(self, name: str, **fields: Any) -> None:
        if not self._quiet:
            self._events.append(event({"type": name, "sequence_number": self._number, **fields}, name))
            self._number += 1

    def _written(self) -> bytes:
        events, self._events = b"".join(self._events), []
        return events


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    def whole(one: Mapping[str, Any]) -> dict[str, Any]:
        text = str(one.get("token") or "")
        given = one.get("bytes")
        return {"token": text, "logprob": one.get("logprob"), "bytes": given or list(text.encode("utf-8", "replace"))}

    return {**whole(token), "top_logprobs": [whole(one) for one in token.get("top_logprobs") or ()]}


def _usage(usage: Any) -> dict[str, Any] | None:
    """Chat's usage in this API's names."""
    if not isinstance(usage, Mapping) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    read, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens") or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": read.get("cached_tokens") or 0, "cache_write_tokens": read.get("cache_write_tokens") or 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": made.get("reasoning_tokens") or 0},
        "total_tokens": prompt + completion,
    }  # fmt: skip
