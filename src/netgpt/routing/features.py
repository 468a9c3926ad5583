"""What a request looks like from the outside: length, kind, needs. Plain regular expressions, microseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CODE = re.compile(
    r"```|\b(def|class|import|function|select .{1,200}? from|stack ?trace|regex|compile[rs]?|python|sql)\b", re.I
)
_MATH = re.compile(
    r"\b(prove|theorem|derivative|integral|equation|probability|solve for)\b|\d\s*[-+*/^=]\s*\(?\d", re.I
)
_LONG_FORM = re.compile(
    r"\b(essay|report|article|letter|story|poem|speech|business plan|outline|summari[sz]e|proofread|translate)\b", re.I
)
_REASONING = re.compile(
    r"\b(explain why|step by step|compare|contrast|pros and cons|analy[sz]e|evaluate|argue|design|optimi[sz]e|debug)\b",
    re.I,
)
_READ_CHARS = 10_000
"""So much of a text's beginning and of its end is searched: what is asked for stands there, and the loop waits."""
_MEDIA = ("image_url", "input_image", "input_audio", "file", "input_file")


@dataclass(frozen=True, slots=True)
class Features:
    """What the rules look at. No text of the request is kept here."""

    words: int  # words of the last user message
    characters: int  # characters of the whole conversation: a bound on tokens
    turns: int
    code: bool
    math: bool
    long_form: bool
    reasoning: bool
    tools: bool
    structured: bool  # `response_format` asks for JSON by schema
    media: bool

    @property
    def hard_because(self) -> str | None:
        """Why a small model will probably not do, or None."""
        if self.tools:
            return "it brings tools"
        for flag, why in (
            (self.code, "it is about code"),
            (self.math, "it needs calculation"),
            (self.long_form, "it asks for a longer text"),
            (self.reasoning, "it asks for reasoning"),
        ):
            if flag:
                return why
        return None


def text_of(content: object) -> str:
    """The text of a message's `content`: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def last_user_text(messages: Sequence[Mapping[str, Any]], *, must_end: bool = False) -> str:
    """The text of the user's last message; empty where there is none. `must_end`: and where it is not the last of all,
    as after the result of a tool."""
    users = [message for message in (messages[-1:] if must_end else messages) if message.get("role") == "user"]
    return text_of(users[-1].get("content")) if users else ""


def features_of(body: Mapping[str, Any]) -> Features:
    """Read OpenAI's chat body. Never raises on odd content: what is not understood counts as absent."""
    messages = [m for m in body.get("messages", ()) if isinstance(m, Mapping)]
    users = [m for m in messages if m.get("role") == "user"]
    last = last_user_text(messages)
    ends = last if len(last) <= 2 * _READ_CHARS else f"{last[:_READ_CHARS]}\n{last[-_READ_CHARS:]}"
    response_format = body.get("response_format")
    return Features(
        words=len(last.split()),
        characters=sum(len(text_of(m.get("content"))) for m in messages),
        turns=len(users),
        code=bool(_CODE.search(ends)),
        math=bool(_MATH.search(ends)),
        long_form=bool(_LONG_FORM.search(ends)),
        reasoning=bool(_REASONING.search(ends)),
        tools=bool(body.get("tools") or body.get("functions")) or any(m.get("role") == "tool" for m in messages),
        structured=isinstance(response_format, Mapping) and response_format.get("type") == "json_schema",
        media=any(_has_media(m.get("content")) for m in messages),
    )


def _has_media(content: object) -> bool:
    return isinstance(content, list) and any(isinstance(p, Mapping) and p.get("type") in _MEDIA for p in content)


UNREAD = features_of({})  # stands for a text that was not read
