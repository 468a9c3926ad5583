"""Makes chains of receipts in memory, as the store would write them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from netgpt.store.chain import ERASED, GENESIS, SENT, Head, Link, Record, commitment_of, tag_of
from netgpt.store.checking import Checked, Checker

KEY = bytes(range(32))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def chain(count: int, *, erased: dict[int, list[int]] | None = None) -> list[Record]:
    """`count` records; `erased`: number of an entry that tells of an erasure -> the receipts erased by it."""
    gone = {seq: by for by, seqs in (erased or {}).items() for seq in seqs}
    records: list[Record] = []
    for seq in range(1, count + 1):
        previous = records[-1].hash if records else GENESIS
        seqs = (erased or {}).get(seq)
        records.append(entry(seq, previous, seqs) if seqs else sent(seq, previous, gone.get(seq)))
    return records


def sent(seq: int, previous: bytes, erased_by: int | None = None) -> Record:
    content = f'{{"messages":"words {seq}"}}'
    account: dict[str, Any] = {
        "salt": f"{seq:064x}", "sha256": hashlib.sha256(content.encode()).hexdigest(), "user": f"person-{seq % 3}",
        "exchange": f"ex_{seq}", "hidden": [{"kind": "EMAIL", "count": seq}],
    }  # fmt: skip
    time = BEGAN + timedelta(seconds=seq)
    link = Link(seq, SENT, time, "cloud.example", "far", len(content), "local", commitment_of(account))
    hash = link.hash_after(previous)
    if erased_by is not None:
        return Record(f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), erased_by=erased_by)
    return Record(
        f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), account, content, None, f"person-{seq % 3}", f"ex_{seq}"
    )


def entry(seq: int, previous: bytes, seqs: list[int]) -> Record:
    notice = {"ranges": [[one, one] for one in seqs], "reason": "a person was forgotten"}
    link = Link(seq, ERASED, BEGAN + timedelta(seconds=seq), "", "", 0, None, commitment_of(notice))
    hash = link.hash_after(previous)
    return Record(f"rc_{seq}", link, previous, hash, tag_of(KEY, hash), notice=notice)


def checked(records: list[Record], head: Head | None, key: bytes | None = KEY, *noted: Head) -> Checked:
    checker = Checker(key)
    checker.note(noted)
    for record in records:
        checker.take(record)
    return checker.end(head)


def head_of(records: list[Record]) -> Head:
    return Head(records[-1].link.seq, records[-1].hash) if records else Head(0, GENESIS)
