"""The ledger: what proves that the rows of the database are those that the box wrote, all of them, and the newest.

Each row of a guarded table has an entry: table, id, and a MAC (HMAC-SHA-256, RFC 2104, cut to 16 bytes) of all its
columns. So a row that was changed, put in, deleted or swapped is named. Who deletes a row with its entry, or puts both
back from an older copy, cannot make the ends right: how many entries each table has and the sum of their MACs, with a
MAC of its own. All tables share one value, so none of them can be put back alone.

Temporary triggers of the writer's connection see whatever writes a guarded row (`entries.py`): no part of the program
can forget the ledger. An update of a row that somebody else had changed does not make it right.

Every answer waits for two writes, so these cost no statement and no page more. A new exchange holds its MAC itself, and
names the exchange before it; a key's use holds its MAC and the number of the last exchange that it counts. Either gets
an entry when it is changed later, or when its day is over. The ends follow within a second: so much of the newest can
be cut off unseen.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table

from netgpt.store.engine import driver_of
from netgpt.store.schema import (
    consents,
    decisions,
    examples,
    exchanges,
    facts,
    key_use,
    keys,
    lessons,
    marks,
    places,
    profiles,
    waiting,
)

MARK: Final = "ledger"
GUARDED: Final[tuple[Table, ...]] = (
    exchanges, keys, key_use, profiles, facts, places, consents, examples, lessons, waiting, decisions, marks,
)  # fmt: skip
"""Receipts have their chain; maps and facts' vectors hold nothing but what is sealed in its place."""
NAMES: Final = tuple(table.name for table in GUARDED)
PLACES: Final = {name: at for at, name in enumerate(NAMES)}

_MAC_BYTES: Final = 16
SUM: Final = 1 << (8 * _MAC_BYTES)
_VERSION: Final = b"\x01"
_PUT_BACK: Final = b"put back from an older copy"
"""Written in the place of older ends that were put under a running box: from then on nothing vouches for anything."""
_HEAD_BYTES: Final = 40
NO_RECEIPTS: Final = bytes(_HEAD_BYTES)
_WRITE: Final = [
    f"INSERT INTO marks (name, value) VALUES {values} ON CONFLICT (name) DO UPDATE SET value = excluded.value"  # noqa: S608
    for values in ("", "(?, ?)", "(?, ?), (?, ?)")
]
_COUNTS: Final = f">{len(NAMES) + 2}Q"


class Ends(NamedTuple):
    """Where everything stands after a write."""

    changes: int
    """How many writes there were: it never falls, so an older copy of the database tells itself by it."""
    rows: tuple[int, ...]
    sums: tuple[int, ...]
    """Entries of each table, and the sum of their MACs."""
    head: bytes = NO_RECEIPTS
    """Number (8 bytes) and hash of the last receipt, or of one a second older."""
    seq: int = 0
    """The highest number that an exchange ever had, or that of a second before."""
    last: str = ""
    """The last exchange up to this number that is there."""

    def packed(self) -> bytes:
        counts = struct.pack(_COUNTS, self.changes, self.seq, *self.rows)
        sums = b"".join([each.to_bytes(_MAC_BYTES, "big") for each in self.sums])
        return _VERSION + counts + sums + self.head + self.last.encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Ends:
        changes, seq, *rows = struct.unpack_from(_COUNTS, data, 1)
        start = 1 + struct.calcsize(_COUNTS)
        end = start + _MAC_BYTES * len(NAMES)
        sums = [int.from_bytes(data[at : at + _MAC_BYTES], "big") for at in range(start, end, _MAC_BYTES)]
        head, last = data[end : end + _HEAD_BYTES], data[end + _HEAD_BYTES :].decode()
        return cls(changes, tuple(rows), tuple(sums), head, seq, last)


NOTHING: Final = Ends(0, (0,) * len(NAMES), (0,) * len(NAMES))


class Use(NamedTuple):
    """What a key has used on a day."""

    requests: int
    tokens: int
    cost: float
    genuine: bool = True
    """False: somebody changed the row; what is added to it does not make it right."""
    entered: bool = False
    """Its day is over: it has an entry, which must follow."""


