"""Writes the chosen facts into a conversation. The person's own words stay as they are, and come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netgpt.types import Fact, Message

HEADING = "Context that may help with this request:"
"""Marks where the person's words end and the box's begin."""


def completed(request: str, facts: Sequence[Fact]) -> str:
    """The request, then one line for each fact.

    >>> print(completed("dinner ideas", [Fact("The user is vegan", "diet")]))
    dinner ideas
    <BLANKLINE>
    Context that may help with this request:
    - The user is vegan.
    """
    return request + _block(facts) if facts else request


def compose(messages: Sequence[Message], facts: Sequence[Fact]) -> list[Message]:
    """The conversation with `facts` appended to the last user message; the input is not changed.

    In a list of parts they are appended to the last text part; one is added when there is none.
    """
    return _with_last(messages, lambda text: text + _block(facts)) if facts else list(messages)


def replace_last(messages: Sequence[Message], text: str) -> list[Message]:
    """The conversation with the last user message's text replaced: what `rewrite` mode needs."""
    return _with_last(messages, lambda _: text)


def _block(facts: Sequence[Fact]) -> str:
    # A line break inside a fact could pass for the person's words, or for an instruction.
    lines = (" ".join(fact.text.split()) for fact in facts)
    ended = (f"- {line}" if line.endswith((".", "!", "?")) else f"- {line}." for line in lines)
    return "\n".join(("\n", HEADING, *ended))


def _with_last(messages: Sequence[Message], change: Callable[[str], str]) -> list[Message]:
    result = list(messages)
    for index in range(len(result) - 1, -1, -1):
        if result[index].get("role") == "user":
            result[index] = {**result[index], "content": _changed(result[index].get("content"), change)}
            break
    return result


def _changed(content: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(content, list):
        return change(content if isinstance(content, str) else "")
    texts = [index for index, part in enumerate(content) if _is_text(part)]
    if not texts:
        return [*content, {"type": "text", "text": change("").lstrip("\n")}]
    last = texts[-1]
    return [*content[:last], {**content[last], "text": change(content[last]["text"])}, *content[last + 1 :]]


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
