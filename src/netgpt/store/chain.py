"""The hash chain of receipts: pure arithmetic, without a database.

Each receipt's hash covers the hash before it, so that none can be changed, dropped, swapped or put in unnoticed. The
hash is plain SHA-256: anybody can check a whole chain against a head that was noted elsewhere. Each hash also has a
tag, HMAC-SHA-256 (RFC 2104) with the box's own key: who can write the database but lacks the key can rebuild the
hashes, not the tags.

What was sent, and for whom, is not in the chain itself: only a commitment to it, salted, so that it can be erased and
nobody can confirm a guess afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = [
    "BREAK",
    "ERASED",
    "GENESIS",
    "SENT",
    "ChainLink",
    "Head",
    "ReceiptRecord",
    "as_json",
    "commitment_of",
    "tag_of",
]

GENESIS: Final = bytes(32)
"""Stands before the first receipt."""
SENT: Final = "sent"
"""Something was about to leave."""
ERASED: Final = "erased"
"""The contents of earlier receipts were deleted: which ones, and why."""
BREAK: Final = "break"
"""The end of the chain was lost here (somebody changed the database), and it goes on from what was there."""

_FORMAT: Final = "netgpt receipt 1"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode  # made once: `json.dumps` makes one a call


@dataclass(frozen=True, slots=True)
class ChainLink:
    """What the chain itself says of a receipt: no text, and no person."""

    seq: int
    """1, 2, 3, ... without a gap."""
    kind: str
    """SENT, ERASED or BREAK."""
    time: datetime
    destination: str
    """The host that it went to; empty for entries about the chain itself."""
    model: str
    size: int
    """Bytes that left."""
    tenant: str | None
    commitment: bytes
    """`commitment_of` the account, or of the notice."""

    def hash_after(self, previous: bytes) -> bytes:
        """SHA-256 of this link and the hash before it. The input is a JSON list in ASCII without spaces."""
        micros = (self.time - _EPOCH) // timedelta(microseconds=1)
        parts = [
            _FORMAT, previous.hex(), self.seq, self.kind, micros, self.destination, self.model, self.size, self.tenant,
            self.commitment.hex(),
        ]  # fmt: skip
        return hashlib.sha256(_encode(parts).encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends. Written as `12:3f5a...` (sequence number and hash)."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def read(cls, text: str) -> Head:
        """Raises ValueError: not a head."""
        seq, _, digest = text.strip().partition(":")
        head = cls(int(seq), bytes.fromhex(digest))
        if head.seq < 0 or len(head.hash) != len(GENESIS):
            raise ValueError("not a head")
        return head


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """A receipt as it is kept: its link, the proof, and, until it is erased, what the link commits to."""

    id: str
    link: ChainLink
    previous: bytes
    hash: bytes
    tag: bytes
    account: Mapping[str, Any] | None = field(default=None, repr=False)
    """Who, for which exchange, the SHA-256 of the bytes, what was hidden. None: erased, or not shown."""
    content: str | None = field(default=None, repr=False)
    """The exact bytes (UTF-8); None where the owner keeps no text, or when erased."""
    notice: Mapping[str, Any] | None = None
    """Of an ERASED entry: `{"ranges": [[first, last], ...], "reason": ...}`; of a BREAK: `{"reason": ...}`."""
    user: str | None = field(default=None, repr=False)
    exchange: str | None = None
    erased_by: int | None = None
    """The sequence number of the entry that tells of the erasure."""
    fault: str | None = None
    """What was found wrong when it was read: its sealed part does not open."""


def as_json(account: Mapping[str, Any]) -> bytes:
    """What is committed to: JSON with keys sorted, no spaces, ASCII escapes."""
    return _encode(account).encode("ascii")


def commitment_of(account: Mapping[str, Any]) -> bytes:
    """SHA-256 of the account as JSON. The account holds a salt of its own."""
    return hashlib.sha256(as_json(account)).digest()


def tag_of(key: bytes, hash: bytes) -> bytes:
    """What only the holder of the box's key can make for a hash."""
    return hmac.digest(key, hash, hashlib.sha256)
