"""Facts that a person stated, in coarser words: the region of a home, the year of a birth, an age or a sum as a range.

What is made is a sentence of fixed words around the coarser value. No word of the fact itself is in it, so that nothing
of it leaves but what the policy names. A fact without such a form stays on the box, as before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netgpt.privacy.generalize import PLACE_LEVELS, Coarser, Generaliser
from netgpt.privacy.kinds import word_set
from netgpt.types import Fact, Generalised, Label, Terms

STATED: Final = "profile"
"""The detector of such values in accounts: nothing was searched for, the person said it."""
_LEVELS: Final = PLACE_LEVELS | {"month", "year", "range"}
"""The levels at which a value is other words; the rest are the value itself, or a placeholder."""
_HOMES: Final = word_set(
    "home address residence hometown city town village neighbourhood neighborhood district region country area"
)
_KINDS: Final = {
    **dict.fromkeys((*_HOMES, "place", "location", "site"), "PLACE"),
    "age": "AGE",
    **dict.fromkeys(("birthday", "birthdate", "birth", "born"), "BIRTHDATE"),
    **dict.fromkeys(("date", "anniversary", "wedding", "appointment", "holiday", "deadline", "trip"), "DATE"),
    **dict.fromkeys(("salary", "income", "budget", "rent", "wage", "pension", "mortgage", "savings", "debt"), "AMOUNT"),
}
"""Kinds of facts whose values have coarser forms -> the kind under which the policy is asked."""
_ANY: Final = word_set("note notes other fact facts profile user info misc general")
"""Kinds that say nothing: there the words tell."""
_TOLD_BY: Final = (
    ("home", re.compile(r"\b(?:lives?|living|based|resides?|wohnt|habite|vive|woont)\s+(?:in|at|near|à|en)\b", re.I)),
    ("age", re.compile(r"\b\d{1,3} years old\b", re.I)),
    ("birthday", re.compile(r"\bborn on\b", re.I)),
    ("income", re.compile(r"\b(?:earns|salary|income)\b", re.I)),
    ("budget", re.compile(r"\bbudget\b", re.I)),
)


@dataclass(frozen=True, slots=True)
class CoarserFact:
    """A stated fact as it may leave, and the account of it."""

    fact: Fact
    account: Generalised
    words: frozenset[str]
    """The coarser words and their parts, case-folded: they leave, so they need not be hidden elsewhere."""


def stated_kind(fact: Fact) -> str | None:
    """The kind under which the policy is asked about coarser forms of this fact; None: there are none."""
    return _KINDS.get(_named(fact))


def coarser_fact(
    fact: Fact, values: Iterable[str], terms: Callable[[str], Terms], generaliser: Generaliser
) -> CoarserFact | None:
    """The fact at the finest level that is allowed and in which it can be said; None: at none.

    `values`: what of the fact could identify it, longest first. `terms`: the levels at which a kind may leave. Reads
    the gazetteer where places may leave coarser (half a second once: see `Generaliser.get_ready`).
    """
    kind = stated_kind(fact)
    if kind is None or fact.label is not Label.PERSONAL:
        return None
    told = list(values)
    for precision, rule in terms(kind).allowed:
        if precision not in _LEVELS:
            continue
        for value in told:
            for form in _forms(value, kind):
                found = generaliser.coarser(form, kind, precision)
                if found is not None and _says_no_more(found, told, kind):
                    return _made(fact, kind, found, rule)
    return None


def _named(fact: Fact) -> str:
    if fact.kind in _ANY:
        return next((name for name, pattern in _TOLD_BY if pattern.search(fact.text)), "")
    return fact.kind


def _forms(value: str, kind: str) -> Sequence[str]:
    """The value, and a place whose parts stand the other way round: "Lyon, 12 rue Pasteur"."""
    parts = [part.strip() for part in value.split(",")]
    return [value, ", ".join(reversed(parts))] if kind == "PLACE" and len(parts) > 1 else [value]


def _says_no_more(found: Coarser, values: Sequence[str], kind: str) -> bool:
    """No value of the fact stands in the coarser words, unless those are coarse enough themselves."""
    if kind != "PLACE" or found.was == found.now:
        return found.was != "exact" or found.now in _LEVELS
    written = f" {_plain(found.words)} "
    return not any(f" {_plain(value)} " in written for value in values if _plain(value) not in _parts(found.words))


def _parts(words: str) -> frozenset[str]:
    return frozenset({_plain(words), *(_plain(part) for part in words.split(","))})


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace(",", " ").split())


def _made(fact: Fact, kind: str, found: Coarser, rule: str) -> CoarserFact:
    name, words = _named(fact), found.words
    if kind == "PLACE":
        text = f"The user lives in {words}" if name in _HOMES else f"The user is in {words}"
    elif kind == "AGE":
        text = f"The user is {words.removesuffix('years old').strip()} years old"
    elif kind == "BIRTHDATE":
        text = f"The user was born {words}" if words.startswith("before") else f"The user was born in {words}"
    else:
        text = f"The user's {name}: {words}"
    account = Generalised(kind, found.was, found.now, STATED, rule, 1)
    made = replace(fact, text=text, label=Label.PUBLIC, precision=found.now)
    return CoarserFact(made, account, frozenset({words.casefold(), *_parts(words), *words.casefold().split()}))
