"""The card of an adapter: what it is, what it was made from, how it did. One `card.json` beside the weights."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from netgpt.models.catalog import Catalog
from netgpt.models.download import file_sha256
from netgpt.types import Person


class State(StrEnum):
    """Where an adapter stands. One version of a name is active at most, one is canary at most."""

    CANDIDATE = "candidate"
    CANARY = "canary"
    ACTIVE = "active"
    RETIRED = "retired"
    REJECTED = "rejected"


class Card(BaseModel):
    """What stands in `card.json`. Never any text of the examples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    """"complete", "site", or "user-" and a digest of tenant and user."""
    version: int = Field(ge=1)
    scope: Literal["task", "site", "user"]
    base: str
    """Catalogue name of the base model."""
    base_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the base's original weights file (before `models optimize`)."""
    architecture: Literal["llama", "qwen2", "gpt2"]
    rank: int = Field(ge=1, le=256)
    alpha: float = Field(gt=0)
    targets: tuple[str, ...]
    """Names of the matrices in GGUF's words: attn_q, attn_v, ffn_up, ..."""
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    recipe: dict[str, Any]
    """Everything that `netgpt train` needs to make it again: recipe name, seed, epochs, rank, learning rate, ..."""
    data_digest: str
    examples: int = Field(ge=0)
    origins: dict[str, int] = Field(default_factory=dict)
    """How many examples of which kind of origin: {"recipe:complete": 9000}."""
    people: tuple[str, ...] = ()
    """Digests (`person_digest`) of the people whose examples are in it, so that "forget" finds it."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    """Figures of training and evaluation, by name."""
    licence: str = "the owner's"
    created: datetime
    notes: str = ""

    @property
    def id(self) -> str:
        """`name@version`: what exchanges, headers and cache keys carry."""
        return f"{self.name}@{self.version}"


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


@dataclass(frozen=True)
class EdgeWeights:
    """The weights that this box's adapters are made for: as they came, never a variant of `models optimize`."""

    name: str
    sha256: str
    path: Path


def edge_weights(catalog: Catalog, name_or_path: str) -> EdgeWeights:
    """What `edge.model` names. A bare path is hashed (seconds for large files): ask once, not per request.

    Raises NotFound (no such name or file).
    """
    if "/" in name_or_path or name_or_path.lower().endswith(".gguf"):
        path = catalog.resolve(name_or_path)
        return EdgeWeights(path.stem, file_sha256(path), path)
    entry = catalog.show(name_or_path)
    return EdgeWeights(entry.name, entry.sha256, entry.path)
