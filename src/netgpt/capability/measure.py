"""Measuring a model: rounds of questions, one of each kind, until there are enough, or time, tokens or money are used.

A round is kept when it is whole, so a run that is killed loses one, and the next goes on where it stopped. Broken and
endless answers are answers that do not do; a model that is not there again and again ends the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from netgpt.capability.grading import MOST_CHARACTERS, GivenAnswer
from netgpt.capability.profile import Profile
from netgpt.capability.questions import CheckedQuestion, questions
from netgpt.errors import ModelError, ModelUnavailable
from netgpt.judgement import TASK_KINDS
from netgpt.types import Usage

Ask = Callable[[CheckedQuestion], Awaitable[Mapping[str, Any] | None]]
"""Asks a question: OpenAI's `chat.completion`; None: it may not be asked of this model. Raises ModelError."""
ROUNDS: Final = 24
"""Questions of each kind: an interval of 0.2 to either side at worst."""
MOST_FAILURES: Final = 8
"""Questions in a row without any answer after which the model counts as not there."""


@dataclass(frozen=True, slots=True)
class MeasureLimits:
    """When a run ends at the latest. `money` by the prices of a million tokens; None: no bound."""

    rounds: int = ROUNDS
    seconds: float = 300.0
    tokens: int | None = None
    money: float | None = None
    price_prompt: float = 0.0
    price_completion: float = 0.0
    at_once: int = 4
    """Questions that are asked side by side."""
    answer_s: float = 300.0
    """A question that takes longer was not answered; a busy box has time to answer."""

    def cost_of(self, usage: Usage) -> float:
        """Money for these tokens."""
        return (usage.prompt_tokens * self.price_prompt + usage.completion_tokens * self.price_completion) / 1e6


@dataclass(slots=True)
class Spent:
    """What a run has used so far, and why it ended."""

    seconds: float = 0.0
    tokens: int = 0
    money: float = 0.0
    asked: int = 0
    failed: int = 0
    stopped: str = ""
    """"enough", "time", "tokens", "money", "failures"; empty while it runs."""
    failure: str = ""
    """The message of the last call that failed."""


