"""The secrets that the database itself holds, sealed: for digests, people's tokens, receipts' tags and the ledger.

The digest secret finds rows by names that are themselves private (`maps.id`, `examples.id`). It never changes, since
nobody could compute those ids again: who has an old key and a copy of the file from its time can still check whether a
guessed conversation has a map, and nothing more. The token secret changes with the key, and every token with it. The
keys of the tags and of the ledger outlive every change, as tags and entries do.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import StoreError
from netgpt.store.encryption import CANNOT, Sealer
from netgpt.store.ledger import Ledger, LedgerCache, MacKey, use_ledger
from netgpt.store.schema import UserTokens, marks, use_tokens

NAME: Final = "secrets"
_BYTES: Final = 32
_CACHED: Final = 4
"""Readers of an older state and writers of a newer one may alternate for a moment."""


class _Secrets(NamedTuple):
    digest: bytes
    token: bytes
    chain: bytes
    ledger: bytes


class DatabaseSecrets:
    """Reads, makes and changes them. One for each open database.

    Each transaction of each process reads the sealed secrets first (some microseconds). So a change of keys by one
    process counts in all others at their next transaction, and no row is written in the old way after it: `BEGIN
    IMMEDIATE` orders the writes.
    """

    def __init__(self, sealer: Sealer) -> None:
        self.name = ""
        """The database's, for messages."""
        self._sealer = sealer
        self._known: dict[bytes, tuple[UserTokens, MacKey]] = {}
        self._local = threading.local()

    def sql(self, as_bytes: Callable[[str], str]) -> str:
        """All that a transaction must know first, in one row."""
        mark = "(SELECT {} FROM marks WHERE name = '{}')"
        found = [mark.format(as_bytes("value"), name) for name in ("secrets", "ledger", "receipts")]
        return (
            f"SELECT {', '.join(found)}, e.seq, {as_bytes('e.id')} "  # noqa: S608
            "FROM (SELECT 1) one LEFT JOIN exchanges e ON e.seq = (SELECT max(seq) FROM exchanges)"
        )

    def take(self, row: Sequence[Any] | None) -> None:
        """Let this thread's transaction, just begun, use secrets and ledger of the database. Raises StoreError."""
        if row is None or row[0] is None:
            use_tokens(None)
            return use_ledger(None)
        sealed, ends, chain_end, seq, last = row
        last = last.decode("utf-8", "replace") if isinstance(last, bytes) else last or ""
        tokens, key = self._known.get(sealed) or self._open_secrets(sealed)
        use_tokens(tokens)
        use_ledger(Ledger(key, ends, chain_end, (seq or 0, last), self._cache()))

    def _cache(self) -> LedgerCache:
        """Of this thread: the writer's lasts."""
        if not hasattr(self._local, "cache"):
            self._local.cache = LedgerCache()
        cache: LedgerCache = self._local.cache
        return cache

    def make(self, connection: Connection, chain: bytes, chain_end: bytes) -> Ledger:
        """Make the secrets of a new database, within a transaction that writes; return its ledger.

        `chain`: the key of the receipts' chain; `chain_end`: the sealed mark of its end.
        """
        made = _Secrets(secrets.token_bytes(_BYTES), secrets.token_bytes(_BYTES), chain, secrets.token_bytes(_BYTES))
        self._write(connection, made)
        ledger = Ledger(MacKey(made.ledger), None, None, (0, ""), self._cache())
        ledger.chain_end = chain_end
        use_ledger(ledger)
        return ledger

    def change(self, connection: Connection) -> tuple[UserTokens, UserTokens]:
        """Seal the secrets with the newest key, and make a new one for tokens. Returns old and new tokens."""
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
        if sealed is None:
            raise StoreError("the database holds no secrets of its own: it was changed by hand", code="store_damaged")
        old, _ = self._known.get(sealed) or self._open_secrets(sealed)
        return old, self._write(connection, self._opened(sealed)._replace(token=secrets.token_bytes(_BYTES)))

    def _write(self, connection: Connection, values: _Secrets) -> UserTokens:
        texts = {name: base64.b64encode(value).decode() for name, value in values._asdict().items()}
        sealed = self._sealer.seal_json(texts, "marks", NAME)
        connection.execute(delete(marks).where(marks.c.name == NAME))
        connection.execute(insert(marks).values(name=NAME, value=sealed))
        tokens, _ = self._open_secrets(sealed)
        use_tokens(tokens)
        return tokens

    def _open_secrets(self, sealed: bytes) -> tuple[UserTokens, MacKey]:
        if not self._sealer.is_newest(sealed):
            self._sealer.reread()  # somebody changed the keys: from now on the new one seals here too
        opened = self._opened(sealed)
        self._sealer.use_digest_secret(opened.digest)
        while len(self._known) >= _CACHED:
            del self._known[next(iter(self._known))]
        known = self._known[sealed] = UserTokens(opened.token), MacKey(opened.ledger)
        return known

    def _opened(self, sealed: bytes) -> _Secrets:
        try:
            values = self._sealer.open_json(sealed, "marks", NAME)
        except StoreError:
            raise other_key(self.name, self._sealer) from None
        return _Secrets(*(base64.b64decode(values.get(name, "")) for name in _Secrets._fields))


def chain_secret(connection: Connection, sealer: Sealer) -> bytes | None:
    """The key of the receipts' tags; None: somebody took it away. Raises StoreError: no key opens it."""
    sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
    return None if sealed is None else base64.b64decode(sealer.open_json(sealed, "marks", NAME)["chain"])


def other_key(name: str, sealer: Sealer) -> StoreError:
    """The error for a database that these keys do not open."""
    return StoreError(
        f"{name}: the database was sealed with another key than {sealer.source}. Put the right key back; a running "
        f"NetGPT whose key was changed elsewhere must be started again with it. {CANNOT}",
        code="wrong_key",
    )
