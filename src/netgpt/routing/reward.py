"""What became of an answer, and what that says of the arm that gave it.

Parts come when they come: some at the answer's end, some minutes later (asked again), some the day after (a rating).
What is not known leaves no trace. A rating is a word on the answer itself. All else only hints: it counts by how far it
is from what is usual on this box, so that a box where nobody ever rates does not come to think ill, or well, of every
arm that it uses.

| part | says | counts as |
|---|---|---|
| rating 1, -1 | the answer did, did not | one observation; hints no longer count |
| asked nearly the same again | probably did not | half a bad rating, less what is usual |
| an answer that breaks its schema | did not | 0.8 of a bad rating, less what is usual |
| error, timeout, cut | did not | 0.6 of a bad rating, less what is usual; breakers and signals react faster |
| seconds, money, tokens | nothing of quality | an arm's measured pace: `Learner.measured` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple, Self

__all__ = ["HINTS", "Counted", "DecisionOutcome", "Opinion", "Parts", "opinion_of"]

HINTS: Final[Mapping[str, tuple[float, float]]] = {
    "repeated": (0.5, 0.03),
    "broken": (0.8, 0.05),
    "failed": (0.6, 0.02),
}
"""Part: how much of a bad rating it is worth, and what share of answers is taken for usual before any were seen."""
HINT_WEIGHT: Final = 0.3
"""All hints of one answer together count as this share of an observation."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known so far of how one answer went; None: not known."""

    rating: int | None = None
    """1 good, -1 bad; 0: no opinion, which takes an earlier one back."""
    repeated: bool | None = None
    """Whether the same person asked nearly the same again soon after."""
    broken: bool | None = None
    """Whether an answer by schema broke it; None where no schema was asked."""
    failed: bool | None = None
    """Whether it ended with an error, a timeout or a cut; None where the caller hung up."""
    latency_s: float | None = None
    expected_latency_s: float | None = None
    cost: float | None = None
    listed_cost: float | None = None
    """What the configured prices make of the same tokens."""
    tokens: int | None = None
    """Tokens of the answer."""

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

    target: float | None
    """0 or 1 where somebody said so; None: only hints."""
    hint: float
    """How much better (+) or worse (-) than believed."""
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

    difference: float
    """From the prior."""
    counts: float
    """With which weight for everybody."""
    most: float
    """The greatest weight so far."""
    own: float
    """For the key itself: difference from what everybody's model said."""
    own_counts: float


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """What became of one decision, as far as it is known now. May be told again when more is known."""

    decision: str
    """The exchange's id: only for messages."""
    arm: str
    x: tuple[float, ...]
    key: str
    """Who asked, as given to `draw`."""
    prior: float
    """What was thought of the arm beforehand, as given to `belief`."""
    parts: Parts
    """All parts known so far."""
    before: Counted | None = None
    """What the last telling of the same decision returned; None: it is told for the first time."""
