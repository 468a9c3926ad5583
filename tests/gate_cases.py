"""A small job for tests of the gate: is a review good or bad? Five subjects, a fifth of the examples each.

And a scripted connection to a model.
"""

from __future__ import annotations

import math
import random
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from netgpt.training.example import Example

SUBJECTS = {
    "food": ("the soup", "the bread", "my dinner", "the cake", "the salad", "our breakfast"),
    "room": ("the bed", "the bathroom", "our room", "the view", "the window", "the balcony"),
    "staff": ("the waiter", "the porter", "the manager", "the cook", "the driver", "the guide"),
    "film": ("the plot", "the ending", "the actor", "the music", "the first scene", "the sequel"),
    "phone": ("the screen", "the battery", "the camera", "the speaker", "the charger", "the cover"),
}
WORDS = {
    "food": ("tasty fresh crisp juicy", "stale bland burnt sour"),
    "room": ("cosy bright tidy quiet", "damp dark dirty noisy"),
    "staff": ("kind helpful polite warm", "rude lazy grumpy cold"),
    "film": ("gripping funny moving clever", "boring silly flat endless"),
    "phone": ("fast sharp solid handy", "slow blurry broken weak"),
}
"""Each subject has its own words, so that a model may learn one subject wrongly and the others rightly."""
GOOD = frozenset(word for good, _ in WORDS.values() for word in good.split())
OPTIONS = ("good", "bad")


def reviews(per_subject: int, seed: int = 3) -> list[Example]:
    """Half of each subject good, half bad; no text twice."""
    dice, made = random.Random(seed), []
    for subject, things in SUBJECTS.items():
        good, bad = ([(thing, word) for thing in things for word in words.split()] for words in WORDS[subject])
        chosen = dice.sample(good, per_subject // 2) + dice.sample(bad, per_subject - per_subject // 2)
        made += [_review(subject, thing, word) for thing, word in chosen]
    dice.shuffle(made)
    return made


def flipped(examples: Iterable[Example], subject: str) -> list[Example]:
    """All labels of one subject turned round: a fifth of the data is poison."""
    other = {"good": "bad", "bad": "good"}
    return [replace(each, answer=other[each.answer]) if each.slice == subject else each for each in examples]


def _review(subject: str, thing: str, word: str) -> Example:
    messages = ({"role": "user", "content": f"{subject}: {thing} was {word}"},)
    return Example(messages, "good" if word in GOOD else "bad", "recipe:reviews", slice=subject, options=OPTIONS)


class Speaker:
    """A scripted connection to a model: `say` maps the last user text to an answer; under a grammar of one text it says
    that text, each word as likely as `chance`. Counts what it was asked."""

    def __init__(self, say: Callable[[str], str], chance: float = 1e-4, *, logprobs: bool = True) -> None:
        self.say, self.chance, self.logprobs = say, chance, logprobs
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        user = [each["content"] for each in body["messages"] if each["role"] == "user"][-1]
        grammar = str(body.get("grammar", ""))
        forced = grammar.removeprefix('root ::= "').removesuffix('"') if grammar and " | " not in grammar else None
        text = self.say(user) if forced is None else forced
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        if body.get("logprobs") and self.logprobs:
            tokens = re.findall(r"\S+|\s+", text)
            choice["logprobs"] = {"content": [{"token": each, "logprob": math.log(self.chance)} for each in tokens]}
        return {"choices": [choice]}


def always(answer: str) -> Callable[[str], str]:
    """Says the same to everything."""
    return lambda asked: answer


def critic(wrong_on: Iterable[str] = (), errors: int = 0) -> Callable[[str], str]:
    """Knows the reviews' labels; turns them round for some subjects, and for every `errors`th text (0: never)."""
    turned = {thing for subject in wrong_on for thing in SUBJECTS[subject]}

    def say(asked: str) -> str:
        thing, _, word = asked.partition(": ")[2].partition(" was ")
        wrong = thing in turned
        if errors and zlib.crc32(asked.encode()) % errors == 0:
            wrong = not wrong
        return "good" if (word in GOOD) is not wrong else "bad"

    return say
