"""Checking a chain of receipts, record by record: every change, gap, swap and cut is found and named.

A chain can be exported as JSON lines and checked without the database: first what this is and how to check it, then the
receipts, last the head, signed (Ed25519, RFC 8032) with a key derived from the chain's own. Without the box's key a
reader checks the SHA-256 chain, every account and content against it, and the signature; with a head and a public key
noted earlier, also that this chain is the one seen before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from netgpt.errors import RequestError
from netgpt.store.chain import ERASED, GENESIS, SENT, ChainLink, Head, ReceiptRecord, commitment_of, tag_of

Ranges = list[tuple[int, int]]
"""First and last sequence numbers, ascending."""


@dataclass(frozen=True, slots=True)
class ChainFault:
    """What is wrong, and from which receipt on. `id` is empty where the receipt itself is missing."""

    seq: int
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The outcome of a check."""

    receipts: int
    erased: int
    """Receipts whose content was deleted, as the chain itself says."""
    head: Head
    keyed: bool
    """Whether the tags were checked too: without the box's key only the SHA-256 part can be."""
    faults: tuple[ChainFault, ...] = field(default=())

    @property
    def whole(self) -> bool:
        return not self.faults


class Checker:
    """`take` the records in their order, then `end`. Memory does not grow with the chain."""

    def __init__(self, key: bytes | None, *, accounts: bool = True, after: Head | None = None) -> None:
        """`key`: of the tags; None checks the SHA-256 part alone. `accounts`: whether the records carry theirs.
        `after`: where a check of a part goes on."""
        self._key, self._accounts = key, accounts
        self._seq, self._hash = (0, GENESIS) if after is None else (after.seq, after.hash)
        self._count = 0
        self._missing, self._present, self._erased = Ranges(), Ranges(), Ranges()
        self._noted: dict[int, bytes] = {}
        self._faults: list[ChainFault] = []

    def note(self, heads: Iterable[Head]) -> None:
        """Heads noted elsewhere, to compare with. Call it before `take`."""
        self._noted.update({head.seq: head.hash for head in heads})

    def told_of_erasures(self, notices: Iterable[Mapping[str, Any] | None]) -> None:
        """What entries beyond the part that is checked say was erased."""
        for notice in notices:
            self._erased += _ranges_in(notice)

    def take(self, record: ReceiptRecord) -> None:
        """The next record."""
        self._count += 1
        link = record.link
        if link.seq > self._seq + 1:
            self._fault(self._seq + 1, "", _missing(self._seq + 1, link.seq - 1))
        elif link.seq <= self._seq:
            self._fault(link.seq, record.id, "is out of order, or there twice")
        self._check_link(record, follows=link.seq == self._seq + 1)
        self._check_account(record)
        noted = self._noted.pop(link.seq, None)
        if noted is not None and noted != record.hash:
            self._fault(link.seq, record.id, "is another one than the head that was noted for it")
        self._seq, self._hash = max(link.seq, self._seq), record.hash

    def _check_link(self, record: ReceiptRecord, *, follows: bool) -> None:
        link = record.link
        if record.hash != link.hash_after(record.previous):
            self._fault(link.seq, record.id, "was changed: its hash is another")
        elif self._key is not None and not hmac.compare_digest(record.tag, tag_of(self._key, record.hash)):
            self._fault(link.seq, record.id, "was not written by this box: its tag is not of the box's key")
        elif follows and record.previous != self._hash:
            self._fault(link.seq, record.id, "does not follow from the receipt before it")
        if link.kind not in (SENT, ERASED):
            self._fault(link.seq, record.id, "the end of the chain had been lost here: the database was changed")

    def _check_account(self, record: ReceiptRecord) -> None:
        link = record.link
        if record.fault is not None:
            self._fault(link.seq, record.id, record.fault)
        elif link.kind != SENT:
            if record.notice is None or commitment_of(record.notice) != link.commitment:
                self._fault(link.seq, record.id, "was changed: what it says of other receipts is not what was written")
            if link.kind == ERASED:  # also when it was changed: that fault is noted already
                self._erased += _ranges_in(record.notice)
        elif record.account is None:
            _extend(self._missing, link.seq)
            if record.user is not None or record.exchange is not None or record.content is not None:
                why = "was changed: it names a person or a content that it does not vouch for"
                self._fault(link.seq, record.id, why)
        else:
            _extend(self._present, link.seq)
            if contradiction := _contradiction(record, record.account):
                self._fault(link.seq, record.id, f"was changed: {contradiction}")

    def end(self, head: Head | None, *, lost: bool = False) -> ChainReport:
        """All faults. `head`: where the chain must end, None when that is not known; `lost`: though it should be."""
        if head is not None:
            self._check_head(head)
        elif lost:
            self._fault(self._seq + 1, "", "the mark of the chain's end was taken away: more may be gone with it")
        for seq in self._noted:
            self._fault(seq, "", "was noted elsewhere, and is missing")
        erased = ranges_of(self._erased)
        if self._accounts:
            for first, last in _without(self._missing, erased):
                for seq in range(first, last + 1):
                    self._fault(seq, "", "its content is gone, and no entry of the chain says that it was erased")
            for first, last in _both(self._present, erased):
                self._fault(first, "", f"{_named(first, last)}: said to be erased, but the content is there")
        faults = tuple(sorted(self._faults, key=lambda fault: fault.seq))
        counted = sum(last - first + 1 for first, last in _both([(1, self._seq)] if self._seq else [], erased))
        return ChainReport(self._count, counted, Head(self._seq, self._hash), self._key is not None, faults)

    def _check_head(self, head: Head) -> None:
        if head.seq > self._seq:
            self._fault(self._seq + 1, "", f"{_missing(self._seq + 1, head.seq)}: the end was cut off")
        elif head.seq < self._seq:
            self._fault(head.seq + 1, "", f"{_named(head.seq + 1, self._seq)}: put in behind the end of the chain")
        elif head.hash != self._hash:
            self._fault(head.seq, "", "is not the receipt that the chain ends with")

    def _fault(self, seq: int, id: str, what: str) -> None:
        self._faults.append(ChainFault(seq, id, what))


