"""The edge model's opinion on facts in doubt: yes or no for each, in one call, under a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netgpt.errors import BrokenStream

__all__ = ["answer_text", "judge", "question"]

_TASK = "Decide for each fact about the user whether it helps with the user's request. Answer yes or no for each."
_SHOTS = (
    ("what is the weather like", ("The user is in Leeds", "The user has a dog called Rex"), ("yes", "no")),
    ("suggest something for dinner", ("The user likes blues", "The user is vegan"), ("no", "yes")),
    ("which oil does it need", ("The user drives a Honda Civic", "The user is in Leeds"), ("yes", "no")),
)


def question(request: str, facts: Sequence[str]) -> dict[str, Any]:
    """The chat body: the fixed part first, then the request, then the facts, so that the engine's cache is reused."""
    messages: list[dict[str, str]] = [{"role": "system", "content": _TASK}]
    for asked, known, verdicts in _SHOTS:
        messages.append({"role": "user", "content": _asked(asked, known)})
        messages.append({"role": "assistant", "content": json.dumps(_numbered(verdicts))})
    messages.append({"role": "user", "content": _asked(request, facts)})
    keys = list(_numbered(facts))
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "enum": ["yes", "no"]} for key in keys},
        "required": keys,
        "additionalProperties": False,
    }
    return {
        "messages": messages,
        "temperature": 0,
        "max_tokens": 4 + 8 * len(keys),
        "response_format": {"type": "json_schema", "json_schema": {"name": "helps", "schema": schema, "strict": True}},
    }


def verdicts_in(completion: Mapping[str, Any], count: int) -> list[bool]:
    """One verdict a fact. Raises BrokenStream when the answer is not what the grammar allows."""
    try:
        answer = json.loads(answer_text(completion))
        return [answer[str(number)] == "yes" for number in range(1, count + 1)]
    except (ValueError, KeyError, TypeError):
        raise BrokenStream("the edge model's verdict does not follow its grammar") from None


async def judge(ask: Any, request: str, facts: Sequence[str]) -> list[bool]:
    """Ask the edge model about each fact. Raises ModelError when it fails or answers against the grammar."""
    return verdicts_in(await ask(question(request, facts)), len(facts))


def answer_text(completion: Mapping[str, Any]) -> str:
    """The text of a `chat.completion`'s first choice. Raises BrokenStream when there is none."""
    try:
        text = completion["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise BrokenStream("the edge model's answer holds no text")
    return text


def _numbered(values: Sequence[str]) -> dict[str, str]:
    return {str(number): value for number, value in enumerate(values, 1)}


def _asked(request: str, facts: Sequence[str]) -> str:
    lines = "\n".join(f"{number}. {fact}" for number, fact in _numbered(facts).items())
    return f"Request: {request}\nFacts:\n{lines}"
