"""What a request is about, by the edge model: `judge` asks the untrained one, `name_class` the adapter `complete`.

Measured with the untrained 135M model: asked yes or no about a fact, it is no better than a coin; asked for the topic
under a grammar after one example of each, it adds recall at the same precision, as long as answers that the grammar
forced are ignored. The cost is one short prompt, whatever the number of facts; the examples come first and stay in the
engine's prompt cache. The trained adapter needs one short prompt and one token. The likelihoods of all classes are
used, so that a doubt between two classes which share a kind of fact does not count against that kind.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from netgpt.errors import BrokenStream
from netgpt.types import Message

Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Posts one chat body to the edge model and returns the whole `chat.completion`. Raises ModelError."""

_TASK = "Name the topic of each request in one word."
_SHOTS: tuple[tuple[str, str, str], ...] = (
    ("weather", "do i need an umbrella today", "place time"),
    ("restaurant", "book a table for two", "place cuisine diet budget allergy poi"),
    ("joke", "say something funny", ""),
    ("cooking", "recipe for chicken soup", "diet allergy cuisine"),
    ("alarm", "wake me at half past five", ""),
    ("directions", "where is the closest bank", "place poi"),
    ("music", "i want to hear jazz", "music"),
    ("translation", "how do you say thank you in french", ""),
    ("car", "how do i change a tyre", "car"),
    ("email", "send a mail to anna", ""),
    ("time", "current time in tokyo", "time place"),
    ("light", "dim the lamp in the hall", ""),
    ("date", "which weekday is the ninth", "time"),
    ("bank", "transfer fifty dollars to savings", ""),
    ("takeaway", "order me a pizza", "cuisine diet allergy place budget"),
    ("list", "add milk to the shopping list", ""),
    ("calendar", "what do i have on monday", "time schedule"),
    ("knowledge", "how tall is the eiffel tower", ""),
    ("cinema", "which movies are on nearby", "place poi"),
    ("greeting", "hello there", ""),
    ("train", "when does the next train to leeds leave", "place time"),
    ("news", "latest headlines about politics", ""),
    ("traffic", "is there congestion on my route", "place car"),
    ("definition", "what does serene mean", ""),
    ("events", "which concerts are in town", "place hobby"),
    ("volume", "make it louder", ""),
    ("travel", "what is there to see in lisbon", "budget hobby family"),
    ("math", "what is 12 times 8", ""),
    ("taxi", "call a cab to the theatre", "place"),
    ("assistant", "what is your name", ""),
    ("work", "how much leave do i have left", "work"),
    ("radio", "tune in to the rock station", "music"),
    ("podcast", "next episode of the podcast", ""),
    ("location", "where am i", "place"),
    ("rating", "give the novel 3 out of 6", ""),
    ("playlist", "put her tune on my party list", "music"),
    ("flight", "i need plane tickets to miami", "place budget"),
    ("show", "look up the tv show called winter moon", ""),
    ("hotel", "find a hotel in vienna", "budget"),
)
"""Topic, an example of it, and the kinds of facts that help there."""
_KINDS = {topic: frozenset(kinds.split()) for topic, _, kinds in _SHOTS}
_GRAMMAR = "root ::= " + " | ".join(f'"{topic}"' for topic in _KINDS)
_LONGEST_TOPIC = 6
"""Tokens of the longest topic, and one for the end."""


@dataclass(frozen=True, slots=True)
class TopicOpinion:
    """The kinds of facts that help, by the model; `confidence`: likelihood of its answer, 0 to 1."""

    kinds: frozenset[str]
    confidence: float


async def judge(ask: Ask, request: str) -> TopicOpinion:
    """Ask the untrained edge model for the topic. Raises ModelError: it failed, or answered against the grammar."""
    return _opinion(await ask(question(request)))


def question(request: str) -> dict[str, Any]:
    """The chat body. `grammar` and `cache_prompt` are llama.cpp's; the answer of a server without them is refused."""
    messages = [{"role": "system", "content": _TASK}]
    for topic, example, _ in _SHOTS:
        messages.append({"role": "user", "content": example})
        messages.append({"role": "assistant", "content": topic})
    messages.append({"role": "user", "content": request})
    return {
        "messages": messages,
        "temperature": 0,
        "max_tokens": _LONGEST_TOPIC,
        "grammar": _GRAMMAR,
        "cache_prompt": True,
        "logprobs": True,
    }


def answer_text(completion: Mapping[str, Any]) -> str:
    """The text of a `chat.completion`'s first choice. Raises BrokenStream when there is none."""
    try:
        text = completion["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise BrokenStream("the edge model's answer holds no text")
    return text


def _opinion(completion: Mapping[str, Any]) -> TopicOpinion:
    topic = answer_text(completion).strip().lower()
    if topic not in _KINDS:
        raise BrokenStream("the edge model's answer does not follow its grammar")
    try:
        tokens = completion["choices"][0]["logprobs"]["content"]
        # The likelihood before the grammar was applied: it shows which answers were forced.
        confidence = math.exp(min(0.0, sum(float(token["logprob"]) for token in tokens)))
    except (KeyError, TypeError, ValueError):
        confidence = 0.0
    return TopicOpinion(_KINDS[topic], confidence)


TASK = "Topic?"
"""The whole instruction of the adapter `complete`, which has learnt the rest."""
_LONGEST = 300
"""Characters of a request that are used; terse requests are far below."""
_ANSWERS = 30
"""Alternatives that are read; the other classes are far below a probability of 0.001."""
_LEAST_MASS = 0.5
"""A model that gives all classes together less has not learnt this task: its answer is not used."""


@cache
def classes() -> Mapping[str, frozenset[str]]:
    """Each answer of the adapter `complete`, one token of the bundled model, and the kinds of facts that help there."""
    text = resources.files("netgpt.completion").joinpath("classes.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: frozenset(kinds) for name, kinds in tomllib.loads(text).items()})


def plain(request: str) -> str:
    """The request as the adapter reads it.

    >>> plain("Dinner  ideas?")
    'dinner ideas'
    """
    return " ".join(request.split()).lower()[:_LONGEST].rstrip(" .?!")


def conversation(request: str) -> tuple[Message, ...]:
    """The messages whose answer is one class; the same in training and use."""
    return {"role": "system", "content": TASK}, {"role": "user", "content": plain(request)}


async def name_class(ask: Ask, request: str) -> dict[str, float]:
    """The probability of each class. Raises ModelError: the adapter failed, or has not learnt the task."""
    return _likely(await ask(naming(request)))


def naming(request: str) -> dict[str, Any]:
    """The chat body. `cache_prompt` is llama.cpp's; the answer of a server without `top_logprobs` is refused."""
    return {
        "messages": [dict(message) for message in conversation(request)],
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": _ANSWERS,
        "cache_prompt": True,
    }


def helpful_kinds(likely: Mapping[str, float]) -> dict[str, float]:
    """The probability that a fact of each kind helps: the sum over the classes that it helps with."""
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