def _ranges_in(notice: Mapping[str, Any] | None) -> Ranges:
    """Which receipts an entry says were erased; nothing when it is not written as it should be."""
    try:
        return [(int(first), int(last)) for first, last in (notice or {})["ranges"]]
    except (KeyError, TypeError, ValueError):
        return []


def _contradiction(record: ReceiptRecord, account: Any) -> str | None:
    """Where record, account and content do not say the same."""
    if commitment_of(account) != record.link.commitment:
        return "its account is not the one that was written"
    if account.get("user") != record.user or account.get("exchange") != record.exchange:
        return "it names another person or exchange than its account"
    if record.content is not None:
        sent = record.content.encode("utf-8")
        if len(sent) != record.link.size or hashlib.sha256(sent).hexdigest() != account.get("sha256"):
            return "its bytes are not those that left"
    return None


def _missing(first: int, last: int) -> str:
    return f"{_named(first, last)} {'is' if first == last else 'are'} missing"


def _named(first: int, last: int) -> str:
    return f"receipt {first}" if first == last else f"receipts {first} to {last}"


def _extend(ranges: Ranges, seq: int) -> None:
    if ranges and ranges[-1][1] + 1 == seq:
        ranges[-1] = (ranges[-1][0], seq)
    else:
        ranges.append((seq, seq))


def ranges_of(parts: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted and joined: [(5, 6), (1, 2), (3, 3)] -> [(1, 3), (5, 6)]."""
    joined = Ranges()
    for first, last in sorted(parts):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _both(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> Ranges:
    found, place = Ranges(), 0
    for first, last in sorted(one):
        while place < len(other) and other[place][1] < first:
            place += 1
        look = place
        while look < len(other) and other[look][0] <= last:
            found.append((max(first, other[look][0]), min(last, other[look][1])))
            look += 1
    return found


def _without(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> Ranges:
    left = Ranges()
    for first, last in sorted(one):
        for gone_first, gone_last in other:
            if gone_last < first or gone_first > last:
                continue
            if gone_first > first:
                left.append((first, gone_first - 1))
            first = gone_last + 1
        if first <= last:
            left.append((first, last))
    return left


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
    """What an export holds, and what is wrong with it."""

    checked: ChainReport
    made: str
    public_key: str
    accounts: bool
    """Whether it shows accounts and contents, or links alone."""


def public_key(key: bytes) -> str:
    """The key that checks the head's signature, in hexadecimal. `key`: the chain's."""
    return _signing(key).public_key().public_bytes_raw().hex()


def write_file(
    records: Iterable[ReceiptRecord], key: bytes | None, write: Callable[[str], object], *, accounts: bool
) -> Head:
    """Write the lines. `accounts=False` leaves out for whom and what: the links alone can still be checked."""
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
    """A receipt as a line of an export, in JSON values."""
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
    report = checker.end(head)
    report = replace(report, faults=tuple(sorted([*report.faults, *faults], key=lambda fault: fault.seq)))
    return CheckedFile(report, str(first.get("made")), str(first.get("public_key")), bool(first.get("accounts")))


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
        account = row.get("account") or {}
        link = ChainLink(
            int(row["seq"]), str(row["kind"]), datetime.fromisoformat(row["time"]), row["destination"], row["model"],
            int(row["bytes"]), row["tenant"], bytes.fromhex(row["commitment"]),
        )  # fmt: skip
        return ReceiptRecord(
            str(row["id"]), link, bytes.fromhex(row["previous"]), bytes.fromhex(row["hash"]), bytes.fromhex(row["tag"]),
            row.get("account"), row.get("content"), row.get("notice"), account.get("user"), account.get("exchange"),
            None, row.get("fault"),
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
