"""What both dialects of clouds need to say a chat body: what cannot be said, parts of content, earlier thoughts.

A field that a dialect has no word for is refused, and nothing leaves; one that only hints (a seed, a cache) is left
out, and its name is told to the caller (`Saying.left_out`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from netgpt.errors import RequestError

MOST_TOLD: Final = 32
"""Names of hints that are told."""
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST: Final = 80
"""Names of fields are told in a header, too."""
_BREAKPOINTS: Final = ("cache_control", "prompt_cache_breakpoint")


class Saying:
    """One body while it is said: refuses with the field's name, and notes what was left out."""

    def __init__(self, api: str) -> None:
        """`api`: how the dialect is named in sentences."""
        self.api = api
        self._left_out: dict[str, None] = {}

    def leave_out(self, field: str) -> None:
        """A hint that this dialect has no word for."""
        if len(self._left_out) < MOST_TOLD:
            self._left_out[_ODD.sub("?", field)[:_LONGEST]] = None

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self._left_out)

    def cannot(self, field: str, cure: str = "leave it out", *, what: str = "it") -> NoReturn:
        """Raises RequestError (400) that names the field."""
        raise RequestError(
            f"{field}: the cloud speaks {self.api}, which has no way to say {what}: {cure}; nothing was sent",
            code="unsupported_parameter",
            param=field,
        )


def as_object(value: Any, where: str, saying: Saying) -> dict[str, Any]:
    """A copy of an object; nothing is an empty one. Raises RequestError: it is something else."""
    if not isinstance(value, dict | None):
        saying.cannot(where, "make it an object", what="what is none")
    return dict(value or {})


def texts_of(content: Any) -> str:
    """The words of a content whose parts are all texts, or refusals."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts if isinstance(part, dict))


def parts_of(content: Any, where: str, saying: Saying) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, part) of a content, a text being one part of it; parts without a word are left out.

    Raises RequestError: a part that is none.
    """
    for place, part in enumerate([content] if isinstance(content, str) else content or ()):
        at = where if isinstance(content, str) else f"{where}.{place}"
        part = {"type": "text", "text": part} if isinstance(part, str) else part
        if not isinstance(part, dict):
            saying.cannot(at, "send text, pictures or files", what="what is no part of a message")
        if part.get("type") != "text" or part.get("text"):
            yield at, part


def without_breakpoints(part: Mapping[str, Any], where: str, saying: Saying, *, takes: str = "") -> dict[str, Any]:
    """The marks of caches on a part or tool, where this dialect takes them under that name; others are told."""
    kept = {takes: part[takes]} if part.get(takes) is not None else {}
    for name in _BREAKPOINTS:
        if part.get(name) is not None and name != takes:
            saying.leave_out(f"{where}.{name}")
    return kept


def check_fields(
    thing: Mapping[str, Any], known: Collection[str], where: str, saying: Saying, *, hints: Collection[str] = ()
) -> None:
    """Raises RequestError for a field that is neither said nor a hint; fields without a value say nothing."""
    for name, value in thing.items():
        if name in known or name in _BREAKPOINTS or value is None or value in ("", [], {}):
            continue
        if name not in hints:
            saying.cannot(f"{where}.{name}")
        saying.leave_out(f"{where}.{name}")


_OF_A_MESSAGE: Final = ("role", "content", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning",
                        "reasoning_details", "thinking_blocks")  # fmt: skip


def check_message(message: Mapping[str, Any], where: str, saying: Saying, *, more: Collection[str] = ()) -> None:
    """The older ways to call and answer are refused. Fields of earlier answers that only the sender's program knows are
    told, not refused. `more`: fields of an answer that the dialect has besides."""
    role = message.get("role")
    for name in ("function_call", "audio"):
        if message.get(name):
            saying.cannot(f"{where}.{name}", "use tool_calls" if name == "function_call" else "send its words")
    if role == "function":
        saying.cannot(f"{where}.role", 'use "tool"', what="a function's result without a call's id")
    fields = (*_OF_A_MESSAGE, *more)
    known = fields if role == "assistant" else (*fields, "name") if role == "tool" else fields[:2]
    check_fields(message, known, where, saying, hints=message.keys() if role == "assistant" else ("name", *known))


_DATA_URI: Final = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w.=+-]+)*;base64,(?P<data>[A-Za-z0-9+/=_\-\s]*)")


def data_of(url: str) -> tuple[str, str] | None:
    """(media type, base64) of a data URI; None: another address."""
    match = _DATA_URI.fullmatch(url)
    return (match["type"], match["data"]) if match else None


def arguments_of(text: Any) -> dict[str, Any]:
    """The arguments of an earlier call as an object. What is none (a model may write anything) goes as one text, under
    `arguments`, so that the model sees what it wrote."""
    if isinstance(text, dict):
        return text
    try:
        value = json.loads(text) if text else {}
    except (ValueError, TypeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": text if isinstance(text, str) else json.dumps(text)}


DETAIL_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary", "thinking": "thinking"}
"""Types of pieces of reasoning, and where their words are."""


def thoughts_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pieces of reasoning of an earlier answer, as OpenRouter (`reasoning_details`) and LiteLLM (`thinking_blocks`)
    write them, in the first one's form. Pieces of one number that came in a stream are joined: of two thoughts at once
    they take turns, and a signature ends one."""
    joined: list[dict[str, Any]] = []
    open_ones: dict[Any, dict[str, Any]] = {}
    for detail in message.get("reasoning_details") or message.get("thinking_blocks") or ():
        if not isinstance(detail, dict):
            continue
        kind = str(detail.get("type"))
        key = (kind, str(detail["index"]) if "index" in detail else len(joined) if kind != "thinking" else "last")
        if (known := open_ones.get(key)) is not None:
            words = words_of(known) + words_of(detail)
            known |= {field: value for field, value in detail.items() if value is not None}
            known[DETAIL_TEXTS[kind]] = words
        else:
            known = dict(detail)
            joined.append(known)
            if kind in DETAIL_TEXTS:
                open_ones[key] = known
        if known.get("signature"):
            open_ones.pop(key, None)
    return [_as_details(each) for each in joined]


def words_of(detail: Mapping[str, Any]) -> str:
    """The words of a piece of reasoning."""
    words = detail.get(DETAIL_TEXTS.get(str(detail.get("type")), "text"))
    return words if isinstance(words, str) else ""


def _as_details(block: dict[str, Any]) -> dict[str, Any]:
    if block.get("type") == "thinking":
        return {**block, "type": "reasoning.text", "text": block.get("thinking"), "format": MESSAGES_FORMAT}
    if block.get("type") == "redacted_thinking":
        return {**block, "type": "reasoning.encrypted", "format": MESSAGES_FORMAT}
    return block


MESSAGES_FORMAT: Final = "anthropic-claude-v1"
RESPONSES_FORMAT: Final = "openai-responses-v1"
"""`format` of a piece of reasoning: whose signature or encryption it is (OpenRouter's names)."""


def named(tools: Sequence[Mapping[str, Any]], where: str, saying: Saying) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where, type, tool) of each tool or call; of functions and custom ones what is within the inner object and beside
    it. Raises RequestError."""
    for place, tool in enumerate(tools):
        at, kind = f"{where}.{place}", tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(kind, str):
            saying.cannot(at, "give each tool a type", what="a tool without one")
        if kind not in ("function", "custom") or not isinstance(tool.get(kind), dict):
            yield at, kind, dict(tool)
            continue
        beside = {name: value for name, value in tool.items() if name not in ("type", kind)}
        yield at, kind, {**beside, **tool[kind]}
