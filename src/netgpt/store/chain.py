"""The hash chain of receipts, and the one class that appends to it.

Each receipt's hash (SHA-256) covers the hash before it, so that none can be changed, dropped, swapped or put in
unnoticed by anybody who noted a later one. Each hash also has a tag, HMAC-SHA-256 (RFC 2104) with the box's own key:
who can write the database but lacks the key can rebuild the hashes, not the tags. Of what was sent, and for whom, the
chain holds a salted commitment only, so that it can be erased and nobody can confirm a guess afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from netgpt.errors import StoreError
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.engine import FastInsert
from netgpt.store.ledger import Ledger, ledger_in_use
from netgpt.store.schema import marks, receipts
from netgpt.store.secrets import chain_secret

GENESIS: Final = bytes(32)
"""The hash before the first receipt."""
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

    def packed(self) -> bytes:
        return self.seq.to_bytes(8, "big") + self.hash

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
    """The sequence number of the entry that records the erasure."""
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


HEAD: Final = "receipts"
_KEY_BYTES: Final = 32
_INSERT = FastInsert(receipts)


def begin_chain(sealer: Sealer) -> tuple[bytes, bytes]:
    """For a chain without receipts: a new key for its tags, and the sealed mark of its end."""
    return secrets.token_bytes(_KEY_BYTES), _sealed_head(Head(0, GENESIS), sealer)


def known_head(connection: Connection, sealer: Sealer) -> Head | None:
    """Where the chain must end; None: the mark is lost."""
    return _opened_head(sealer, connection.scalar(select(marks.c.value).where(marks.c.name == HEAD)))


def _opened_head(sealer: Sealer, sealed: bytes | None) -> Head | None:
    if sealed is None:
        return None
    try:
        opened = sealer.open(sealed, place_of("marks", HEAD))
    except StoreError:
        return None
    return Head(int.from_bytes(opened[:8], "big"), opened[8:])


def _sealed_head(head: Head, sealer: Sealer) -> bytes:
    return sealer.seal(head.packed(), place_of("marks", HEAD))


def _ledger() -> Ledger:
    """Of this transaction. Raises StoreError: the secrets were taken away under the running box."""
    ledger = ledger_in_use()
    if ledger is None:
        raise StoreError("the database's own secrets are gone: it was changed by hand", code="store_damaged")
    return ledger


class ChainWriter:
    """Appends to the chain, inside the write of whoever keeps or erases a receipt; in the writer's thread alone.

    The end of the chain lies sealed among the marks from the first opening of the database, so that cutting receipts
    off is found, all of them too. Another process may have added meanwhile, and a write may have been rolled back, so
    the transaction's own end is taken each time; it is opened only when it is not the one written here last. The ledger
    holds the same end: one that was put back with its receipts from an older copy is found.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._seen: bytes | None = None
        """The sealed mark that `_head` was read from or written to."""
        self._head = Head(0, GENESIS)
        self._key = b""

    def add(self, connection: Connection, make: Callable[[int], ChainLink], values: Mapping[str, Any]) -> int:
        """Append the link that `make` gives for the next number, with the other columns of its row. Returns the number.

        Raises StoreError: a row has the next number already, so somebody else wrote it.
        """
        self._find_end(connection)
        return self._append(connection, make, values)

    def _append(self, connection: Connection, make: Callable[[int], ChainLink], values: Mapping[str, Any]) -> int:
        previous = self._head
        link = make(previous.seq + 1)
        hash = link.hash_after(previous.hash)
        row = {
            "seq": link.seq, "kind": link.kind, "time": link.time, "destination": link.destination,
            "model": link.model, "size": link.size, "tenant": link.tenant, "commitment": link.commitment,
            "previous": previous.hash, "hash": hash, "tag": tag_of(self._key, hash), "erased_by": None,
            **values,
        }  # fmt: skip
        try:
            _INSERT.run(connection, row)
        except (IntegrityError, connection.dialect.loaded_dbapi.IntegrityError):
            raise StoreError(
                f"receipt {link.seq} is there already, though the chain ends before it: somebody else changed the "
                "database. Nothing was sent. `netgpt receipts verify` shows more.",
                code="receipts_changed",
            ) from None
        self._head = Head(link.seq, hash)
        self._seen = _sealed_head(self._head, self._sealer)
        _ledger().note_receipt(link.seq, hash, self._seen)
        return link.seq

    def _find_end(self, connection: Connection) -> None:
        """Know the present end of the chain, and the key."""
        ledger = _ledger()
        sealed, ends = ledger.chain_end, ledger.ends
        if sealed is not None and sealed == self._seen:
            return
        self._key = chain_secret(connection, self._sealer) or b""  # settled at the opening
        head = _opened_head(self._sealer, sealed)
        if head is None or (ends is not None and ends.head[:8] > head.packed()[:8]):
            self._append_break(connection)
        else:
            self._seen, self._head = sealed, head

    def _append_break(self, connection: Connection) -> None:
        """The end was taken away, and that is recorded for ever."""
        order = select(receipts.c.seq, receipts.c.hash).order_by(receipts.c.seq.desc()).limit(1)
        last = connection.execute(order).one_or_none()
        self._head = Head(0, GENESIS) if last is None else Head(last.seq, last.hash)
        notice = {"reason": "the end of the chain was lost: somebody changed the database"}
        self._append(connection, partial(own_link, BREAK, notice), own_values(notice))


def own_link(kind: str, notice: Mapping[str, Any], seq: int) -> ChainLink:
    """An entry about the chain itself."""
    return ChainLink(seq, kind, datetime.now(UTC), "", "", 0, None, commitment_of(notice))


def own_values(notice: Mapping[str, Any]) -> dict[str, Any]:
    """The other columns of such an entry."""
    return {
        "id": f"rc_{secrets.token_hex(10)}", "user": None, "exchange": None, "private": None, "notice": dict(notice)
    }  # fmt: skip
