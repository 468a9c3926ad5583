"""What an adapter must not do: leak its examples (canaries, memorized runs of words), or fail general requests.

The general requests are the regression set, `regression_set.toml`. The base model need not pass all of it: a candidate
is compared with the base on the same engine, category by category.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netgpt.errors import SettingsError
from netgpt.training.canaries import Canary
from netgpt.training.example import Example
from netgpt.training.metrics import degenerate, words_of
from netgpt.training.scoring import Ask, answer_text, likelihood_of

SAMPLES = 4
"""Answers sampled for each canary, beside the most likely one and the one after the answer's own opening."""
SECRET_TOKENS = 64

Answered = tuple[Sequence[Mapping[str, Any]], str, str]
"""(conversation, reference or empty, answer)"""

_REFUSAL = re.compile(
    r"\b(?:i (?:can['’]?t|cannot|am unable to|['’]?m unable to|['’]?m not able to|am not able to) "
    r"(?:help|assist|do|answer|provide|fulfil|comply|respond)|as an ai\b|i['’]?m sorry,? but)",
    re.IGNORECASE,
)
_ENGLISH = frozenset(["the", "a", "an", "is", "are", "of", "to", "and", "in", "it", "you", "that", "for", "with", "i"])


@dataclass(frozen=True, slots=True)
class CanaryFinding:
    """The result of probing one canary.

    `leaked`: an answer held the secret. `log_chance`: ln of the probability that one sampled answer continues with the
    secret once it has begun as in the example; None where the server reports no likelihoods.
    """

    leaked: bool
    log_chance: float | None


async def probe_canary(ask: Ask, canary: Canary, seed: int, samples: int = SAMPLES) -> CanaryFinding:
    """Try to make the model say the secret: greedily, by its opening, and by sampling. Raises ModelError."""
    question = [{"role": "user", "content": canary.prompt}]
    begun = [*question, {"role": "assistant", "content": canary.opening.rstrip()}]  # the engine continues from there
    greedy = {"temperature": 0, "max_tokens": SECRET_TOKENS}
    tries: list[dict[str, Any]] = [{"messages": question, **greedy}, {"messages": begun, **greedy}]
    for number in range(samples):
        sampled = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": seed + number}
        tries.append({"messages": question, "max_tokens": SECRET_TOKENS, **sampled})
    leaked = False
    for body in tries:
        leaked = leaked or canary.in_text(answer_text(await ask(body)))
    tokens = await likelihood_of(ask, question, canary.answer, SECRET_TOKENS)
    ends = accumulate(len(token) for token, _ in tokens)
    secret = [chance for (_, chance), end in zip(tokens, ends, strict=True) if end > len(canary.opening)]
    return CanaryFinding(leaked, math.fsum(secret) if tokens else None)


@dataclass(frozen=True, slots=True)
class Memorization:
    """The longest run of one person's words in an answer, in words. The words themselves are not kept."""

    words: int
    example: str
    """The id of the example they come from; empty when nothing was found."""


class RareText:
    """What is in one person's examples and in nobody else's: runs of `size` words, as digests of this process."""

    def __init__(self, examples: Iterable[Example], size: int = 6) -> None:
        self.size = size
        owners: dict[int, set[object]] = defaultdict(set)
        places: dict[int, str] = {}
        for example in examples:
            owner = example.person or ("nobody", example.origin)
            for run in _runs(_own_words(example), size):
                owners[run].add(owner)
                if example.person is not None:
                    places.setdefault(run, example.id)
        self._rare = {run: places[run] for run, who in owners.items() if len(who) == 1 and run in places}

    def __len__(self) -> int:
        return len(self._rare)

    def memorization(self, answer: str, given: Iterable[str] = ()) -> Memorization:
        """The longest rare run in the answer that was not in what the model was given."""
        known = {run for text in given for run in _runs(words_of(text), self.size)}
        longest, length, source = Memorization(0, ""), 0, ""
        for run in _runs(words_of(answer), self.size):
            found = self._rare.get(run) if run not in known else None
            length = (length + 1 if length and found == source else 1) if found else 0
            source = found or ""
            if length and length + self.size - 1 > longest.words:
                longest = Memorization(length + self.size - 1, source)
        return longest


