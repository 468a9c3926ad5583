"""An answer that broke off in the middle: another model writes the rest, from what was already given.

Only plain text of one choice can be carried on: half a tool call or half a JSON document cannot be trusted to fit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from netgpt.errors import ContextTooLong, ModelError
from netgpt.models.stream import characters_of, close
from netgpt.types import CHARACTERS_A_TOKEN, Chunk, Message, Usage

_LEAST_TOKENS = 16
_KEPT = ("id", "created", "model", "system_fingerprint")  # what all chunks of one answer have in common


class Given:
    """The part of a streamed answer that was passed on: its text, and whether it is plain text of one choice."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.head: dict[str, Any] = {}
        self.plain = True
        self.finished = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def characters(self) -> int:
        return sum(len(piece) for piece in self._pieces)

    def see(self, chunk: Chunk) -> None:
        """Note one more chunk."""
        if not self.head:
            self.head = {name: chunk[name] for name in _KEPT if name in chunk}
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self._pieces.append(delta.get("content") or "")
            self.finished |= bool(choice.get("finish_reason"))
            other = delta.get("tool_calls") or delta.get("function_call") or delta.get("refusal")
            self.plain &= choice.get("index", 0) == 0 and not other


def can_continue(body: Mapping[str, Any]) -> bool:
    """Whether an answer to this request is one text."""
    form = body.get("response_format")
    plain = form is None or (isinstance(form, Mapping) and form.get("type") == "text")
    more = body.get("tools") or body.get("functions") or body.get("logprobs")
    return bool(body.get("stream")) and (body.get("n") or 1) == 1 and plain and not more


def continuation(body: Mapping[str, Any], messages: list[Message], given: Given) -> dict[str, Any]:
    """The request for the rest: what was given is the beginning of the assistant's message, which llama.cpp and Ollama
    go on from. `max_tokens` is what is left of it.

    A space at its end is left out: tokens begin with their space, so no model goes on well after one.
    """
    begun = given.text.rstrip(" ")
    rest = {**body, "messages": [*messages, {"role": "assistant", "content": begun}] if begun else messages}
    for name in ("max_tokens", "max_completion_tokens"):
        if isinstance(body.get(name), int):
            rest[name] = max(_LEAST_TOKENS, body[name] - given.characters // CHARACTERS_A_TOKEN)
    return rest


async def continued(
    chunks: AsyncIterator[Chunk],
    finish: Callable[[Given], AsyncIterator[Chunk]],
    on_begin: Callable[[], None],
    usage: Callable[[Usage | None, int], Usage],
) -> AsyncIterator[Chunk]:
    """`chunks`, and where they break off, the rest by `finish`. Where that fails too, the first error is raised.

    `on_begin` is called once, when the rest begins. `usage` adds up what both models counted: it gets what the second
    said (None: nothing) and the characters that it wrote.
    """
    given = Given()
    try:
        async for chunk in chunks:
            given.see(chunk)
            yield chunk
        return
    except ModelError as error:
        if given.finished or not given.plain:
            raise
        cut = error
    finally:
        await close(chunks)
    rest = finish(given)
    counted, characters, begun = None, 0, False
    spaced = given.text.endswith(" ")
    try:
        async for chunk in rest:
            counted = Usage.from_openai(chunk.get("usage")) or counted
            characters += characters_of(chunk)
            if not begun:
                on_begin()
            if spaced and characters:
                chunk, spaced = _unspaced(chunk), False
            yield _as_one(chunk, given.head, marked=not begun, usage=usage(counted, characters))
            begun = True
    except (ModelError, ContextTooLong):  # what was given may be longer than the second model's context
        raise cut from None
    finally:
        usage(counted, characters)
        await close(rest)


def _as_one(chunk: Chunk, head: Mapping[str, Any], *, marked: bool, usage: Usage) -> Chunk:
    """A chunk of the second model as one of the first's answer; the first of them says whose it is."""
    whole = {**chunk, **head, "choices": [_roleless(choice) for choice in chunk.get("choices") or ()]}
    if chunk.get("usage"):
        whole["usage"] = usage.as_openai()
    if marked:
        whole["netgpt"] = {"finished_by": "edge"}
    return whole


def _unspaced(chunk: Chunk) -> Chunk:
    """Without the space at its beginning, which was given already."""
    choices = []
    for choice in chunk["choices"]:
        delta = choice.get("delta") or {}
        choices.append({**choice, "delta": {**delta, "content": (delta.get("content") or "").removeprefix(" ")}})
    return {**chunk, "choices": choices}


def _roleless(choice: Mapping[str, Any]) -> dict[str, Any]:
    delta = {name: value for name, value in (choice.get("delta") or {}).items() if name != "role"}
    return {**choice, "delta": delta}
