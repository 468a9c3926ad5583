"""What a request is and how far an answer may be believed: kinds of tasks, token figures, confidence.

Plain values that travel between routing, generation and the front ends; none holds a word of a request or an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

UNKNOWN: Final = "unknown"
"""The kind of a request that looks like none of `TASK_KINDS`."""

TASK_KINDS: Final[Mapping[str, str]] = {
    "facts": "short questions of general knowledge: who, where, when, which",
    "definitions": "what a word or an idea means",
    "arithmetic": "a sum that is written out, a percentage, a unit to convert",
    "word-problems": "a story with numbers that has one right result",
    "reasoning": "several steps without numbers: puzzles, comparisons, what follows from what",
    "science": "questions of school and university subjects, often with options to choose from",
    "code": "write a program, a query, a pattern, a command",
    "code-reading": "say what code does, prints or gets wrong",
    "translation": "the same in another language",
    "summary": "the same in fewer words",
    "rewriting": "the same in other words: tone, grammar, length, form",
    "extraction": "find something in a given text: names, dates, sums, the answer to a question",
    "classification": "put a given text under one of some labels: mood, topic, yes or no",
    "json": "an answer in a given structure",
    "tools": "call a function, or go on with what one gave back",
    "dates": "days, weekdays, times, how long between",
    "local": "what is near, open or on, and how to get there",
    "advice": "medical, legal, financial and safety questions, where a wrong answer harms",
    "creative": "stories, poems, names, ideas",
    "chat": "greetings, thanks, feelings, talk without a task",
}
"""Every kind of task, with what it is in a line."""

ADVICE: Final = "advice"
"""The kind whose wrong answers harm: never answered by a weak model without a word of warning."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """What kind of task a request probably is."""

    name: str = UNKNOWN  # of TASK_KINDS, or UNKNOWN where none is likely enough
    chance: float = 0.0  # of `name`, 0 to 1, calibrated
    chances: tuple[tuple[str, float], ...] = ()
    """(kind, chance) of every kind that is likely at all, best first; they add up to 1 at most, the rest is unknown."""


@dataclass(slots=True)
class TokenStats:
    """Figures of the tokens of one answer, added while it streams. Natural logarithms."""

    count: int = 0
    total: float = 0.0  # sum of log-probabilities
    lowest: float = 0.0
    doubtful: int = 0  # tokens of a probability below one half
    entropy: float = 0.0  # sum over tokens, of the alternatives that the model told
    first: list[float] = field(default_factory=list)  # log-probabilities of the first 32 tokens

    def add(self, log_probability: float, alternatives: Sequence[float] = ()) -> None:
        """One token: its log-probability, and those of the likeliest tokens at its place (itself included)."""
        self.count += 1
        self.total += log_probability
        self.lowest = min(self.lowest, log_probability)
        self.doubtful += log_probability < math.log(0.5)
        self.entropy -= sum(math.exp(one) * one for one in alternatives)
        if len(self.first) < 32:
            self.first.append(log_probability)

    @property
    def mean(self) -> float:
        """The mean log-probability of a token; 0 where there is none."""
        return self.total / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Confidence:
    """How likely an answer does, and why one thinks so."""

    chance: float  # 0 to 1, calibrated on answers of kinds that it was not fitted on
    reasons: tuple[str, ...] = ()
    """In words, most telling first ("the sum in it is wrong", "a name that stands nowhere in the question"); what
    was unknown too ("the model tells no probabilities"). No word of the question or the answer."""
    wrong: bool = False  # a check proved it wrong: a broken schema, code that does not parse, a sum that is off
    repair: str = ""
    """Where `wrong`: what to ask the model again, in words for the model; made by rule, no word of the answer."""


class AnswerJudge(Protocol):
    """Says how far an answer of a model on the box may be believed. Pure, and quick (5 ms for 2,000 characters)."""

    def judge(
        self,
        body: Mapping[str, Any],
        answer: str,
        *,
        kind: TaskKind,
        prior: float | None = None,
        stats: TokenStats | None = None,
        facts: Sequence[str] = (),
        whole: bool = True,
    ) -> Confidence:
        """`body`: OpenAI's request as the model got it; `prior`: how often this model's answers of this kind do (0 to
        1), None: not measured; `stats`: None where the model tells none; `facts`: what the box told the model besides;
        `whole`: False while the answer is still being written. Never claims more where less is known."""
        ...
