"""Writes the chosen facts into a conversation, as sentences that stay data. The person's own words stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

from netgpt.types import Fact, Label, Message
from netgpt.wording import clean, heading, language_of, written

HEADING: Final = heading()
"""Marks where the person's words end and the box's begin, in an English request."""
Placement = Literal["after", "after-line", "before", "before-line", "system", "system-line"]
"""Where the facts stand: after or before the person's words, or in the system message; one a line, or all in one."""
PLACEMENTS: Final[tuple[Placement, ...]] = get_args(Placement)

_BEST: Final[Mapping[str, Placement]] = {"edge": "after", "remote": "after"}
"""By class of model: the small one on the box, and any other. Measured by `netgpt bench placement`."""


def place_for(model: Literal["edge", "remote"], wanted: Placement | Literal["auto"]) -> Placement:
    """Where a class of model gets its facts; "auto": where it used them best."""
    return _BEST[model] if wanted == "auto" else wanted


def completed(request: str, facts: Sequence[Fact]) -> str:
    """The request, then one line for each fact.

    >>> print(completed("dinner ideas", [Fact("is vegan", "diet")]))
    dinner ideas
    <BLANKLINE>
    Context that may help with this request:
    - The user is vegan.
    """
    block = _block(facts, language_of(request), "after")
    return f"{request}\n\n{block}" if block else request


def compose(messages: Sequence[Message], facts: Sequence[Fact], placement: Placement = "after") -> list[Message]:
    """The conversation with `facts` written in; the input is not changed, and the person's words stand whole.

    In a list of parts they join the last text part, or the first when they stand before the words; one is added when
    there is none. Without a user message there is nothing to complete.
    """
    if not any(message.get("role") == "user" for message in messages):
        return list(messages)
    block = _block(facts, language_of(_last_words(messages)), placement)
    if not block:
        return list(messages)
    if placement.startswith("system"):
        return _with_system(messages, block)
    if placement.startswith("before"):
        return _with_last(messages, lambda text: f"{block}\n\n{text}", first=True)
    return _with_last(messages, lambda text: f"{text}\n\n{block}")


def replace_last(messages: Sequence[Message], text: str) -> list[Message]:
    """The conversation with the last user message's text replaced: what `rewrite` mode needs."""
    return _with_last(messages, lambda _: text)


def _block(facts: Sequence[Fact], language: str, placement: Placement) -> str:
    """The facts as they are written in; empty when they say nothing."""
    # The kind of a sensitive fact alone would give away what it is about.
    kinds = ("" if fact.label is Label.SENSITIVE else fact.kind for fact in facts)
    told = [written(fact.text, language, kind) for fact, kind in zip(facts, kinds, strict=True) if clean(fact.text)]
    if not told:
        return ""
    if placement.endswith("line"):
        return f"{heading(language)} {' '.join(told)}"
    return "\n".join((heading(language), *(f"- {line}" for line in told)))


def _last_words(messages: Sequence[Message]) -> str:
    content = next(message.get("content") for message in reversed(messages) if message.get("role") == "user")
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if _is_text(part))
    return content if isinstance(content, str) else ""


def _with_system(messages: Sequence[Message], block: str) -> list[Message]:
    """The block as the first system message, or behind the words of the application's own."""
    for index, message in enumerate(messages):
        if message.get("role") in ("system", "developer"):
            content = _changed(message.get("content"), lambda text: f"{text}\n\n{block}".lstrip("\n"))
            return [*messages[:index], {**message, "content": content}, *messages[index + 1 :]]
    return [{"role": "system", "content": block}, *messages]


def _with_last(messages: Sequence[Message], change: Callable[[str], str], *, first: bool = False) -> list[Message]:
    result = list(messages)
    for index in range(len(result) - 1, -1, -1):
        if result[index].get("role") == "user":
            result[index] = {**result[index], "content": _changed(result[index].get("content"), change, first)}
            break
    return result


def _changed(content: Any, change: Callable[[str], str], first: bool = False) -> Any:
    """`first`: of several text parts the first is changed, else the last."""
    if not isinstance(content, list):
        return change(content if isinstance(content, str) else "")
    texts = [index for index, part in enumerate(content) if _is_text(part)]
    if not texts:
        return [*content, {"type": "text", "text": change("").strip("\n")}]
    at = texts[0 if first else -1]
    return [*content[:at], {**content[at], "text": change(content[at]["text"])}, *content[at + 1 :]]


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
