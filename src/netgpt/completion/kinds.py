"""What a fact is about, when nobody said: words that settle it, else the nearest of a few examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netgpt.completion.topics import ALIASES, known_kinds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embed", "KindGuesser", "known_kind"]

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts to unit vectors, one row each."""

_WORDS = {
    "allergy": r"allerg\w* intoleran\w* coeliac celiac anaphyla\w* epipen",
    "diet": r"vegetarian vegan halal kosher pescatarian gluten lactose low.carb keto diet meat pork beef dairy sugar",
    "poi": r"near.here",
    "time": r"it.is.\w+day local.time o'clock \d\d:\d\d current.(?:date|time) today.is time.zone",
    "car": r"""cars? drives? van truck suv sedan hatchback motorbike motorcycle vehicle licen[cs]e.plate diesel
        electric.vehicle""",
    "pet": r"pets? dogs? cats? puppy kitten rabbit parrot hamster goldfish horse tortoise",
    "budget": r"""budget cheap afford\w* spend\w* saving.for money expensive thrifty frugal price\w* pounds dollars
        euros""",
    "cuisine": r"cuisine food dish(?:es)? sushi pizza curry noodles pasta ramen tacos spicy restaurants?",
    "music": r"""music jazz rock metal bands? songs? pop hip.hop rap classical playlist singer techno blues folk""",
    "health": r"""asthma\w* diabet\w* blood.pressure medicine medication pregnant migraines? insulin mg arthritis
        wheelchair""",
    "language": r"speaks? native.language mother.tongue bilingual fluent",
    "family": r"""wife husband children child kids? son daughter mother father married partner parents? sister brother
        baby""",
    "work": r"""works? job employ\w* office company engineer nurse teacher teaches lawyer accountant salary retired
        colleagues?""",
    "hobby": r"""hobb\w* hik\w* chess paints? gardening football tennis runs running cycling climbing yoga gallery
        galleries reads?""",
    "place": r"""lives? located location city town neighbou?rhood hometown is.(?:in|at|near) stays?.in based.in
        resid\w* street""",
    "schedule": r"meetings? appointments? schedule free.on busy.on every.(?:mon|tues|wednes|thurs|fri|satur|sun)day",
}
"""The first kind with a word in the text settles it, so the order tells which word weighs more. "." is a blank."""
_PATTERNS = tuple(
    (kind, re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE)) for kind, words in _WORDS.items()
)

_EXAMPLES = {
    "place": ("The user lives in Leeds", "The user is in the centre of Porto", "The user's home is on Baker Street"),
    "time": ("It is Monday evening, 18:40 local time", "Today is Thursday, 12 June"),
    "diet": ("The user is vegetarian", "The user eats no pork", "The user follows a plant-based diet"),
    "cuisine": ("The user likes Thai food", "The user's favourite dish is lasagna", "The user loves hot curries"),
    "budget": ("The user has a small budget", "The user can spend 20 pounds", "The user wants to save money"),
    "allergy": ("The user is allergic to peanuts", "The user cannot tolerate milk"),
    "car": ("The user drives a Fiat Panda", "The user owns an electric Renault", "The user has a 2014 Ford Focus"),
    "pet": ("The user has a dog called Rex", "The user keeps two cats", "The user owns a rabbit"),
    "music": ("The user likes jazz", "The user's favourite band plays indie rock"),
    "hobby": ("The user enjoys hiking", "The user paints", "The user plays chess", "The user collects stamps"),
    "work": ("The user works as a nurse", "The user is employed at a bank", "The user teaches at a school"),
    "family": ("The user has two small children", "The user is married to Sam"),
    "health": ("The user has asthma", "The user takes tablets for high blood pressure"),
    "language": ("The user speaks Portuguese", "The user's first language is Polish"),
    "schedule": ("The user has a meeting at three", "The user goes to the gym on Tuesdays"),
}
_SURE = 0.55
"""Cosine above which the nearest example settles the kind."""


def known_kind(kind: str) -> str | None:
    """The kind as the topics call it; None when they do not know it."""
    kind = kind.strip().casefold()
    return kind if kind in known_kinds() else ALIASES.get(kind)


class KindGuesser:
    """`guess(text)` -> the kind of a fact given as plain text, or "other"."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._examples: Any = None
        self._kinds = [kind for kind, texts in _EXAMPLES.items() for _ in texts]
        self.guess = lru_cache(maxsize=2048)(self._guess)

    def _guess(self, text: str) -> str:
        if settled := next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None):
            return settled
        if self._examples is None:
            self._examples = self._embed([example for texts in _EXAMPLES.values() for example in texts])
        nearness = self._examples @ self._embed([text])[0]
        best = int(nearness.argmax())
        return self._kinds[best] if nearness[best] >= _SURE else "other"
