"""Asks a model, with or without an adapter, about examples and scores its answers. Knows no torch and no engine.

Free text is scored twice: by the model's answer (`metrics.py`), and by how likely it finds the reference. A chat
endpoint gives the second with a grammar that allows the reference alone: llama.cpp reports each token's likelihood as
it was before the grammar excluded the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import fmean
from typing import Any, TypeVar

from netgpt.errors import BrokenStream, ContextTooLong
from netgpt.training.example import Example
from netgpt.training.metrics import Figure, degenerate, figure_of, first_choice_likelihood, score_closed, score_free

_T = TypeVar("_T")
_R = TypeVar("_R")

Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Posts one chat body to the edge model, with adapters chosen before, and returns the whole `chat.completion`."""

Progress = Callable[[str, int, int], None]
"""Called with the part ("held-out", "regression set", ...), how many are done, and of how many."""


@dataclass(frozen=True)
class EvaluationLimits:
    """How much an evaluation may ask. The same limits and seed ask the same questions in the same order."""

    per_slice: int = 60
    """Examples of one slice; chosen by their digest, the same in every run."""
    whole: int = 400
    """Examples in total."""
    seconds: float = 600.0
    """After this time no further example is begun."""
    concurrency: int = 4
    """Questions at once: as many as the engine has slots."""
    max_tokens: int = 96
    """Of one free answer."""
    likelihood_tokens: int = 64
    """Longer references are scored by the answer alone. 0: never ask for a reference's likelihood."""
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Judged:
    """One example as one model answered it."""

    id: str
    slice: str
    score: float
    """0 to 1."""
    likelihood: float | None = None
    """ln p of the right option among the options, or of the reference, the mean of its tokens; None: not known."""
    degenerate: bool = False
    truncated: bool = False
    answer: str = field(default="", repr=False)


