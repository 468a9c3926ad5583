"""The rows of requests that wait, as the rest of the house sees them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from netgpt.store.seal import Sealer, place_of
from netgpt.types import Person

__all__ = ["QueueLimits", "WaitingRow", "opened", "place"]


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait."""

    requests: int
    """Of one person, those that have ended among them."""
    bytes: int
    """The same, of their content."""
    age: timedelta
    """What could not be sent for so long is given up."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One request that waits, or waited."""

    id: str
    tenant: str
    user: str = field(repr=False)
    key_id: str | None
    created: datetime
    expires: datetime
    """When it is given up; once it has ended: when it is deleted."""
    state: str
    """waiting, sending, sent, answered, failed, unknown (it left, and nobody knows what became of it), expired."""
    tries: int
    exchange: str | None
    """The exchange in which it was sent."""
    private: dict[str, Any] | None = field(default=None, repr=False)
    """`request`, `caller`, and at its end `answer` or `error`; JSON values. None: left closed."""

    @property
    def person(self) -> Person:
        return Person(self.tenant, self.user)


def opened(row: Row[Any], sealer: Sealer | None) -> WaitingRow:
    """`sealer=None` leaves what is sealed closed."""
    private = None
    if sealer is not None:
        private = json.loads(sealer.open(row.private, place(row.id, Person(row.tenant, row.user))))
    return WaitingRow(
        row.id, row.tenant, row.user, row.key_id, row.created, row.expires, row.state, row.tries, row.exchange, private
    )


def place(id: str, person: Person) -> bytes:
    """To which place the sealed value of a row is bound."""
    return place_of("waiting", id, person.tenant, person.user)