class MacKey:
    """HMAC-SHA-256 under one key, cut to 16 bytes. What depends on the key alone is made once: 2 µs a row, not 5."""

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def __call__(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()[:_MAC_BYTES]

    def __repr__(self) -> str:
        return "<MacKey>"


class LedgerCache:
    """What outlives a transaction, for one thread and one open database: the last ends, and keys' use as last written.

    It holds while nobody else writes: each transaction compares.
    """

    def __init__(self) -> None:
        self.sealed, self.ends = b"", NOTHING
        self.committed = 0
        """Changes in the newest ends that a transaction of this thread began with."""
        self.used: dict[tuple[str, str], Use] = {}
        self.used_at = 0
        """The number of the last exchange when they were written."""
        self.head: tuple[bytes, bytes] = (b"", NO_RECEIPTS)
        """The mark of the receipts' end as this thread wrote it last, and the receipt it tells of."""


class Ledger:
    """The ledger within one transaction."""

    def __init__(
        self, mac: MacKey, sealed: object, chain_end: object, last: tuple[int, str], cache: LedgerCache
    ) -> None:
        """`sealed`, `chain_end`: the marks of the ends and of the receipts; `last`: the last exchange that is there."""
        self._mac, self._cache, self.last = mac, cache, last
        self.sealed = sealed if isinstance(sealed, bytes) else None
        self.chain_end = self._chain_end = chain_end if isinstance(chain_end, bytes) else None
        self.used = cache.used
        """What keys have used, by key and day."""
        if cache.used_at != last[0] or cache.sealed != self.sealed:
            self.used.clear()
        self.ends = self._open()
        """None: the mark was taken away or changed, and nothing vouches for anything."""
        self._begun = self.ends

    def _open(self) -> Ends | None:
        sealed, cache = self.sealed, self._cache
        if sealed is not None and sealed == cache.sealed:
            cache.committed = cache.ends.changes
            return cache.ends
        data, mac = (sealed or b"")[:-_MAC_BYTES], (sealed or b"")[-_MAC_BYTES:]
        if data[:1] != _VERSION or not hmac.compare_digest(mac, self._mac(b"ends" + data)):
            return None
        ends = Ends.unpacked(data)
        if ends.changes < cache.committed:
            self.sealed = _PUT_BACK
            return None
        cache.sealed, cache.ends, cache.committed = data + mac, ends, ends.changes
        return ends

    def mac(self, table: str, id: str, values: Sequence[Any]) -> bytes:
        """Of a row: its values as they are bound, fractions as `whole`, of a sealed value its `tail`."""
        return self._mac(f"{table} {(id, *values)!a}".encode("ascii"))

    def count(self, table: str, rows: int, change: int) -> None:
        """Note that a table has so many entries more, and that the sum of their MACs changes by so much."""
        if self.ends is not None:
            at = PLACES[table]
            counts, sums = list(self.ends.rows), list(self.ends.sums)
            counts[at], sums[at] = max(0, counts[at] + rows), (sums[at] + change) % SUM
            self._change(rows=tuple(counts), sums=tuple(sums))

    def _change(self, **values: Any) -> None:
        if self.ends is not None:
            self.ends = self.ends._replace(changes=self.ends.changes + 1, **values)

    def note_receipt(self, seq: int, hash: bytes, sealed: bytes) -> None:
        """The chain of receipts ends here now; `sealed`: its own mark."""
        self.chain_end = sealed
        self._cache.head = sealed, seq.to_bytes(8, "big") + hash

    def next_exchange(self, id: str) -> tuple[int, str]:
        """The number of a new exchange, and the id of the one before it, also of one that somebody cut off."""
        seq, before = self._newest()
        self.last = seq + 1, id
        return self.last[0], before

    def _newest(self) -> tuple[int, str]:
        ends = self.ends
        return self.last if ends is None or self.last[0] > ends.seq else (ends.seq, ends.last)

    def drop_exchanges(self, left_before: Callable[[str], str]) -> None:
        """Exchanges were deleted. `left_before`: an id itself, or, when it is gone, the one that is left before it."""
        seq, last = self._newest()
        self.last = seq, left_before(last)
        self._change(seq=seq, last=self.last[1])

    def finish(self, connection: Connection, *, follow: bool) -> bool:
        """Write what changed, in one statement, before the COMMIT. Returns whether the ends are behind.

        `follow`: let them hold the newest exchange and receipt, even when no entry changed.
        """
        mark, head = self._cache.head
        behind = False
        if self.ends is not None:
            head = head if mark == self.chain_end else self.ends.head
            behind = head != self.ends.head or self.last[0] > self.ends.seq
            if behind and (follow or self.ends is not self._begun):
                seq, last = self._newest()
                self._change(seq=seq, last=last, head=head)
                behind = False
        rows: list[tuple[str, bytes | None]] = []
        if self.ends is not None and self.ends is not self._begun:
            data = self.ends.packed()
            self.sealed = self._cache.sealed = data + self._mac(b"ends" + data)
            self._cache.ends = self._begun = self.ends
            rows.append((MARK, self.sealed))
        elif self.sealed == _PUT_BACK:
            rows.append((MARK, self.sealed))
        if self.chain_end is not self._chain_end:
            rows.append(("receipts", self.chain_end))
            self._chain_end = self.chain_end
        if rows:
            driver_of(connection).execute(_WRITE[len(rows)], [part for row in rows for part in row])
        return behind

    def keep_use(self, key: str, day: str, use: Use) -> None:
        """Remember what was written of a key with the last exchange."""
        while len(self.used) >= _MOST_USED:
            del self.used[next(iter(self.used))]
        self.used[key, day] = use

    def booked(self) -> None:
        """What is remembered of keys holds up to the last exchange."""
        self._cache.used_at = self.last[0]

    def snapshot(self) -> tuple[Any, ...]:
        return self.ends, self.chain_end, self.last

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Back to where it stood: what came after was rolled back."""
        self.ends, self.chain_end, self.last = snapshot
        self.used.clear()

    def begin_anew(self, ends: Ends) -> None:
        """Go on from these ends, whatever was there."""
        self.ends, self.last = ends, (ends.seq, ends.last)


_MOST_USED: Final = 10_000
_thread = threading.local()


def use_ledger(ledger: Ledger | None) -> None:
    """Use it in this thread's transaction from now on."""
    _thread.ledger = ledger


def ledger_in_use() -> Ledger | None:
    """Of this thread's transaction; None: the database has no secrets yet."""
    found: Ledger | None = getattr(_thread, "ledger", None)
    return found


_MOST_INTEGER: Final = 2**63 - 1
FRACTIONS: Final = 1e9


def whole(value: float) -> int:
    """A fraction as whole billionths, as SQLite casts it: every version of it spells integers alike."""
    scaled = max(-float(_MOST_INTEGER), value * FRACTIONS)
    return _MOST_INTEGER if scaled >= _MOST_INTEGER else int(scaled)


def tail(private: bytes | memoryview | None) -> bytes | None:
    """The last 16 bytes of a sealed value: they authenticate the rest."""
    return None if private is None else bytes(private[-16:])
