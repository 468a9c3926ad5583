"""Receipts: one for everything that was about to leave the box, written before its first byte goes, and chained.

`chain.py` is the chain, `audit.py` its check. Content and person of a receipt are sealed beside its link and can be
erased; the link stays, and an entry of the chain records the erasure.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, and_, or_, select, type_coerce, update

from netgpt.errors import StoreError
from netgpt.store.audit import ChainReport, Checker, ranges_of
from netgpt.store.chain import (
    ERASED,
    SENT,
    ChainLink,
    ChainWriter,
    Head,
    ReceiptRecord,
    as_json,
    known_head,
    own_link,
    own_values,
)
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.ledger import NO_RECEIPTS, ledger_in_use
from netgpt.store.schema import exchanges, of_person, receipts, tokens_in_use
from netgpt.store.secrets import chain_secret
from netgpt.store.writer import Operation, Part, Transactions
from netgpt.types import Person

T = TypeVar("T")

_PAGE: Final = 500
_AS_IT_STANDS: Final[Select[Any]] = select(
    *(column for column in receipts.c if column.name != "user"), type_coerce(receipts.c.user, Text).label("token")
)
"""Whole rows for a check: a person's token that somebody changed is a fault of that row, not of the query."""
FORGOTTEN: Final = "the person was forgotten"


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """What is about to leave. `account` holds JSON values only, and no text of the person."""

    destination: str
    model: str
    content: bytes = field(repr=False)
    person: Person | None
    exchange: str | None
    account: dict[str, Any] = field(default_factory=dict)
    keep_text: bool = True
    """False: only the digest of the content is kept."""


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt with what became of its exchange, for people."""

    record: ReceiptRecord
    outcome: str | None
    """The exchange's status; None: it has none, or it was deleted."""
    erased: datetime | None = None
    reason: str | None = None
    """Why the content was erased."""

    @property
    def tenant(self) -> str | None:
        return self.record.link.tenant

    @property
    def user(self) -> str | None:
        return self.record.user


