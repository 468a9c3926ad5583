"""How often a model's answers do, by kind of task: right of asked, with an interval, for one set of weights.

A profile belongs to weights by their SHA-256 (to a remote model by its address and name) and is of no use for others.
Figures of the same questions are never added twice: what was asked is kept as rounds of seeds.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netgpt.errors import RequestError
from netgpt.judgement import TASK_KINDS

Z95: Final = 1.959964
"""Of the normal distribution: 95 % lie within."""
OWN_WEIGHT: Final = 8.0
"""So many answers weighs what is known before a kind was measured (the model's mean, or published scores)."""
QUESTIONS: Final = 1
"""The edition of the questions: figures of other questions are another measure."""
ONLY_FORM: Final = frozenset({"creative", "chat"})
"""Kinds of which a rule sees the form alone, not whether an answer is good: their figures bound what may be claimed."""
SUBJECT: Final = re.compile(r"(?:weights|remote):[0-9a-f]{64}")


class Tally(BaseModel):
    """Answers that did, of those asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    right: int = Field(0, ge=0, le=1_000_000)
    asked: int = Field(0, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _no_more_than_asked(self) -> Tally:
        if self.right > self.asked:
            raise ValueError("more right than asked")
        return self

    @property
    def share(self) -> float:
        """Right of asked; 0 where nothing was."""
        return self.right / self.asked if self.asked else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (1927); 0 to 1 where nothing was asked."""
        return wilson(self.right, self.asked)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(right=self.right + other.right, asked=self.asked + other.asked)


def wilson(right: int, asked: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of a share (J. Am. Stat. Assoc. 22, 209)."""
    if not asked:
        return 0.0, 1.0
    share, spread = right / asked, z * z / asked
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / asked + spread / (4 * asked))
    return max(0.0, middle - half), min(1.0, middle + half)


def differ(one: Tally, other: Tally, level: float = 0.05) -> bool:
    """Whether two measured shares are further apart than chance explains: Fisher's exact test, two-sided."""
    right, asked = one.right + other.right, one.asked + other.asked

    def ways(first: int) -> int:
        return math.comb(one.asked, first) * math.comb(other.asked, right - first)

    seen = ways(one.right)
    odd = sum(ways(first) for first in range(right + 1) if ways(first) <= seen)
    return odd < level * math.comb(asked, right)


class Profile(BaseModel):
    """What was measured of one model. Holds no question and no answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    subject: str = Field(pattern=SUBJECT.pattern)
    name: str = Field(max_length=200)
    questions: int = QUESTIONS
    rounds: Mapping[int, int] = Field(default_factory=dict)
    """Seed of questions -> how many rounds of it were asked; a round is one question of each kind."""
    kinds: Mapping[str, Tally] = Field(default_factory=dict)
    families: Mapping[str, Tally] = Field(default_factory=dict)
    """The same by sort of question ("translation/en-de")."""
    seconds: float = Field(0.0, ge=0)
    measured: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def asked(self) -> int:
        """All questions that were asked."""
        return sum(tally.asked for tally in self.kinds.values())

    def added(self, kind: str, family: str, right: bool) -> Profile:
        """With one more answer."""
        one = Tally(right=int(right), asked=1)
        kinds = {**self.kinds, kind: self.kinds.get(kind, Tally()).plus(one)}
        families = {**self.families, family: self.families.get(family, Tally()).plus(one)}
        return self.model_copy(update={"kinds": kinds, "families": families})

    def merged(self, other: Profile) -> Profile:
        """Figures of both. Raises RequestError: of other weights, other questions, or the same questions again."""
        if other.subject != self.subject:
            raise RequestError(f'the profile "{other.name}" is of other weights than "{self.name}"; measure these')
        if other.questions != self.questions:
            raise RequestError("profiles of different editions of the questions cannot be added; measure again")
        if both := self.rounds.keys() & other.rounds.keys():
            raise RequestError(f"both profiles hold answers to the same questions (seed {min(both)}): not added twice")
        return self.model_copy(
            update={
                "rounds": {**self.rounds, **other.rounds},
                "kinds": _sum(self.kinds, other.kinds),
                "families": _sum(self.families, other.families),
                "seconds": self.seconds + other.seconds,
                "measured": max(self.measured, other.measured),
            }
        )

    def chance(self, kind: str, published: Mapping[str, float] | None = None) -> float | None:
        """How likely an answer of this kind does, 0 to 1; None: nothing is known of the model.

        The measured share, drawn towards what the published scores say of the kind, else towards the model's mean over
        all kinds, the more the fewer were asked. Of a kind whose form alone is seen half as much is believed, and never
        more than the form allows.
        """
        known = [tally for name, tally in self.kinds.items() if tally.asked and name not in ONLY_FORM]
        mean = sum(tally.share for tally in known) / len(known) if known else None
        before = (published or {}).get(kind, mean)
        tally = self.kinds.get(kind, Tally())
        if before is None:
            return tally.share if tally.asked and kind not in ONLY_FORM else None
        weight = tally.asked / 2 if kind in ONLY_FORM else float(tally.asked)
        drawn = (tally.share * weight + before * OWN_WEIGHT) / (weight + OWN_WEIGHT)
        return min(drawn, tally.share) if kind in ONLY_FORM and tally.asked else drawn

    def shown(self) -> dict[str, dict[str, object]]:
        """By kind, for people and machines: figures alone."""
        return {
            kind: {
                "right": tally.right, "asked": tally.asked, "share": round(tally.share, 3),
                "interval": [round(end, 3) for end in tally.interval],
                "measured": "form" if kind in ONLY_FORM else "answer",
            }
            for kind in TASK_KINDS if (tally := self.kinds.get(kind, Tally())).asked
        }  # fmt: skip


def _sum(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> dict[str, Tally]:
    return {name: one.get(name, Tally()).plus(other.get(name, Tally())) for name in {**one, **other}}


def of_weights(sha256: str) -> str:
    """The subject of weights on this box."""
    return f"weights:{sha256}"


def of_remote(base_url: str, model: str) -> str:
    """The subject of a model elsewhere; its address cannot be read out of it."""
    address = base_url.rstrip("/")
    return f"remote:{hashlib.sha256(f'{address} {model}'.encode()).hexdigest()}"


class ProfileList(BaseModel):
    """All profiles of a box, by subject: the content of `capability.json`."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    profiles: dict[str, Profile] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _by_their_subjects(self) -> ProfileList:
        if any(profile.subject != subject for subject, profile in self.profiles.items()):
            raise ValueError("a profile stands under the name of other weights")
        return self

    @classmethod
    def parse(cls, data: bytes) -> ProfileList:
        """Raises ValueError: cut, changed beyond reading, or of a newer NetGPT."""
        try:
            return cls.model_validate_json(data)
        except (ValidationError, RecursionError):
            raise ValueError("not a list of profiles as this NetGPT writes them") from None

    def of(self, subject: str) -> Profile | None:
        """The profile of just these weights, of these questions; None: they were not measured."""
        found = self.profiles.get(subject)
        return found if found is not None and found.questions == QUESTIONS else None


def in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds in the order of TASK_KINDS. Raises RequestError that names what there is."""
    wanted = set(kinds)
    if unknown := wanted - TASK_KINDS.keys():
        raise RequestError(f"no such kind of task: {', '.join(sorted(unknown))}; there are: {', '.join(TASK_KINDS)}")
    return [kind for kind in TASK_KINDS if kind in wanted]
