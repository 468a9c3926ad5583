"""The chain of receipts for somebody outside: a file of JSON lines, and its check without the database.

First line: what this is, and how to check it. Then one line a receipt. Last line: the head, signed (Ed25519, RFC 8032)
with a key that follows from the chain's own. Without the box's key a reader checks the SHA-256 chain, every account and
every content against it, and the signature; with a head and a public key that he noted earlier, also that this chain
is the one he saw before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from netgpt.errors import RequestError
from netgpt.store.chain import GENESIS, ChainLink, Head, ReceiptRecord
from netgpt.store.checking import ChainFault, ChainReport, Checker

__all__ = ["CheckedFile", "as_line", "check_file", "public_key", "write_file"]

_FORMAT: Final = "netgpt receipts"
_HOW: Final = (
    "Each line but the first and the last is a receipt. hash = SHA-256 of the JSON list "
    '["netgpt receipt 1", previous, seq, kind, time in microseconds since 1970 UTC, destination, model, bytes, tenant, '
    "commitment] (ASCII, no spaces, digests in hexadecimal); previous is the hash of the line before, 64 zeros for the "
    "first. commitment = SHA-256 of account, or of notice, as JSON with sorted keys (ASCII, no spaces); account.sha256 "
    "is the SHA-256 of content in UTF-8, the exact bytes that left. A receipt without account was erased: an entry of "
    "kind erased names it. The last line is the head and its Ed25519 signature by public_key. Tags need the box's key."
)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What a file holds, and what is wrong with it."""

    checked: ChainReport
    made: str
    public_key: str
    accounts: bool
    """Whether it shows accounts and contents, or links alone."""


def public_key(key: bytes) -> str:
    """What the head's signature is checked with, in hexadecimal. `key`: the chain's."""
    return _signing(key).public_key().public_bytes_raw().hex()


def write_file(
    records: Iterable[ReceiptRecord], key: bytes | None, write: Callable[[str], object], *, accounts: bool
) -> Head:
    """Write the lines. `accounts=False` leaves out for whom and what: links alone, which still can be checked."""
    key = key or b""
    head = Head(0, GENESIS)
    first = {
        "format": _FORMAT, "version": 1, "made": datetime.now(UTC).isoformat(), "accounts": accounts,
        "public_key": public_key(key), "how_to_check": _HOW,
    }  # fmt: skip
    write(json.dumps(first) + "\n")
    for record in records:
        write(json.dumps(as_line(record, accounts=accounts)) + "\n")
        head = Head(record.link.seq, record.hash)
    signature = _signing(key).sign(_signed(head)).hex()
    write(json.dumps({"head": str(head), "signature": signature}) + "\n")
    return head


def as_line(record: ReceiptRecord, *, accounts: bool = True) -> dict[str, Any]:
    """A receipt as JSON values, in the words of the file."""
    link = record.link
    line: dict[str, Any] = {
        "seq": link.seq, "id": record.id, "kind": link.kind, "time": link.time.isoformat(),
        "destination": link.destination, "model": link.model, "bytes": link.size, "tenant": link.tenant,
        "commitment": link.commitment.hex(), "previous": record.previous.hex(), "hash": record.hash.hex(),
        "tag": record.tag.hex(),
    }  # fmt: skip
    if record.notice is not None:
        line["notice"] = dict(record.notice)
    if accounts and record.account is not None:
        line |= {"account": dict(record.account), "content": record.content}
    if record.fault is not None:
        line["fault"] = record.fault
    return line


def check_file(lines: Iterable[str], key: bytes | None, *, noted: Head | None, trusted: str | None) -> CheckedFile:
    """Check an exported chain. `key`: the chain's own, None without the database. `noted`: a head written down before.

    `trusted`: the public key that must have signed it, None: whatever the file names. Raises RequestError: the file is
    no export of receipts.
    """
    rows = _parsed(lines)
    first = next(rows, {})
    if first.get("format") != _FORMAT or first.get("version") != 1:
        raise RequestError("not an export of receipts: `netgpt receipts export FILE` makes one")
    checker = Checker(key, accounts=bool(first.get("accounts")))
    checker.note([noted] if noted else [])
    head, faults = None, list[ChainFault]()
    for row in rows:
        if "head" in row:
            head = _head_of(row, first, trusted, faults)
            break
        checker.take(_record(row))
    if head is None:
        faults.append(ChainFault(0, "", "the file ends without its head: the end was cut off"))
    elif next(rows, None) is not None:
        faults.append(ChainFault(head.seq, "", "the file goes on behind its head"))
    checked = checker.end(head)
    faults = sorted([*checked.faults, *faults], key=lambda fault: fault.seq)
    whole = ChainReport(checked.receipts, checked.erased, checked.head, checked.keyed, tuple(faults))
    return CheckedFile(whole, str(first.get("made")), str(first.get("public_key")), bool(first.get("accounts")))


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise RequestError(f"line {number} is no JSON object: this is no export of receipts, or a damaged one")
        yield row


def _record(row: dict[str, Any]) -> ReceiptRecord:
    try:
        account = row.get("account")
        link = ChainLink(
            int(row["seq"]), str(row["kind"]), datetime.fromisoformat(row["time"]), row["destination"], row["model"],
            int(row["bytes"]), row["tenant"], bytes.fromhex(row["commitment"]),
        )  # fmt: skip
        return ReceiptRecord(
            str(row["id"]), link, bytes.fromhex(row["previous"]), bytes.fromhex(row["hash"]), bytes.fromhex(row["tag"]),
            account, row.get("content"), row.get("notice"), (account or {}).get("user"),
            (account or {}).get("exchange"), None, row.get("fault"),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError(f"receipt {row.get('seq')!s:.20} is not written as an export writes it") from None


def _head_of(row: dict[str, Any], first: dict[str, Any], trusted: str | None, faults: list[ChainFault]) -> Head:
    """The head, with faults noted when its signature is not that of the key."""
    try:
        head = Head.read(str(row["head"]))
        named = str(first["public_key"])
        if trusted is not None and not hmac.compare_digest(named.lower(), trusted.strip().lower()):
            faults.append(ChainFault(head.seq, "", "the file is signed by another key than the one given"))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(named)).verify(bytes.fromhex(row["signature"]), _signed(head))
    except InvalidSignature:
        faults.append(ChainFault(head.seq, "", "the signature of the head is false"))
    except (KeyError, ValueError, TypeError):
        raise RequestError("the head of the export is damaged") from None
    return head


def _signed(head: Head) -> bytes:
    return b"netgpt receipts head " + str(head).encode("ascii")


def _signing(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(key, b"netgpt receipts signing key", hashlib.sha256))
