"""OpenAI's older completions: a prompt in, text out. To chat it is one message of the user.

What asks for more than words (a suffix, log-probabilities, the best of several) cannot be kept where placeholders are
put back, and is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from netgpt.dialects import event
from netgpt.errors import NetGPTError, RequestError
from netgpt.types import Chunk

PATH: Final = "/v1/completions"
MOST_PROMPTS: Final = 64
_OWN: Final = ("prompt", "suffix", "logprobs", "echo", "best_of")
_OF_CHAT: Final = ("messages", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls")
_UNKEPT: Final = {
    "suffix": "nothing here writes between two texts",
    "logprobs": "figures of tokens would be of other words than those put back; ask /v1/chat/completions for them",
}
IDS_REFUSED: Final = (
    "these are token ids, which mean something only to the model whose tokenizer made them; send the texts themselves"
)


def prompts_of(body: Mapping[str, Any]) -> list[str]:
    """The prompts, one at least. Raises RequestError that names the field."""
    given = body.get("prompt")
    prompts = [given] if isinstance(given, str) else given
    if not isinstance(prompts, list) or not prompts:
        raise _wrong("prompt", "a text, or a list of texts")
    if isinstance(prompts[0], int | list):
        raise _wrong("prompt", IDS_REFUSED)
    if not all(isinstance(each, str) for each in prompts):
        raise _wrong("prompt", "a list of texts alone")
    if len(prompts) > MOST_PROMPTS:
        raise _wrong("prompt", f"at most {MOST_PROMPTS} at once")
    if not all(each.strip() for each in prompts):
        raise _wrong("prompt", "it is empty: write something")
    return prompts


def to_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat body of a request with one prompt. Raises RequestError that names what cannot be kept."""
    (prompt, *more) = prompts_of(body)
    if more:
        raise _wrong("prompt", "a stream has one prompt; ask for each apart, or without `stream`")
    for field, why in _UNKEPT.items():
        if body.get(field) not in (None, ""):
            raise _wrong(field, why)
    if body.get("best_of") not in (None, body.get("n") or 1):
        raise _wrong("best_of", "all answers are given, none is kept back: ask for `n`")
    if not isinstance(body.get("echo"), bool | None):
        raise _wrong("echo", "true or false")
    for field in _OF_CHAT:
        if body.get(field):
            raise _wrong(field, "completions have none; ask /v1/chat/completions")
    chat = {name: value for name, value in body.items() if name not in (*_OWN, *_OF_CHAT)}
    return {**chat, "messages": [{"role": "user", "content": prompt}]}


def _wrong(field: str, what: str) -> RequestError:
    return RequestError(f"{field}: {what}", param=field)


def completion_of(answer: Mapping[str, Any], echoed: str = "") -> dict[str, Any]:
    """A whole chat answer as a `text_completion`. `echoed`: the prompt that stands before each text."""
    said = [(each, (each.get("message") or {}).get("content") or "") for each in answer.get("choices") or ()]
    choices = [_choice(each, echoed + text) for each, text in said]
    return {**answer, "id": _id(answer), "object": "text_completion", "choices": choices}


def joined(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answers to several prompts, as one: choices counted through, tokens added."""
    choices: list[dict[str, Any]] = []
    usage: dict[str, int] = {}
    for answer in answers:
        choices += [{**each, "index": len(choices) + place} for place, each in enumerate(answer["choices"])]
        for name, value in (answer.get("usage") or {}).items():
            if isinstance(value, int):
                usage[name] = usage.get(name, 0) + value
    made = {**answers[0], "choices": choices}
    told = [answer["netgpt"] for answer in answers if "netgpt" in answer]
    if told:
        made["netgpt"] = {**told[0], "exchanges": [each["exchange"] for each in told]}
    return {**made, "usage": usage} if usage else made


def _choice(choice: Mapping[str, Any], text: str) -> dict[str, Any]:
    reason = choice.get("finish_reason")
    return {"text": text, "index": choice.get("index") or 0, "logprobs": None, "finish_reason": reason}


def _id(answer: Mapping[str, Any]) -> str:
    return "cmpl-" + str(answer.get("id") or "").removeprefix("chatcmpl-")


class CompletionsWriter:
    """The events of a streamed completion; as at chat, `data: [DONE]` ends a whole one alone."""

    def __init__(self, *, wants_usage: bool, echoed: str = "") -> None:
        self._wants_usage, self._echoed = wants_usage, echoed
        self._begun: set[int] = set()
        self._told: dict[str, Any] = {}
        """`netgpt` of a chunk that had no word, for the next."""

    def add(self, chunk: Chunk) -> bytes:
        choices = []
        for each in chunk.get("choices") or ():
            index, text = each.get("index") or 0, (each.get("delta") or {}).get("content") or ""
            if index not in self._begun:
                self._begun.add(index)
                text = self._echoed + text
            if text or each.get("finish_reason"):
                choices.append(_choice(each, text))
        made = {**chunk, "id": _id(chunk), "object": "text_completion", "choices": choices}
        if not self._wants_usage:
            made.pop("usage", None)
        if not choices and not made.get("usage"):
            self._told = made.get("netgpt") or self._told
            return b""
        if self._told:
            made, self._told = {"netgpt": self._told, **made}, {}
        return event(made)

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        return event({**error.as_openai(), "netgpt": netgpt} if netgpt else error.as_openai())
