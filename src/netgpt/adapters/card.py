"""The card of an adapter: what it is, what it was made from, how it did. One `card.json` beside the weights."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Card", "State"]


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
    """Figures of training and of the gate, by name."""
    licence: str = "the owner's"
    created: datetime
    notes: str = ""

    @property
    def id(self) -> str:
        """`name@version`: what exchanges, headers and cache keys carry."""
        return f"{self.name}@{self.version}"
