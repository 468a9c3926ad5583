"""Who is in an adapter, told by digests; and which people see a canary. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from netgpt.types import Person

__all__ = ["digests_of", "person_digest", "share_point", "user_adapter_name"]

PLAIN: Final = b"netgpt: people in adapters"
"""The key where no secret of the box is at hand: the digest is then stable on every box."""


def person_digest(person: Person, secret: bytes = b"") -> str:
    """64 hex digits for a person (HMAC-SHA-256). With the box's `secret` nobody can find the person by guessing names.

    The parts carry their lengths, so that no two people share a digest: ("a", "bc") is not ("ab", "c").
    """
    key = b"box: " + secret if secret else PLAIN
    return hmac.new(key, _bytes_of(person), hashlib.sha256).hexdigest()


def user_adapter_name(person: Person, secret: bytes = b"") -> str:
    """The name of a person's own adapter: "user-" and 12 hex digits."""
    return f"user-{person_digest(person, secret)[:12]}"


def digests_of(person: Person, secret: bytes = b"") -> frozenset[str]:
    """Every digest that a card may hold for the person: keyed and plain."""
    return frozenset({person_digest(person), person_digest(person, secret)})


def share_point(person: Person, id: str) -> float:
    """Where the person stands in [0, 1) for the canary `id`: stable, and drawn anew for each canary."""
    digest = hashlib.sha256(id.encode() + b"\0" + _bytes_of(person)).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _bytes_of(person: Person) -> bytes:
    parts = [part.encode("utf-8", "surrogatepass") for part in (person.tenant, person.user)]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