@dataclass
class Measuring:
    """One run over the questions of `seed`. `save` gets the profile after every whole round."""

    ask: Ask
    profile: Profile
    seed: int
    save: Callable[[Profile], None]
    limits: MeasureLimits = field(default_factory=MeasureLimits)
    kinds: Sequence[str] = tuple(TASK_KINDS)
    on_asked: Callable[[CheckedQuestion, bool], None] = lambda question, right: None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.spent = Spent()
        self._failures = 0
        self._under_way: list[Usage] = []
        self._began = 0.0

    async def run(self) -> Profile:
        """Ask until it is enough. Raises ModelUnavailable: nothing was answered at all."""
        self._began, before = self.clock(), self.profile.seconds
        while not self._ended():
            batch = self._round(self.profile.rounds.get(self.seed, 0))
            if not batch:
                self.spent.stopped = "enough"
                break
            graded = await self._asked(batch)
            self.spent.seconds = self.clock() - self._began
            if graded is None:  # the round is not whole: none of it counts, the next run asks it again
                break
            self._keep(graded, before)
        if self.spent.stopped == "failures" and not self.profile.asked:
            raise ModelUnavailable(f"it answered none of {self.spent.failed} questions: {self.spent.failure}")
        return self.profile

    @property
    def _left_s(self) -> float:
        return self.limits.seconds - (self.clock() - self._began)

    def _ended(self) -> bool:
        limits, spent, done = self.limits, self.spent, self.profile.rounds.get(self.seed, 0)
        if done >= limits.rounds:
            spent.stopped = "enough"
        elif self._left_s <= 0:
            spent.stopped = "time"
        return bool(spent.stopped)

    def _round(self, number: int) -> list[CheckedQuestion]:
        """One question of each kind, always the same for seed and number."""
        drawn = (_nth(questions(kind, self.seed), number) for kind in self.kinds)
        return [question for question in drawn if question is not None]

    async def _asked(self, batch: Sequence[CheckedQuestion]) -> list[tuple[CheckedQuestion, bool]] | None:
        """The answers of a round, some side by side; None: it was cut."""
        places, graded = asyncio.Semaphore(self.limits.at_once), list[tuple[CheckedQuestion, bool]]()

        async def one(question: CheckedQuestion) -> None:
            async with places:
                most = Usage(len(question.asked) // 2 + 200, question.most_tokens)
                if self._over(most):
                    return
                self._under_way.append(most)
                try:
                    right = await self._right(question)
                finally:
                    self._under_way.remove(most)
                if right is not None:
                    graded.append((question, right))
                    self.on_asked(question, right)

        await asyncio.gather(*(one(question) for question in batch))
        return None if self.spent.stopped else graded

    def _over(self, most: Usage) -> bool:
        """Whether a question that takes `most` would, with those under way, take more than there is."""
        limits, spent, all_ = self.limits, self.spent, [*self._under_way, most]
        if spent.stopped:
            return True
        if self._left_s <= 0:
            spent.stopped = "time"
        elif limits.tokens is not None and spent.tokens + sum(each.total_tokens for each in all_) > limits.tokens:
            spent.stopped = "tokens"
        elif limits.money is not None and spent.money + sum(map(limits.cost_of, all_)) > limits.money:
            spent.stopped = "money"
        return bool(spent.stopped)

    async def _right(self, question: CheckedQuestion) -> bool | None:
        """Whether the answer does; None: the model was not there, or the question may not be asked of it."""
        self.spent.asked += 1
        try:
            async with asyncio.timeout(min(self.limits.answer_s, self._left_s)):
                told = await self.ask(question)
        except (ModelError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and self._left_s < 0.05:  # the run's time, not the question's
                self.spent.stopped = "time"
                return None
            self.spent.failed += 1
            self._failures += 1
            self.spent.failure = error.message if isinstance(error, ModelError) else "no answer in time"
            if self._failures >= MOST_FAILURES:
                self.spent.stopped = "failures"
            return None if isinstance(error, ModelUnavailable) else False  # who is not there has answered nothing
        if told is None:
            return None
        self._failures = 0
        self._book(told, question)
        return await asyncio.to_thread(question.right, answer_in(told))

    def _book(self, told: Mapping[str, Any], question: CheckedQuestion) -> None:
        """Count what the server says was used; where it says nothing plausible, by the characters."""
        usage = Usage.from_openai(told.get("usage"))
        text = answer_in(told).text
        least = Usage(len(question.asked) // 8, len(text) // 8, estimated=True)
        if usage is None or usage.total_tokens < least.total_tokens:
            usage = least
        self.spent.tokens += usage.total_tokens
        self.spent.money += self.limits.cost_of(usage)

    def _keep(self, graded: Sequence[tuple[CheckedQuestion, bool]], before: float) -> None:
        profile = self.profile
        for question, right in graded:
            profile = profile.added(question.kind, question.family, right)
        rounds = {**profile.rounds, self.seed: profile.rounds.get(self.seed, 0) + 1}
        seconds = before + self.spent.seconds
        self.profile = profile.model_copy(update={"rounds": rounds, "seconds": seconds, "measured": datetime.now(UTC)})
        self.save(self.profile)


def _nth(drawn: Iterator[CheckedQuestion], number: int) -> CheckedQuestion | None:
    for at, question in enumerate(drawn):
        if at == number:
            return question
    return None


def answer_in(told: Mapping[str, Any]) -> GivenAnswer:
    """Text and calls of OpenAI's answer, whatever is in it."""
    try:
        message = told["choices"][0]["message"]
        calls = message.get("tool_calls") or []
        named = tuple((str(each["function"]["name"]), str(each["function"]["arguments"])) for each in calls[:8])
        return GivenAnswer(str(message.get("content") or "")[: 4 * MOST_CHARACTERS], named)
    except (KeyError, IndexError, TypeError, AttributeError):
        return GivenAnswer()
