"""The trained edge model's part in `select`: the adapter `complete` names the request's class, in one token.

One short prompt and one token are the whole cost, whatever the number of facts. Not the one answer is used but how
likely each was: classes that share a kind of fact add up, so that a doubt between two ways to eat out is no doubt
about the place.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from netgpt.completion.classes import classes, conversation
from netgpt.errors import BrokenStream

__all__ = ["Ask", "helpful_kinds", "name_class", "naming"]

Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Posts one chat body to the edge model and returns the whole `chat.completion`. Raises ModelError."""

_ANSWERS = 30
"""How many likely answers are read; the rest of the classes is far below one in a thousand."""
_LEAST_MASS = 0.5
"""A model that gives all classes together less has not learnt this task: its answer is not used."""


async def name_class(ask: Ask, request: str) -> dict[str, float]:
    """How likely each class is, 0 to 1, together 1. Raises ModelError: it failed, or it has not learnt the task."""
    return _likely(await ask(naming(request)))


def naming(request: str) -> dict[str, Any]:
    """The chat body. `cache_prompt` is llama.cpp's; a server that gives no `top_logprobs` fails the reading."""
    return {
        "messages": [dict(message) for message in conversation(request)],
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": _ANSWERS,
        "cache_prompt": True,
    }


def helpful_kinds(likely: Mapping[str, float]) -> dict[str, float]:
    """How likely a fact of each kind helps: the sum over the classes that it helps with."""
    needs = dict.fromkeys(frozenset().union(*classes().values()), 0.0)
    for topic, share in likely.items():
        for kind in classes()[topic]:
            needs[kind] += share
    return needs


def _likely(completion: Mapping[str, Any]) -> dict[str, float]:
    try:
        answers = completion["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        found = {str(answer["token"]): math.exp(min(0.0, float(answer["logprob"]))) for answer in answers}
    except (KeyError, IndexError, TypeError, ValueError):
        raise BrokenStream("the edge model's answer does not say how likely each class is") from None
    known = {topic: found[topic] for topic in classes() if topic in found}
    mass = sum(known.values())
    if mass < _LEAST_MASS:
        raise BrokenStream("the edge model has not learnt to name the class of a request")
    return {topic: share / mass for topic, share in known.items()}