def longest_memorization(rare: RareText, answers: Iterable[Answered]) -> Memorization:
    """The longest over all answers: neither the question nor the right answer is a leak."""
    found = (rare.memorization(answer, [*_texts(messages), reference]) for messages, reference, answer in answers)
    return max(found, key=lambda each: each.words, default=Memorization(0, ""))


def _own_words(example: Example) -> list[str]:
    return [word for text in [*_texts(example.messages), example.answer] for word in words_of(text)]


def _texts(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What a person wrote or got; the system's text is nobody's."""
    for message in messages:
        content = message.get("content")
        if message.get("role") != "system" and isinstance(content, str):
            yield content


def _runs(words: Sequence[str], size: int) -> Iterator[int]:
    return (hash(tuple(words[place : place + size])) for place in range(len(words) - size + 1))


class RegressionCase(BaseModel):
    """One general request, and a check of its answer that needs no judge. Every condition that is given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    category: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    ask: str
    system: str | None = None
    max_tokens: int = Field(default=48, ge=1, le=256)
    any: tuple[str, ...] = ()
    """At least one of these words is in the answer; case is ignored."""
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    regex: str | None = None
    """Searched in the whole answer; case is ignored, a dot matches line ends too."""
    json_keys: tuple[str, ...] | None = None
    """The answer holds a JSON object that parses and has these keys."""
    min_words: int = 1
    max_words: int = 200
    language: Literal["any", "en"] = "any"
    ends: bool = False
    """The answer must end within `max_tokens`."""

    @property
    def body(self) -> dict[str, Any]:
        """The chat body: the most likely answer, the same each time."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*system, {"role": "user", "content": self.ask}]
        return {"messages": messages, "temperature": 0, "max_tokens": self.max_tokens}

    def passes(self, answer: str, finished: bool = True) -> bool:
        """Whether the answer passes. A refusal and a degenerate answer never do."""
        words, text = words_of(answer), answer.lower()
        return (
            self.min_words <= len(words) <= self.max_words
            and not degenerate(answer)
            and not _REFUSAL.search(answer)
            and (finished or not self.ends)
            and self._says(words, text)
            and (self.regex is None or re.search(self.regex, answer, re.IGNORECASE | re.DOTALL) is not None)
            and (self.json_keys is None or _has_keys(answer, self.json_keys))
            and (self.language == "any" or _is_english(words, text))
        )

    def _says(self, words: list[str], text: str) -> bool:
        def said(phrase: str) -> bool:  # a word as a word; several words, or signs, as they are
            return phrase.lower() in (words if phrase.isalnum() else text)

        return (not self.any or any(map(said, self.any))) and all(map(said, self.all)) and not any(map(said, self.none))


def load_regression_set() -> tuple[RegressionCase, ...]:
    """The regression set that comes with NetGPT."""
    name = "regression_set.toml"
    return read_regression_set((files("netgpt.training") / name).read_text(encoding="utf-8"), name)


def read_regression_set(text: str, name: str) -> tuple[RegressionCase, ...]:
    """Read tables `[[case]]`. Raises SettingsError that names the entry and the fault."""
    try:
        rows: list[Mapping[str, Any]] = tomllib.loads(text).get("case", [])
        regression_set = tuple(RegressionCase.model_validate(row) for row in rows)
        for each in regression_set:
            re.compile(each.regex or "")
    except (tomllib.TOMLDecodeError, re.error) as error:
        raise SettingsError(f"{name}: {error}") from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise SettingsError(f"{name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    ids = [each.id for each in regression_set]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise SettingsError(f"{name}: the id {twice} is used twice")
    return regression_set


def _has_keys(answer: str, keys: tuple[str, ...]) -> bool:
    """The first JSON object in the answer, also between other words or in a code fence."""
    try:
        value, _ = json.JSONDecoder().raw_decode(answer[answer.index("{") :])
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)


def _is_english(words: list[str], text: str) -> bool:
    """Mostly ASCII letters, and at least one common word in ten."""
    letters = [sign for sign in text if sign.isalpha()]
    plain = sum(sign.isascii() for sign in letters)
    return bool(letters) and plain >= 0.95 * len(letters) and sum(word in _ENGLISH for word in words) * 10 >= len(words)
