"""Makes chains of receipts in memory, as the store would write them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from netgpt.store.audit import ChainReport, Checker
from netgpt.store.chain import ERASED, GENESIS, SENT, ChainLink, Head, ReceiptRecord, commitment_of, tag_of

KEY = bytes(range(32))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def chain(count: int, *, erased: dict[int, list[int]] | None = None) -> list[ReceiptRecord]:
    """`count` records; `erased`: number of an entry that tells of an erasure -> the receipts erased by it."""
    gone = {seq: by for by, seqs in (erased or {}).items() for seq in seqs}
    records: list[ReceiptRecord] = []
    for seq in range(1, count + 1):
        previous = records[-1].hash if records else GENESIS
        seqs = (erased or {}).get(seq)
        records.append(entry(seq, previous, seqs) if seqs else sent(seq, previous, gone.get(seq)))
    return records


def sent(seq: int, previous: bytes, erased_by: int | None = None) -> ReceiptRecord:
    content = f'{{"messages":"words {seq}"}}'
    account: dict[str, Any] = {
        "salt": f"{seq:064x}", "sha256": hashlib.sha256(content.encode()).hexdigest(), "user": f"person-{seq % 3}",
        "exchange": f"ex_{seq}", "hidden": [{"kind": "EMAIL", "count": seq}],
    }  # fmt: skip
    time = BEGAN + timedelta(seconds=seq)
    link = ChainLink(seq, SENT, time, "cloud.example", "far", len(content), "local", commitment_of(account))
    hash = link.hash_after(previous)
    if erased_by is not None:
        return ReceiptRecord(f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), erased_by=erased_by)
    return ReceiptRecord(
        f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), account, content, None, f"person-{seq % 3}", f"ex_{seq}"
    )


def entry(seq: int, previous: bytes, seqs: list[int]) -> ReceiptRecord:
    notice = {"ranges": [[one, one] for one in seqs], "reason": "a person was forgotten"}
    link = ChainLink(seq, ERASED, BEGAN + timedelta(seconds=seq), "", "", 0, None, commitment_of(notice))
    hash = link.hash_after(previous)
    return ReceiptRecord(f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), notice=notice)


def checked(records: list[ReceiptRecord], head: Head | None, key: bytes | None = KEY, *noted: Head) -> ChainReport:
    checker = Checker(key)
    checker.note(noted)
    for record in records:
        checker.take(record)
    return checker.end(head)


def head_of(records: list[ReceiptRecord]) -> Head:
    return Head(records[-1].link.seq, records[-1].hash) if records else Head(0, GENESIS)
