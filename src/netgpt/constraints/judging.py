"""One option held against constraints: it holds, it violates one, or it is not known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from netgpt.constraints.features import needs
from netgpt.constraints.measures import clock_times, days_named, is_over
from netgpt.constraints.reading import Constraint
from netgpt.constraints.taxonomy import FoodsOfText, Mention, folded, taxonomy, words_of

MOST_READ: Final = 20_000
"""Characters of one option that are read; a longer one is not known."""


_TOO_WIDE: Final = frozenset(("animal", "milk", "egg", "vegetable", "fruit", "pulse", "sugar"))
"""Kinds of food that say nothing of the things in them."""
_STATES: Final = frozenset(("rawfish", "rawegg", "rawmeat", "softcheese", "mercury", "liver", "blood"))
"""Forms of a food that its plain name does not mean."""


class Fit(StrEnum):
    """How an option stands to a constraint."""

    OK = "ok"
    UNKNOWN = "unknown"
    """What it holds is not told, or only perhaps against the constraint."""
    VIOLATES = "violates"


@dataclass(slots=True)
class OptionVerdict:
    """Of one option: the worst fit, and the kinds of constraints that it goes against."""

    fit: Fit = Fit.OK
    strict: bool = False
    """Whether one of the constraints that it does not hold is strict."""
    kinds: set[str] = field(default_factory=set)
    names_something: bool = False
    """Whether it names a food, or anything else that a constraint is about."""
    in_doubt: bool = False
    """Whether what is unknown weighs: something in it may be against a strict constraint, or it is a dish of which
    nothing is known."""

    def note(self, fit: Fit, constraint: Constraint) -> None:
        """One more constraint held against the option."""
        if fit is Fit.OK or (self.fit is Fit.VIOLATES and fit is Fit.UNKNOWN):
            return
        if fit is Fit.VIOLATES and self.fit is not Fit.VIOLATES:
            self.fit, self.strict = fit, False
            self.kinds.clear()
        self.fit = fit
        self.strict |= constraint.strict
        self.kinds.add(constraint.kind)


def judge(option: str, constraints: Sequence[Constraint], languages: Collection[str], *, dishes: bool) -> OptionVerdict:
    """Hold the text of one option (with the words above it that belong to it) against all constraints. `dishes`: the
    options are things to eat or drink, so that one of which no food is known is in doubt."""
    verdict = OptionVerdict()
    small = folded(option[:MOST_READ])
    foods = taxonomy().read(option[:MOST_READ], languages) if any(c.foods or c.words for c in constraints) else None
    words = words_of(option[:MOST_READ])
    for constraint in constraints:
        fit = _fit(constraint, small, words, foods)
        if len(option) > MOST_READ and fit is Fit.OK:
            fit = Fit.UNKNOWN
        if fit is Fit.UNKNOWN and constraint.strict and (constraint.foods or len(option) > MOST_READ):
            verdict.in_doubt |= dishes or bool(foods and foods.mentions)
        verdict.note(fit, constraint)
    verdict.names_something = bool(foods and foods.mentions) or verdict.fit is Fit.VIOLATES
    return verdict


def _fit(constraint: Constraint, small: str, words: list[str], foods: FoodsOfText | None) -> Fit:
    if constraint.kind == "avoid":
        return Fit.VIOLATES if any(_says(words, name) for name in constraint.words) else Fit.OK
    if constraint.foods or constraint.words:
        assert foods is not None
        return _of_foods(constraint, foods, words)
    if constraint.need:
        need = needs()[constraint.need]
        if need.goes_against(small):
            return Fit.VIOLATES
        return Fit.OK if constraint.kind != "access" or need.is_met_by(small) else Fit.UNKNOWN
    if constraint.limit:
        over = is_over(small, constraint.limit, constraint.currency, constraint.per)
        return Fit.UNKNOWN if over is None else Fit.VIOLATES if over else Fit.OK
    return _of_times(constraint, small)


def _of_foods(constraint: Constraint, foods: FoodsOfText, words: list[str]) -> Fit:
    fit = Fit.OK if foods.mentions else Fit.UNKNOWN
    for mention in foods.mentions:
        found = _of_mention(constraint, mention)
        if found is Fit.VIOLATES:
            return found
        fit = found if found is Fit.UNKNOWN else fit
    held: frozenset[str] = frozenset().union(*(mention.holds for mention in foods.mentions))
    if any(one in held and other in held for one, other in constraint.together):
        return Fit.VIOLATES
    if any(_says(words, name) and "=" + " ".join(name) not in foods.absent for name in constraint.words):
        return Fit.VIOLATES
    return fit


def _of_mention(constraint: Constraint, mention: Mention) -> Fit:
    if constraint.allowed & mention.holds:
        return Fit.OK
    if constraint.foods & mention.holds or tuple(mention.name.text.split()) in constraint.words:
        return Fit.VIOLATES
    if constraint.foods & mention.may_hold:
        return Fit.UNKNOWN
    table = taxonomy()
    food = table.foods[mention.name.food]
    if not food.is_kind or not mention.name.own or food.id not in mention.holds:
        return Fit.OK
    inner = food.id not in _TOO_WIDE and any(
        food.id in table.holds(each) for each in constraint.foods - {food.id} - _STATES
    )
    return Fit.UNKNOWN if inner else Fit.OK


def _says(words: list[str], name: tuple[str, ...]) -> bool:
    """Whether these words stand there in a row; in the singular or plural."""
    return any(
        all(_alike(a, b) for a, b in zip(words[at : at + len(name)], name, strict=True))
        for at in range(len(words) - len(name) + 1)
    )


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    return len(one) > 3 and len(other) > 3 and one.rstrip("s") == other.rstrip("s")


def _of_times(constraint: Constraint, small: str) -> Fit:
    days = days_named(small)
    if constraint.days and days and days <= constraint.days:
        return Fit.VIOLATES
    times = clock_times(small)
    if not times or (constraint.earliest is None and constraint.latest is None):
        return Fit.OK
    if constraint.earliest is not None and max(times) <= constraint.earliest and times[0] < constraint.earliest:
        return Fit.VIOLATES
    late = constraint.latest is not None and times[0] >= constraint.latest
    return Fit.VIOLATES if late else Fit.OK
