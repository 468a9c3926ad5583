"""Checking a chain of receipts, record by record: every change, gap, swap and cut is found and named."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netgpt.store.chain import ERASED, GENESIS, SENT, Head, ReceiptRecord, commitment_of, tag_of

__all__ = ["ChainFault", "ChainReport", "Checker", "ranges_of"]

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
    """Takes the records in their order, then tells what is wrong. Memory does not grow with the chain."""

    def __init__(self, key: bytes | None, *, accounts: bool = True) -> None:
        """`key`: of the tags; None checks the SHA-256 part alone. `accounts`: whether the records carry theirs."""
        self._key, self._accounts = key, accounts
        self._seq, self._hash = 0, GENESIS
        self._count = 0
        self._missing, self._present, self._erased = Ranges(), Ranges(), Ranges()
        self._noted: dict[int, bytes] = {}
        self._faults: list[ChainFault] = []

    def note(self, heads: Iterable[Head]) -> None:
        """Heads that were written down elsewhere, to be compared when they come by. Call it before `take`."""
        self._noted.update({head.seq: head.hash for head in heads})

    def take(self, record: ReceiptRecord) -> None:
        """The next record."""
        self._count += 1
        link = record.link
        if link.seq > self._seq + 1:
            self._blame(self._seq + 1, "", _missing(self._seq + 1, link.seq - 1))
        elif link.seq <= self._seq:
            self._blame(link.seq, record.id, "stands out of order, or twice")
        self._check_link(record, follows=link.seq == self._seq + 1)
        self._check_account(record)
        noted = self._noted.pop(link.seq, None)
        if noted is not None and noted != record.hash:
            self._blame(link.seq, record.id, "is another one than the head that was noted for it")
        self._seq, self._hash = max(link.seq, self._seq), record.hash

    def _check_link(self, record: ReceiptRecord, *, follows: bool) -> None:
        link = record.link
        if record.hash != link.hash_after(record.previous):
            self._blame(link.seq, record.id, "was changed: its hash is another")
        elif self._key is not None and not hmac.compare_digest(record.tag, tag_of(self._key, record.hash)):
            self._blame(link.seq, record.id, "was not written by this box: its tag is not of the box's key")
        elif follows and record.previous != self._hash:
            self._blame(link.seq, record.id, "does not follow from the receipt before it")
        if link.kind not in (SENT, ERASED):
            self._blame(link.seq, record.id, "the end of the chain had been lost here: the database was changed")

    def _check_account(self, record: ReceiptRecord) -> None:
        link = record.link
        if record.fault is not None:
            self._blame(link.seq, record.id, record.fault)
        elif link.kind != SENT:
            if record.notice is None or commitment_of(record.notice) != link.commitment:
                self._blame(link.seq, record.id, "was changed: what it says of other receipts is not what was written")
            if link.kind == ERASED:  # also when it was changed: that is told already, once
                self._erased += _ranges_in(record.notice)
        elif record.account is None:
            _extend(self._missing, link.seq)
            if record.user is not None or record.exchange is not None or record.content is not None:
                why = "was changed: it names a person or a content that it does not vouch for"
                self._blame(link.seq, record.id, why)
        else:
            _extend(self._present, link.seq)
            if contradiction := _contradiction(record, record.account):
                self._blame(link.seq, record.id, f"was changed: {contradiction}")

    def end(self, head: Head | None, *, lost: bool = False) -> ChainReport:
        """All faults. `head`: where the chain must end, None when that is not known; `lost`: though it should be."""
        if head is not None:
            self._check_head(head)
        elif lost:
            self._blame(self._seq + 1, "", "the mark of the chain's end was taken away: more may be gone with it")
        for seq in self._noted:
            self._blame(seq, "", "was noted elsewhere, and is missing")
        erased = ranges_of(self._erased)
        if self._accounts:
            for first, last in _without(self._missing, erased):
                for seq in range(first, last + 1):
                    self._blame(seq, "", "its content is gone, and no entry of the chain says that it was erased")
            for first, last in _both(self._present, erased):
                self._blame(first, "", f"{_named(first, last)}: said to be erased, but the content is there")
        faults = tuple(sorted(self._faults, key=lambda fault: fault.seq))
        counted = sum(last - first + 1 for first, last in _both([(1, self._seq)] if self._seq else [], erased))
        return ChainReport(self._count, counted, Head(self._seq, self._hash), self._key is not None, faults)

    def _check_head(self, head: Head) -> None:
        if head.seq > self._seq:
            self._blame(self._seq + 1, "", f"{_missing(self._seq + 1, head.seq)}: the end was cut off")
        elif head.seq < self._seq:
            self._blame(head.seq + 1, "", f"{_named(head.seq + 1, self._seq)}: put in behind the end of the chain")
        elif head.hash != self._hash:
            self._blame(head.seq, "", "is not the receipt that the chain ends with")

    def _blame(self, seq: int, id: str, what: str) -> None:
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
