"""The outcome of an answer, and what that says of the target that gave it.

Parts of an outcome become known at the answer's end, minutes later (asked again) or days later (a rating). A rating
judges the answer itself. All else only hints: it counts by how far it is from what is usual here, so that without any
ratings no target drifts up or down.

| part | says | counts as |
|---|---|---|
| rating 1, -1 | the answer did, did not | one observation; hints no longer count |
| asked nearly the same again | probably did not | half a bad rating, less what is usual |
| an answer that breaks its schema | did not | 0.8 of a bad rating, less what is usual |
| error, timeout, cut | did not | 0.6 of a bad rating, less what is usual; breakers and signals react faster |
| seconds, money, tokens | nothing of quality | a target's measured figures: `Learner.measured` |
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple, Self

HINTS: Final[Mapping[str, tuple[float, float]]] = {
    "repeated": (0.5, 0.03),
    "broken": (0.8, 0.05),
    "failed": (0.6, 0.02),
}
"""Part: how much of a bad rating it is worth, and what share of answers is taken for usual before any were seen."""
HINT_WEIGHT: Final = 0.3  # all hints of one answer together count as this share of an observation


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known so far of how one answer went; None: not known."""

    rating: int | None = None  # 1 good, -1 bad; 0: no opinion, which takes an earlier one back
    repeated: bool | None = None  # whether the same person asked nearly the same again soon after
    broken: bool | None = None  # whether an answer by schema broke it; None where no schema was asked
    failed: bool | None = None  # whether it ended with an error, a timeout or a cut; None where the caller hung up
    latency_s: float | None = None
    expected_latency_s: float | None = None
    cost: float | None = None
    listed_cost: float | None = None  # what the configured prices make of the same tokens
    tokens: int | None = None  # tokens of the answer

    def with_(self, later: Parts) -> Parts:
        """These parts, and what became known later."""
        return Parts(**(asdict(self) | later.known()))

    def known(self) -> dict[str, Any]:
        """Only what is known, for JSON."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Self:
        """Reads what `known` wrote; names that it does not know are left out."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in known.items() if name in names})


@dataclass(frozen=True, slots=True)
class Opinion:
    """What all known parts say of an answer."""

    target: float | None  # 0 or 1 where somebody said so; None: only hints
    hint: float  # how much better (+) or worse (-) than believed
    weight: float


def opinion_of(parts: Parts, usual: Mapping[str, float]) -> Opinion | None:
    """Weigh the parts against what is usual on this box; None: nothing is known."""
    if parts.rating is not None and parts.rating != 0:
        return Opinion(1.0 if parts.rating > 0 else 0.0, 0.0, 1.0)
    hints = [
        worth * (usual.get(name, common) - float(seen))
        for name, (worth, common) in HINTS.items()
        if (seen := getattr(parts, name)) is not None
    ]
    if not hints:
        return None
    return Opinion(None, max(-1.0, min(1.0, sum(hints))), HINT_WEIGHT)


class Counted(NamedTuple):
    """How a decision's outcome has counted so far, so that it can be corrected when more is known."""

    difference: float  # from the prior
    counts: float  # with which weight for everybody
    most: float  # the greatest weight so far
    own: float  # for the key itself: difference from what everybody's model said
    own_counts: float


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """What became of one decision, as far as it is known now. Repeated when more is known."""

    decision: str  # the exchange's id: only for messages
    target: str
    x: tuple[float, ...]
    key: str  # who asked, as given to `draw`
    prior: float  # what was thought of the target beforehand, as given to `belief`
    parts: Parts  # all parts known so far
    before: Counted | None = None
    """What the last update with this decision returned; None: this is the first."""


WINDOW_S: Final = 300.0
ALIKE: Final = 0.6  # share of common words from which two requests count as nearly the same
LEAST_WORDS: Final = 3  # shorter ones ("yes", "go on") are alike by nature
MACHINE: Final = 4  # as many alike within the window: not a person who tries again
MOST_WORDS: Final = 400
SKETCH: Final = 64
MOST_PEOPLE: Final = 2_000
MOST_EACH: Final = 8

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether an earlier request was asked again."""

    decision: str
    repeated: bool


@dataclass(slots=True)
class _Asked:
    decision: str
    at: float
    sketch: frozenset[int]
    again: int = 0


class Reformulations:
    """Who asks nearly the same again soon after was probably not helped the first time. No text is kept.

    A request is remembered for some minutes, in memory only, as the smallest of its keyed word digests (a bottom-k
    sketch, Broder 1997): nothing can be read from it. Who sends the same many times is a machine, and says nothing.
    """

    def __init__(self) -> None:
        self._secret = secrets.randbits(64)
        self._people: OrderedDict[str, deque[_Asked]] = OrderedDict()

    def asked(self, person: str, decision: str, text: str, now: float) -> list[Settled]:
        """Note a request; return what it says of earlier ones of the same person."""
        sketch = self._sketch(text)
        settled = self._ended(person, now)
        asked = self._people.setdefault(person, deque())
        self._people.move_to_end(person)
        again = 0
        if len(sketch) >= LEAST_WORDS:
            alike = [one for one in asked if _alike(one.sketch, sketch)]
            again = max((one.again + 1 for one in alike), default=0)
            if again < MACHINE:
                settled += [Settled(one.decision, True) for one in alike]
            for one in alike:
                asked.remove(one)
        asked.append(_Asked(decision, now, sketch, again))
        self._bound(asked)
        return settled

    def settled(self, now: float) -> list[Settled]:
        """The requests whose window is over and that were not asked again."""
        return [one for person in list(self._people) for one in self._ended(person, now)]

    def forget(self, person: str) -> None:
        self._people.pop(person, None)

    def _ended(self, person: str, now: float) -> list[Settled]:
        asked = self._people.get(person)
        ended = []
        while asked and now - asked[0].at > WINDOW_S:
            one = asked.popleft()
            if one.again < MACHINE - 1:
                ended.append(Settled(one.decision, False))
        if asked is not None and not asked:
            del self._people[person]
        return ended

    def _bound(self, asked: deque[_Asked]) -> None:
        """Drop the oldest requests of who asks much, and the people who have not asked for longest."""
        while len(asked) > MOST_EACH:
            asked.popleft()
        while len(self._people) > MOST_PEOPLE:
            self._people.popitem(last=False)

    def _sketch(self, text: str) -> frozenset[int]:
        words = set(_WORD.findall(text[: MOST_WORDS * 8].lower())[:MOST_WORDS])
        # The interpreter's hash of a text is keyed itself (SipHash), and mixed once more with this box's secret.
        return frozenset(sorted(hash((self._secret, word)) for word in words)[:SKETCH])


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    """Whether the share of common words reaches `ALIKE`, estimated from the smallest digests of both together."""
    if len(one) < LEAST_WORDS:
        return False
    least = sorted(one | other)[:SKETCH]
    return sum(digest in one and digest in other for digest in least) >= ALIKE * len(least)
