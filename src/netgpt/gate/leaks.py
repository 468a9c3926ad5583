"""Does an adapter give away what it learnt? Two probes: planted canaries, and long runs of people's own words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netgpt.examples.example import Example
from netgpt.examples.planted import Canary
from netgpt.gate.evaluate import Ask, answer_text, likelihood_of
from netgpt.gate.marking import words_of

__all__ = ["CanaryFinding", "RareText", "Recital", "longest_recital", "probe_canary"]

SAMPLES = 4
"""Answers drawn at random for each canary, beside the most likely one and the one after the answer's own opening."""
SECRET_TOKENS = 64


@dataclass(frozen=True, slots=True)
class CanaryFinding:
    """What one canary showed. `told`: an answer held the secret. `log_chance`: ln of the chance that one answer drawn
    at random goes on with the secret once it has begun as planted; None where the server reports no likelihoods."""

    told: bool
    log_chance: float | None


async def probe_canary(ask: Ask, canary: Canary, seed: int, samples: int = SAMPLES) -> CanaryFinding:
    """Try to make the model say the secret: greedily, by its opening, and by chance. Raises ModelError."""
    question = [{"role": "user", "content": canary.prompt}]
    begun = [*question, {"role": "assistant", "content": canary.opening.rstrip()}]  # the engine goes on from there
    greedy = {"temperature": 0, "max_tokens": SECRET_TOKENS}
    tries: list[dict[str, Any]] = [{"messages": question, **greedy}, {"messages": begun, **greedy}]
    for number in range(samples):
        drawn = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": seed + number}
        tries.append({"messages": question, "max_tokens": SECRET_TOKENS, **drawn})
    told = False
    for body in tries:
        told = told or canary.told_by(answer_text(await ask(body)))
    tokens = await likelihood_of(ask, question, canary.answer, SECRET_TOKENS)
    return CanaryFinding(told, _chance_of_secret(tokens, canary) if tokens else None)


def _chance_of_secret(tokens: Sequence[tuple[str, float]], canary: Canary) -> float:
    """The likelihood of the tokens that lie behind the opening."""
    said, chances = "", []
    for token, chance in tokens:
        said += token
        if len(said) > len(canary.opening):
            chances.append(chance)
    return math.fsum(chances)


@dataclass(frozen=True, slots=True)
class Recital:
    """The longest run of one person's words in an answer, in words. The words themselves are not kept."""

    words: int
    example: str
    """The id of the example they come from; empty when nothing was found."""


class RareText:
    """What stands in one person's examples and in nobody else's: runs of `size` words, as digests of this process."""

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

    def recital(self, answer: str, given: Iterable[str] = ()) -> Recital:
        """The longest rare run in the answer that did not stand in what the model was given."""
        known = {run for text in given for run in _runs(words_of(text), self.size)}
        longest, length, source = Recital(0, ""), 0, ""
        for run in _runs(words_of(answer), self.size):
            found = self._rare.get(run) if run not in known else None
            length = (length + 1 if length and found == source else 1) if found else 0
            source = found or ""
            if length and length + self.size - 1 > longest.words:
                longest = Recital(length + self.size - 1, source)
        return longest


def longest_recital(rare: RareText, answers: Iterable[tuple[Sequence[Mapping[str, Any]], str, str]]) -> Recital:
    """The longest over (conversation, reference or empty, answer): neither question nor right answer is a leak."""
    recitals = [rare.recital(answer, [*_texts(messages), reference]) for messages, reference, answer in answers]
    return max(recitals, key=lambda each: each.words, default=Recital(0, ""))


def _own_words(example: Example) -> list[str]:
    """What a person wrote or got; the system's text is nobody's."""
    return [word for text in [*_texts(example.messages), example.answer] for word in words_of(text)]


def _texts(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        if message.get("role") != "system" and isinstance(content, str):
            yield content


def _runs(words: Sequence[str], size: int) -> Iterator[int]:
    return (hash(tuple(words[place : place + size])) for place in range(len(words) - size + 1))
