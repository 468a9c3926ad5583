"""The frozen values that travel between parts. No behaviour beyond reading themselves; no import of other parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeGuard

Message = dict[str, Any]
"""One chat message in OpenAI's shape: `{"role": ..., "content": str | list of parts | None, ...}`."""

Chunk = dict[str, Any]
"""One `chat.completion.chunk` in OpenAI's shape; whole answers travel as one chunk with whole deltas."""

EDGE: Final = "edge"
"""The name of the model on the box, among those that may answer."""

CHARACTERS_A_TOKEN: Final = 4
"""The usual rule of thumb, where nobody counted."""


def display_name(target: str) -> str:
    """What a model that may answer is called in a sentence: "the box", "the cloud", or an upstream's name."""
    return "the box" if target == EDGE else "the cloud" if target == "cloud" else target


class Label(StrEnum):
    """How far a piece of information may go. Ordered: public < personal < sensitive."""

    PUBLIC = "public"
    """May leave as it is."""
    PERSONAL = "personal"
    """May leave only as a placeholder."""
    SENSITIVE = "sensitive"
    """Keeps the whole request on the box."""

    @property
    def rank(self) -> int:
        return ("public", "personal", "sensitive").index(self.value)


class Role(StrEnum):
    """What a key may do. `user`: ask, and see its own. `operator`: run the box. `admin`: keys as well."""

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Person:
    """Whose words these are: a person within a tenant. Every private row is keyed by both."""

    tenant: str
    user: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: what the key (or its absence on loopback) proves."""

    tenant: str
    role: Role
    key_id: str | None = None
    bound_user: str | None = None
    """The only person this key may speak for; None: any person of its tenant."""
    groups: frozenset[str] = frozenset()
    """Groups that an identity provider vouched for; keys have none."""
    prefer: str | None = field(default=None, compare=False)
    """The preset that the key was made with: what counts more in decisions; None: what the settings say."""
    budget_left: float | None = field(default=None, compare=False)
    """Money that the key may still spend today and this month; None: as much as it likes."""


@dataclass(frozen=True, slots=True)
class Location:
    """A point on the earth, WGS 84 degrees; `accuracy_m` is the radius of the uncertainty in metres."""

    latitude: float
    longitude: float
    accuracy_m: float = 100.0

    def __repr__(self) -> str:
        return "Location(hidden)"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing the box knows that may help a request. `text` is a full clause: "The user is vegetarian"."""

    text: str = field(repr=False)
    kind: str
    """What it is about: place, time, poi, diet, budget, ... Lower case, one word."""
    label: Label = Label.PERSONAL
    source: str = "given"
    """Where it comes from: site, request, clock, profile, places, given."""
    precision: str = "exact"
    """How exact it is: exact, street, district, city, region, country; time of day: minute, hour, day."""
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether this fact should no longer be used at `now` (timezone-aware)."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of private text found in a text: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """Upper case: EMAIL, PHONE, PERSON, ... The kind names the placeholder: `[EMAIL_1]`."""
    rule: str
    """Which detector found it: pattern:email, names, profile, ..."""
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Hidden:
    """What one hiding did, told without the value: for explanations and receipts."""

    placeholder: str
    kind: str
    rule: str
    count: int
    """How many occurrences were replaced."""
    policy_rule: str = ""
    """`@id` of the policy's rule that let it leave as a placeholder; empty: no policy was asked."""


@dataclass(frozen=True, slots=True)
class Generalised:
    """What left in other words, or as it was (`now` is then "exact"): told without the value."""

    kind: str
    was: str
    """The precision that the person's words had: "exact"; "public" for words that are public anyway."""
    now: str
    """The precision that left: city, region, country, month, year, range, ..."""
    rule: str
    """Which detector found it."""
    policy_rule: str
    """`@id` of the policy's rule that let it leave so."""
    count: int


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a kind may leave: what a policy says, rung by rung."""

    allowed: tuple[tuple[str, str], ...]
    """(precision, `@id` of the rule that allows it), from the finest to the coarsest."""
    refused_by: str
    """The rule that forbids it in every form; of use when `allowed` is empty."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What kept the whole request on the box, told without the value."""

    kind: str
    policy_rule: str
    """`@id` of the rule that forbids it; "no rule allows it" when none does."""
    count: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What one arm (a model that might answer) was expected to give for one request."""

    target: str
    route: str
    """"edge" or "cloud"."""
    p_ok: float
    """The chance that its answer will do, 0 to 1."""
    latency_s: float
    """Seconds to the end of the answer: queue, link, prompt and answer."""
    cost: float
    """Money, in the unit of the configured prices."""
    energy_j: float
    """Joules spent on the box."""
    exposure: float
    """How much would leave: 0 nothing, 1 all of it as it is."""
    value: float
    """The objective: higher is better."""
    ruled_out: str | None = None
    """The constraint that rules it out, in words; None: it was a candidate."""
    prior: float | None = None
    """The chance that its answer does, before anything was learnt: as given to the learner's `belief`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes and why. `fallbacks` may be tried, in order, when the arm fails before its first word."""

    route: str
    """"edge" or "cloud"."""
    reason: str
    """One sentence for people."""
    rule: str
    """Which rule decided, a short stable name."""
    fallbacks: tuple[str, ...] = ()
    """Names of arms."""
    target: str = ""
    """The arm chosen: "edge", "cloud" or an upstream's name; empty: the same as the route."""
    expected: tuple[Expected, ...] = ()
    """What each arm was expected to give; empty where no arms were weighed."""
    weights: str = ""
    """The preset or weights that the objective used."""
    counterfactual: str = ""
    """What would have changed the decision, in words."""
    propensity: float = 1.0
    """The chance with which this arm was drawn: below 1 where the box explores."""
    features: tuple[float, ...] = field(default=(), repr=False)
    """Numbers that the learner looked at; no text can be read from them."""

    @property
    def name(self) -> str:
        """The arm's name."""
        return self.target or self.route


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf something is sent to a remote model: told to the receipt."""

    person: Person | None = None
    """None: nobody's words, the box's own work."""
    exchange: str | None = None
    purpose: str = "answer"
    """"answer", or what the box does for itself, such as "self-instruct"."""
    claim: str | None = field(default=None, repr=False)
    """Of a request that waited: the claim under which it may leave, once; "wt_... .word". It is never retried."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `estimated` when the model did not say (a cut stream)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any] | None) -> Usage | None:
        """Read OpenAI's `usage` object; None when there is none or it is malformed."""
        if not isinstance(usage, Mapping):
            return None
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not _is_count(prompt) or not _is_count(completion):
            return None
        return cls(prompt, completion)

    def as_openai(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }


def _is_count(value: Any) -> TypeGuard[int]:
    """A plausible number of tokens: a server may say anything, and what it says is stored and billed."""
    return type(value) is int and 0 <= value < 2**31


SCOPE_OF: Final = {
    "chat": "chat", "waiting": "chat", "models": "models", "embeddings": "embeddings", "profiles": "profiles",
    "consents": "profiles", "exchanges": "exchanges", "feedback": "exchanges", "receipts": "receipts",
    "adapters": "adapters", "places": "places", "policy": "policy", "signals": "signals",
}  # fmt: skip
"""The first word of a path below /v1 -> the scope that a key with scopes needs for it."""
SCOPES: Final = tuple(dict.fromkeys(SCOPE_OF.values()))
