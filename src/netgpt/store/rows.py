"""The rows as the rest of the house sees them. What is private, or proves who one is, is hidden from `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from netgpt.types import Person, Role

__all__ = [
    "ConsentRow",
    "ExchangeRow",
    "KeptExample",
    "KeyLimits",
    "KeyRow",
    "KeyUse",
    "NewExample",
    "PlaceRow",
    "values_of",
]


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """One finished exchange. Times are timezone-aware; `timings` in milliseconds; `cost` in the owner's money."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    """The key that called; None on loopback without keys."""
    received: datetime
    status: str
    model: str
    route: str
    reason: str = field(repr=False)
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    """Whether the tokens are our estimate because the model did not say."""
    cost: float
    timings: dict[str, float]
    private: dict[str, Any] | None = field(default=None, repr=False)
    """The texts (JSON values only), sealed at rest; None when only figures are kept."""
    rating: int | None = None
    """What the person thought of the answer: 1 good, 0 no opinion, -1 bad; None: nothing said."""
    adapters: tuple[str, ...] = field(default=(), repr=False)
    """Ids of the adapters that had a part in the answer."""
    arm: str = ""
    """The model that answered, by its name among those that might: "edge", "cloud" or an upstream's."""
    finished_by: str | None = None
    """The arm that finished what this one had begun and broke off."""
    partial: bool = False
    """It failed after a part of the answer was given."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)

    def as_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """The exchange as JSON values, as everything tells it that shows one. `texts=False`: the figures alone, for
        operators and lists; and where no texts are kept."""
        figures = {
            "id": self.id,
            "object": "netgpt.exchange",
            "received": self.received.isoformat(),
            "status": self.status,
            "model": self.model,
            "route": self.route,
            "arm": self.arm or self.route,
            "finished_by": self.finished_by,
            "partial": self.partial,
            "reason": self.reason,
            "adapters": list(self.adapters),
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
                "total_tokens": self.prompt_tokens + self.completion_tokens,
                "estimated": self.estimated,
            },
            "cost": self.cost,
            "rating": self.rating,
            "timings_ms": self.timings,
        }
        return figures | (self.private or {}) if texts else figures


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How much a key may use; None: as much as it likes. Money in the owner's unit; days and months are UTC's."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    cost_per_day: float | None = None
    cost_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a key has used: on `day` (ISO date, UTC), and in that day's month."""

    day: str = ""
    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    cost_month: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key without its secret: only the hash is ever stored."""

    id: str
    hash: str = field(repr=False)
    tenant: str
    role: Role
    user: str | None = field(repr=False)
    """The only person this key may speak for; None: any person of its tenant."""
    name: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    scopes: tuple[str, ...] | None = None
    """What the key may be used for (chat, models, ...); None: all that its role may."""
    limits: KeyLimits = KeyLimits()
    prefer: str | None = None
    """What counts more where the box decides for this key: a preset of `routing.prefer`; None: as the settings say."""

    def usable(self, now: datetime) -> bool:
        """Whether the key opens the door at `now` (timezone-aware): neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A place of interest. `id` is unique within its `source`; degrees are WGS 84. Public, so not sealed."""

    id: str
    source: str
    name: str
    kind: str
    latitude: float
    longitude: float
    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """What a person said of one use of their words ("training"), and when. Never asked is no consent."""

    tenant: str
    user: str = field(repr=False)
    purpose: str
    given: datetime | None
    withdrawn: datetime | None
    until: datetime | None = None
    """When it ends by itself; None: not before it is withdrawn."""

    @property
    def stands(self) -> bool:
        """Whether the consent was given, has begun, and was neither taken back nor ended."""
        now = datetime.now(UTC)
        begun = self.given is not None and self.given <= now
        return begun and self.withdrawn is None and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class NewExample:
    """A training example to be kept. `digest` tells its content apart; `row` is all of it (JSON values only)."""

    person: Person | None
    digest: str
    row: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptExample:
    """A training example as it is kept, sealed at rest."""

    id: str
    person: Person | None
    """Whose it is; None: nobody's."""
    kept: datetime
    chosen: bool
    """Whether a person asked to keep it; else it was kept because an adapter learnt from it."""
    adapters: tuple[str, ...]
    """The adapters (`name@version`) that learnt from it."""
    row: dict[str, Any] = field(repr=False)


def values_of(row: ExchangeRow | KeyRow | PlaceRow) -> dict[str, Any]:
    """The fields of a row by name. Unlike `dataclasses.asdict`, without a copy of all the texts."""
    return {name: getattr(row, name) for name in _NAMES[type(row)]}


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (ExchangeRow, KeyRow, PlaceRow)}
