"""Constraints come before the objective. Each names, in words, the arm that it ruled out and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from netgpt.routing.arms import Arm
from netgpt.routing.situation import Situation
from netgpt.sections.routing import Routing
from netgpt.types import CHARACTERS_A_TOKEN, EDGE, Expected

__all__ = ["Force", "Ruling", "asked_words", "ruling_on"]


class Force(IntEnum):
    """How strongly an arm is ruled out. Where every arm is, those that are least so remain."""

    DOUBTED = 1
    """Another will do better; it is a fallback still."""
    PERSONAL = 2
    """The box may use more of what is known of the person; others are a fallback still."""
    CANNOT = 3
    """It cannot do what is asked: no fallback, unless nobody else is left."""
    NOT_ASKED = 4
    """The caller named another; it is a fallback still."""
    NEVER = 5
    """It may not, or is not there."""

    @property
    def may_fall_back(self) -> bool:
        return self not in (Force.CANNOT, Force.NEVER)


@dataclass(frozen=True, slots=True)
class Ruling:
    """Why an arm is ruled out."""

    rule: str
    """A short stable name."""
    words: str
    force: Force


def asked_words(arm: str) -> str:
    """That the caller named this arm."""
    return f"the caller asked for {'the ' if arm in (EDGE, 'cloud') else ''}{arm}"


def ruling_on(arm: Arm, situation: Situation, rules: Routing, expected: Expected) -> Ruling | None:
    """The strongest of the constraints that rule this arm out; the first of equals. None: it is a candidate."""
    strongest: Ruling | None = None
    for ruling in _remote(arm, situation, rules, expected) if arm.remote else _edge(arm, situation):
        if ruling.force is Force.NEVER:
            return ruling
        if strongest is None or ruling.force > strongest.force:
            strongest = ruling
    if (late := _late(situation, expected)) is not None and strongest is None:
        return late
    return strongest


def _remote(arm: Arm, situation: Situation, rules: Routing, expected: Expected) -> Iterator[Ruling]:
    features = situation.features
    if situation.asked == EDGE:
        yield Ruling("asked", asked_words(EDGE), Force.NEVER)
    if situation.sensitive and situation.asked == "auto":
        kinds = ", ".join(sorted(situation.sensitive))
        yield Ruling("sensitive", f"it holds sensitive content ({kinds}), which stays on the box", Force.NEVER)
    if not arm.ok:
        yield Ruling("cloud-down", arm.detail, Force.NEVER)
    if not arm.may_have:
        yield Ruling("kept", arm.kept_because or "nothing may leave", Force.NEVER)
    if features.media and not arm.reads_media:
        yield Ruling("media", "it holds media, which that model cannot read", Force.NEVER)
    if situation.budget_left is not None and expected.cost > max(0.0, situation.budget_left):
        yield Ruling("budget", "what is left of the key's budget does not pay for it", Force.NEVER)
    if not situation.asks_for(arm):
        yield Ruling("asked", asked_words(situation.asked), Force.NOT_ASKED)
    if features.tools and not arm.tools:
        yield Ruling("tools", "it brings tools, which that model does not take", Force.CANNOT)
    if (longer := _too_long(arm, situation)) is not None:
        yield longer
    if situation.personal_facts and rules.edge_when_personal and not features.tools:
        yield Ruling("personal", "it was completed with personal facts, which stay on the box", Force.PERSONAL)
    if features.structured:
        yield Ruling("schema", "an answer by schema: the edge model writes it under a grammar", Force.DOUBTED)


def _edge(arm: Arm, situation: Situation) -> Iterator[Ruling]:
    features = situation.features
    if features.media and not arm.reads_media:
        yield Ruling("media", "it holds media, which the model on the box cannot read", Force.NEVER)
    if not arm.ok:
        yield Ruling("edge-down", arm.detail, Force.NEVER)
    if not situation.asks_for(arm):
        yield Ruling("asked", asked_words(situation.asked), Force.NOT_ASKED)
    if features.tools and not arm.tools:
        yield Ruling("tools", "it brings tools, which the edge model does not take", Force.CANNOT)
    if situation.asked == "auto" and (longer := _too_long(arm, situation)) is not None:
        yield longer
    if features.media and not arm.surely_reads_media:
        yield Ruling("media", "it holds media, which the edge model may not read", Force.DOUBTED)


def _too_long(arm: Arm, situation: Situation) -> Ruling | None:
    """A quarter of the context is left for the answer."""
    if arm.context_tokens is None or situation.features.characters / CHARACTERS_A_TOKEN <= arm.context_tokens * 0.75:
        return None
    whose = f"{arm.name}'s" if arm.remote else "the edge model's"
    return Ruling("context", f"the conversation is longer than {whose} context", Force.CANNOT)


def _late(situation: Situation, expected: Expected) -> Ruling | None:
    if situation.deadline_s is None or expected.latency_s <= situation.deadline_s:
        return None
    words = f"its answer is expected after {expected.latency_s:.1f} s, the deadline is {situation.deadline_s:g} s"
    return Ruling("deadline", words, Force.DOUBTED)