@dataclass(frozen=True)
class Scores:
    """Scores of one model. `skipped`: examples not asked because time was up or they were too long for the model."""

    judged: tuple[Judged, ...]
    skipped: int = 0

    @property
    def overall(self) -> Figure:
        return figure_of([each.score for each in self.judged])

    @property
    def slices(self) -> dict[str, Figure]:
        """By slice, in alphabetical order."""
        by_slice = defaultdict(list)
        for each in self.judged:
            by_slice[each.slice].append(each.score)
        return {name: figure_of(by_slice[name]) for name in sorted(by_slice)}

    @property
    def likelihood(self) -> float | None:
        """The mean; None when none is known."""
        known = [each.likelihood for each in self.judged if each.likelihood is not None]
        return fmean(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """Figures without any text, for a card."""
        likelihood = self.likelihood
        return {
            "overall": self.overall.as_json(),
            "slices": {name: figure.as_json() for name, figure in self.slices.items()},
            "likelihood": None if likelihood is None else round(likelihood, 4),
            "degenerate": sum(each.degenerate for each in self.judged),
            "truncated": sum(each.truncated for each in self.judged),
            "skipped": self.skipped,
        }


async def evaluate_all(
    asks: Mapping[str, Ask],
    examples: Sequence[Example],
    limits: EvaluationLimits = EvaluationLimits(),
    progress: Progress = lambda part, done, whole: None,
) -> dict[str, Scores]:
    """Ask several models about the same examples, each example of all of them or of none, so that scores are paired.

    An example that is too long for the model is skipped. Raises ModelError when a model fails.
    """
    deadline = time.monotonic() + limits.seconds

    async def judge(example: Example) -> list[Judged] | None:
        if time.monotonic() > deadline:
            return None
        try:
            return [await _judge(ask, example, limits) for ask in asks.values()]
        except ContextTooLong:
            return None

    rows = await gather("held-out", spread(examples, limits), judge, limits, progress)
    kept = [row for row in rows if row is not None]
    return {name: Scores(tuple(row[place] for row in kept), len(rows) - len(kept)) for place, name in enumerate(asks)}


def spread(examples: Sequence[Example], limits: EvaluationLimits) -> list[Example]:
    """The examples to ask: as many of each slice as allowed, slices in turn, so that a limit cuts all alike."""
    by_slice: dict[str, list[Example]] = defaultdict(list)
    for example in sorted({each.id: each for each in examples}.values(), key=lambda each: _order(each, limits.seed)):
        if len(by_slice[example.slice]) < limits.per_slice:
            by_slice[example.slice].append(example)
    rounds = zip_longest(*(by_slice[name] for name in sorted(by_slice)))
    return [example for each in rounds for example in each if example is not None][: limits.whole]


async def likelihood_of(
    ask: Ask, messages: Sequence[Mapping[str, Any]], text: str, max_tokens: int
) -> list[tuple[str, float]]:
    """(token, ln p) of each token of `text` as the answer to `messages`.

    Empty when the server reports no likelihoods, ignores the grammar, or the text has more than `max_tokens` tokens.
    """
    body = {"messages": list(messages), "temperature": 0, "max_tokens": max_tokens}
    completion = await ask(body | {"grammar": grammar_of([text]), "logprobs": True})
    try:
        tokens = completion["choices"][0]["logprobs"]["content"]
        values = [(str(token["token"]), min(0.0, float(token["logprob"]))) for token in tokens]
    except (KeyError, IndexError, TypeError, ValueError):
        return []
    return values if answer_text(completion).strip() == text.strip() else []


def grammar_of(texts: Sequence[str]) -> str:
    """A llama.cpp grammar (GBNF) that allows these texts and nothing else. Code points are written as escapes."""
    return "root ::= " + " | ".join(f'"{"".join(_escaped(sign) for sign in text)}"' for text in texts)


def _escaped(sign: str) -> str:
    if sign.isascii() and sign.isprintable() and sign not in '"\\':
        return sign
    return f"\\U{ord(sign):08X}"


def answer_text(completion: Mapping[str, Any]) -> str:
    """The text of a `chat.completion`'s first choice; empty where the model ended at once, an answer like any other.

    Raises BrokenStream: it is no completion.
    """
    try:
        text = completion["choices"][0]["message"]["content"] or ""
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise BrokenStream("the edge model's answer holds no text")
    return text


async def _judge(ask: Ask, example: Example, limits: EvaluationLimits) -> Judged:
    return await (_judge_closed if example.options else _judge_free)(ask, example, limits)


async def _judge_closed(ask: Ask, example: Example, limits: EvaluationLimits) -> Judged:
    """One option under a grammar. A server without grammars is scored by its answer."""
    options = list(dict.fromkeys((*example.options, example.answer)))
    body = {"messages": list(example.messages), "temperature": 0, "max_tokens": limits.max_tokens}
    completion = await ask(body | {"grammar": grammar_of(options), "logprobs": True, "top_logprobs": 20})
    answer = answer_text(completion)
    likelihood = first_choice_likelihood(completion, example.answer, options)
    score = score_closed(answer, example.answer, options)
    return Judged(example.id, example.slice, score, likelihood, answer=answer)


async def _judge_free(ask: Ask, example: Example, limits: EvaluationLimits) -> Judged:
    body = {"messages": list(example.messages), "temperature": 0, "max_tokens": limits.max_tokens}
    completion = await ask(body)
    answer = answer_text(completion)
    tokens: list[tuple[str, float]] = []
    if limits.likelihood_tokens and len(example.answer) <= limits.likelihood_tokens * 6:
        tokens = await likelihood_of(ask, example.messages, example.answer, limits.likelihood_tokens)
    likelihood = fmean(chance for _, chance in tokens) if tokens else None
    truncated = completion["choices"][0].get("finish_reason") == "length"
    score = score_free(answer, example.answer)
    return Judged(example.id, example.slice, score, likelihood, degenerate(answer), truncated, answer)


async def gather(
    part: str, items: Sequence[_T], work: Callable[[_T], Awaitable[_R]], limits: EvaluationLimits, progress: Progress
) -> list[_R]:
    """`work` on each item, `limits.concurrency` at once: all results in order; the first failure ends the rest."""
    turn, done = asyncio.Semaphore(max(1, limits.concurrency)), 0

    async def one(item: _T) -> _R:
        nonlocal done
        async with turn:
            result = await work(item)
        done += 1
        progress(part, done, len(items))
        return result

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _order(example: Example, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{example.id}".encode()).hexdigest()
