"""What a control of boxes orders: one signed document with a number that only grows, and the files that it names.

The control signs the text of the document (Ed25519, RFC 8032) with a key of its own; a box believes one public key,
which its owner wrote into its settings. Who carries the document, and over which connections, does not matter. A box
takes no number twice and none that is lower, so nobody can bring back rules that were withdrawn.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Final, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netgpt.errors import RequestError

NAME: Final = r"^[a-z0-9][a-z0-9-]{0,63}$"
DIGEST: Final = r"^[0-9a-f]{64}$"
MOST_BYTES: Final = 1_000_000
"""Of one document."""
MOST_PART: Final = 256_000_000
"""Bytes of one file; `adapters.max_bytes` of a box bounds those of adapters further."""
_SIGNED_FOR: Final = b"netgpt fleet orders\0"
"""Stands before the text that is signed: the key's signatures mean nothing elsewhere."""


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilePart(_Exact):
    """A file by its content."""

    sha256: str = Field(pattern=DIGEST)
    size: int = Field(gt=0, le=1 << 31)
    """Bytes."""

    @classmethod
    def of(cls, content: bytes) -> Self:
        """The part that this content is."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


class AdapterOrder(_Exact):
    """An adapter that each box is to have, and where it is to stand there."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}@[1-9][0-9]{0,8}$", description="name@version")
    state: Literal["active", "canary", "candidate", "off"]
    """`off`: no version of its name is active."""
    share: float | None = Field(None, gt=0, le=1)
    """Of the people, for a canary."""
    weights: FilePart
    card: FilePart

    @model_validator(mode="after")
    def _canaries_have_a_share(self) -> Self:
        if (self.state == "canary") is (self.share is None):
            raise ValueError("a canary has a share, and nothing else has")
        return self


class Orders(_Exact):
    """All that the control wants of its boxes: what is left out, stays as it is on the box."""

    version: int = Field(ge=1, le=1 << 53)
    made: datetime
    policy: FilePart | None = None
    """Rules in Cedar, as `policy.set` names a file of them."""
    cases: FilePart | None = None
    """A table on which the rules are tried on each box before they count there."""
    adapters: tuple[AdapterOrder, ...] = ()

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """The files that a box needs to follow, each once."""
        found = [each for each in (self.policy, self.cases) if each is not None]
        found += [part for each in self.adapters if each.state != "off" for part in (each.weights, each.card)]
        return tuple({part.sha256: part for part in found}.values())


class SignedOrders(_Exact):
    """As they travel and are kept: the text that was signed, byte for byte, and the signature."""

    orders: str = Field(max_length=MOST_BYTES)
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")

    @classmethod
    def sign(cls, orders: Orders, key: Ed25519PrivateKey) -> Self:
        """Made by the control."""
        text = json.dumps(orders.model_dump(mode="json", exclude_none=True), sort_keys=True)
        return cls(orders=text, signature=key.sign(_SIGNED_FOR + text.encode()).hex())

    @classmethod
    def read(cls, document: bytes) -> Self:
        """From JSON. Raises RequestError."""
        try:
            return cls.model_validate_json(document)
        except ValidationError as error:
            raise RequestError(f"these are no orders of a fleet: {_first_fault(error)}") from None

    def verified(self, key: str) -> Orders:
        """What is ordered. `key`: the public key in hexadecimal. Raises RequestError: somebody else's, or nonsense."""
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
            public.verify(bytes.fromhex(self.signature), _SIGNED_FOR + self.orders.encode())
        except (InvalidSignature, ValueError):
            raise RequestError(
                "these orders are not signed with the key of this box's fleet (fleet.key)", code="wrong_signature"
            ) from None
        try:
            return Orders.model_validate_json(self.orders)
        except ValidationError as error:
            raise RequestError(f"these orders cannot be followed here: {_first_fault(error)}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the text: which orders these are."""
        return hashlib.sha256(self.orders.encode()).hexdigest()


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public key as settings name it."""
    return key.public_key().public_bytes_raw().hex()


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part)[:40] for part in fault['loc']) or 'the document'}: {fault['msg'][:120]}"