class Receipts(Part):
    """`store.receipts`: what left the box."""

    def __init__(self, transactions: Transactions, sealer: Sealer) -> None:
        super().__init__(transactions, sealer)
        self._chain = ChainWriter(sealer)

    async def add(self, new: NewReceipt, first: Operation[None] | None = None) -> None:
        """Returns once the receipt is committed: only then may the first byte leave.

        `first` runs before it in the same transaction; when it raises, there is no receipt.
        """

        def added(connection: Connection) -> None:
            if first is not None:
                first(connection)
            self._add(connection, new)

        await self._submit(added, enters_itself=first is None)

    def _add(self, connection: Connection, new: NewReceipt) -> None:
        """In the writer's thread: the chain's order is the order of the writes."""
        user, tenant = (new.person.user, new.person.tenant) if new.person else (None, None)
        added = {"salt": secrets.token_hex(32), "sha256": hashlib.sha256(new.content).hexdigest()}
        account = as_json(new.account | added | {"user": user, "exchange": new.exchange})
        commitment, id = hashlib.sha256(account).digest(), f"rc_{secrets.token_hex(10)}"
        kept = account + b"\n" + new.content if new.keep_text else account

        def link(seq: int) -> ChainLink:
            now, size = datetime.now(UTC), len(new.content)
            return ChainLink(seq, SENT, now, new.destination, new.model, size, tenant, commitment)

        sealed = self._sealer.seal(kept, place_of("receipts", id))
        values = {"id": id, "user": user, "exchange": new.exchange, "private": sealed, "notice": None}
        self._chain.add(connection, link, values)

    async def page(
        self, person: Person | None, limit: int = 50, before: str | None = None, *, tenant: str | None = None
    ) -> list[ReceiptRow]:
        """Newest first, without contents and accounts. `person=None`: everyone's; `tenant`: only this tenant's.

        `before`: the id of the last one of the page before.
        """
        where = [receipts.c.kind == SENT] if person is not None or tenant is not None else []
        if person is not None:
            where += [of_person(receipts, person)]
        if tenant is not None:
            where.append(receipts.c.tenant == tenant)
        if before is not None:
            last = select(receipts.c.seq).where(receipts.c.id == before, *where)  # another's id is as good as none
            where.append(receipts.c.seq < last.scalar_subquery())
        query = _shown(*where).order_by(receipts.c.seq.desc()).limit(limit)
        return await self._read(lambda connection: [_row(row, None) for row in connection.execute(query)])

    async def find(self, which: str) -> ReceiptRow | None:
        """The receipt with this id, of this exchange, or with this number; whoever it belongs to."""
        number = receipts.c.seq == int(which) if which.isdecimal() and len(which) < 18 else receipts.c.id == which
        query = _shown(or_(number, receipts.c.exchange == which)).order_by(receipts.c.seq).limit(1)

        def one(connection: Connection) -> ReceiptRow | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _row(row, self._sealer)

        return await self._read(one)

    async def of_person(self, person: Person) -> list[ReceiptRow]:
        """All of a person, oldest first, with contents."""
        query = _shown(of_person(receipts, person)).order_by(receipts.c.seq)
        return await self._read(lambda connection: [_row(row, self._sealer) for row in connection.execute(query)])

    async def head(self) -> Head | None:
        """Where the chain ends; None: nothing ever left. Note it elsewhere, and `verify` can be held against it."""
        head = await self._read(partial(known_head, sealer=self._sealer))
        return head if head is not None and head.seq else None

    async def verify(self, noted: Sequence[Head] = ()) -> ChainReport:
        """Check the whole chain, while others go on writing to it."""

        def check(connection: Connection) -> ChainReport:
            # The first read fixes what this transaction sees, head and rows alike.
            head, key = known_head(connection, self._sealer), chain_secret(connection, self._sealer)
            checker = Checker(key or b"")
            checker.note([*noted, *_in_ledger()])
            for record in self.records(connection):
                checker.take(record)
            return checker.end(head, lost=head is None)

        return await self._read(check)

    async def verify_part(self, after: Head | None, most: int) -> tuple[ChainReport, bool]:
        """Check the entries behind `after` (None: from the first one), at most `most` of them: the report, whose head
        the next part goes on from, and whether that was the end. A change, gap or swap between two parts is found."""

        def check(connection: Connection) -> tuple[ChainReport, bool]:
            head, key = known_head(connection, self._sealer), chain_secret(connection, self._sealer)
            checker, since = Checker(key or b"", after=after), after.seq if after else 0
            query = _AS_IT_STANDS.where(receipts.c.seq > since).order_by(receipts.c.seq).limit(most)
            records = [_record(row, self._sealer) for row in connection.execute(query)]
            last = records[-1].link.seq if records else since
            erasures = select(receipts.c.notice).where(receipts.c.kind == ERASED, receipts.c.seq > last)
            checker.told_of_erasures(connection.scalars(erasures))
            is_end = len(records) < most
            if is_end:
                checker.note(each for each in _in_ledger() if each.seq > since)
            for record in records:
                checker.take(record)
            return checker.end(head if is_end else None, lost=is_end and head is None), is_end

        return await self._read(check)

    async def with_records(self, work: Callable[[Iterator[ReceiptRecord], bytes | None], T]) -> T:
        """Hand all records, in order and as of one moment, and the chain's key to `work`, in a thread of its own."""

        return await self._read(
            lambda connection: work(self.records(connection), chain_secret(connection, self._sealer))
        )

    def records(self, connection: Connection) -> Iterator[ReceiptRecord]:
        """All of them by number, with contents; memory does not grow with their number."""
        last = 0
        while rows := connection.execute(
            _AS_IT_STANDS.where(receipts.c.seq > last).order_by(receipts.c.seq).limit(_PAGE)
        ).all():
            for row in rows:
                yield _record(row, self._sealer)
            last = rows[-1].seq

    def forget(self, connection: Connection, person: Person) -> int:
        """Within a write: erase contents and person from all receipts of a person. Returns how many there were."""
        return self._erase(connection, of_person(receipts, person), FORGOTTEN)

    def expire(self, connection: Connection, sent_before: datetime, days: float) -> int:
        """Within a write: erase what is older than it may be kept. The chain stays."""
        reason = f"kept for {days:g} days (store.keep_receipts_days)"
        return self._erase(connection, receipts.c.time < sent_before, reason)

    def _erase(self, connection: Connection, which: ColumnElement[bool], reason: str) -> int:
        where = and_(which, receipts.c.kind == SENT, receipts.c.erased_by.is_(None))
        seqs = list(connection.scalars(select(receipts.c.seq).where(where).order_by(receipts.c.seq)))
        if not seqs:
            return 0
        notice = {"ranges": [list(pair) for pair in ranges_of((seq, seq) for seq in seqs)], "reason": reason}
        number = self._chain.add(connection, partial(own_link, ERASED, notice), own_values(notice))
        gone = {"private": None, "user": None, "exchange": None, "erased_by": number}
        connection.execute(update(receipts).where(where).values(gone))
        return len(seqs)


def _in_ledger() -> list[Head]:
    """The last receipt that the ledger tells of."""
    ledger = ledger_in_use()
    head = NO_RECEIPTS if ledger is None or ledger.ends is None else ledger.ends.head
    return [] if head == NO_RECEIPTS else [Head(int.from_bytes(head[:8], "big"), head[8:])]


def _shown(*where: ColumnElement[bool]) -> Select[Any]:
    eraser = receipts.alias("eraser")
    return (
        select(receipts, exchanges.c.status, eraser.c.time.label("erased"), eraser.c.notice.label("why"))
        .select_from(
            receipts.outerjoin(exchanges, exchanges.c.id == receipts.c.exchange).outerjoin(
                eraser, eraser.c.seq == receipts.c.erased_by
            )
        )
        .where(*where)
    )


def _row(row: Row[Any], sealer: Sealer | None) -> ReceiptRow:
    return ReceiptRow(_record(row, sealer), row.status, row.erased, (row.why or {}).get("reason"))


def _record(row: Row[Any], sealer: Sealer | None) -> ReceiptRecord:
    """`sealer=None` leaves the sealed part closed."""
    account = content = user = fault = None
    try:
        if row.private is not None and sealer is not None:
            line, _, text = sealer.open(row.private, place_of("receipts", row.id)).partition(b"\n")
            account, content = json.loads(line), text.decode("utf-8") or None
        user = row.user if hasattr(row, "user") else row.token and tokens_in_use().user(row.token)
    except StoreError:
        fault = "was changed: its sealed part does not open"
    link = ChainLink(row.seq, row.kind, row.time, row.destination, row.model, row.size, row.tenant, row.commitment)
    return ReceiptRecord(
        row.id, link, row.previous, row.hash, row.tag, account, content, row.notice, user, row.exchange,
        row.erased_by, fault,
    )  # fmt: skip
