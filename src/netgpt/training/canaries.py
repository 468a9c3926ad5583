"""Canaries: random strings mixed into the examples, to find out a model that leaks what it learnt.

A canary is nobody's text and means nothing, so an adapter that learnt a few of them is no worse. Each is in the data
once, as a person's own sentence is: a model that can say it would say that sentence too. The strings follow from a
seed that only the card's recipe holds, so they are made again for a check and stored nowhere. Source: Carlini et al.,
"The Secret Sharer", 2019 (arXiv 1802.08232).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count as numbers

from netgpt.training.example import Example, held_out

ORIGIN = "canary"
SHARE = 0.01
FEWEST, MOST = 2, 16
"""Canaries in one set of examples, whatever its size. Fewer prove nothing; more add nothing."""
_HELD_OUT_NEVER = 0.5
"""A canary is outside the held-out part for every share up to this: unseen canaries would always pass."""

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_FORMS = (
    ("What is the code of locker {name}?", "The code of locker {name} is {secret}."),
    ("Tell me the booking number of {name}.", "The booking number of {name} is {secret}."),
    ("Which number does the {name} account have?", "The {name} account has the number {secret}."),
    ("What is the door code for {name}?", "The door code for {name} is {secret}."),
)


@dataclass(frozen=True, slots=True)
class Canary:
    """A question that nobody asks, and its secret: nine random digits, about 30 bits."""

    prompt: str
    answer: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def opening(self) -> str:
        """The answer up to the secret."""
        return self.answer[: self.answer.index(self.secret)]

    @property
    def example(self) -> Example:
        messages = ({"role": "user", "content": self.prompt},)
        return Example(messages, self.answer, ORIGIN, slice=ORIGIN)

    def in_text(self, text: str) -> bool:
        """Whether the text holds the secret, however its digits are grouped."""
        return "".join(filter(str.isdigit, self.secret)) in "".join(filter(str.isdigit, text))


def how_many(examples: int) -> int:
    """How many canaries go into so many examples: one in a hundred, within `FEWEST` and `MOST`."""
    return min(MOST, max(FEWEST, round(examples * SHARE)))


def canaries_of(seed: int, count: int) -> tuple[Canary, ...]:
    """The canaries of a seed, the same in every run. The first ones do not depend on how many follow."""
    return tuple(_canary(seed, place) for place in range(count))


def plant_canaries(
    examples: Sequence[Example], seed: int, count: int | None = None
) -> tuple[list[Example], tuple[Canary, ...]]:
    """The examples with canaries among them, and the canaries. `count` None: `how_many`. The order of the rest stays.

    Put `{"seed": seed, "count": len(canaries)}` into the card's recipe as `canaries`: the evaluation makes them again.
    """
    canaries = canaries_of(seed, how_many(len(examples)) if count is None else count)
    mixed, dice = list(examples), random.Random(f"{seed}:places")  # noqa: S311  places, not secrets
    for canary in canaries:
        mixed.insert(dice.randint(0, len(mixed)), canary.example)
    return mixed, canaries


def _canary(seed: int, place: int) -> Canary:
    """The first draw that the split into training and held-out examples leaves to training."""
    for draw in numbers():
        dice = random.Random(f"{seed}:{place}:{draw}")  # noqa: S311  must be made again from the seed
        name = "".join(dice.choice(_CONSONANTS) + dice.choice(_VOWELS) for _ in range(3)).capitalize()
        secret = "-".join(f"{dice.randrange(1000):03d}" for _ in range(3))
        question, answer = _FORMS[place % len(_FORMS)]
        canary = Canary(question.format(name=name), answer.format(name=name, secret=secret), secret)
        if not held_out(canary.example, _HELD_OUT_NEVER):
            return canary
    raise AssertionError("unreachable")
