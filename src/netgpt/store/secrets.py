"""The three secrets that the database itself holds, sealed: for digests, for people's tokens, for tags of receipts.

The digest secret finds rows by names that are themselves private (`maps.id`, `examples.id`). It never changes, since
nobody could compute those ids again: who has an old key and a copy of the file from its time can still check whether a
guessed conversation has a map, and nothing more. The token secret changes with the key, and every token with it. The
key of the tags outlives every change, as the tags do.
"""

from __future__ import annotations

import base64
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import StoreError
from netgpt.store.encryption import CANNOT, Sealer
from netgpt.store.schema import UserTokens, marks, use_tokens

NAME: Final = "secrets"
_READ: Final = "SELECT value FROM marks WHERE name = 'secrets'"
_BYTES: Final = 32
_CACHED: Final = 4
"""Readers of an older state and writers of a newer one may alternate for a moment."""


class DatabaseSecrets:
    """Reads, makes and changes them. One for each open database.

    Each transaction of each process reads the sealed secrets first (some microseconds). So a change of keys by one
    process counts in all others at their next transaction, and no row is written in the old way after it: `BEGIN
    IMMEDIATE` orders the writes.
    """

    def __init__(self, sealer: Sealer, path: Path) -> None:
        self._sealer, self._path = sealer, path
        self._known: dict[bytes, UserTokens] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        """Let this thread's transaction, just begun, use the secrets of the database. Raises StoreError."""
        try:
            row = connection.execute(_READ).fetchone()
        except sqlite3.OperationalError:  # no such table: a new database
            row = None
        use_tokens(None if row is None else self._known.get(row[0]) or self._open_tokens(row[0]))

    def make(self, connection: Connection, chain: bytes) -> None:
        """Make the secrets of a new database, within a transaction that writes. `chain`: the chain's key."""
        self._write(connection, secrets.token_bytes(_BYTES), secrets.token_bytes(_BYTES), chain)

    def change(self, connection: Connection) -> tuple[UserTokens, UserTokens]:
        """Seal the digest secret with the newest key, and make a new token secret. Returns old and new tokens."""
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
        if sealed is None:
            raise StoreError("the database holds no secrets of its own: it was changed by hand", code="store_damaged")
        old = self._known.get(sealed) or self._open_tokens(sealed)
        digest, _, chain = self._opened(sealed)
        return old, self._write(connection, digest, secrets.token_bytes(_BYTES), chain)

    def _write(self, connection: Connection, digest: bytes, token: bytes, chain: bytes) -> UserTokens:
        values = {"digest": digest, "token": token, "chain": chain}
        texts = {name: base64.b64encode(value).decode() for name, value in values.items()}
        sealed = self._sealer.seal_json(texts, "marks", NAME)
        connection.execute(delete(marks).where(marks.c.name == NAME))
        connection.execute(insert(marks).values(name=NAME, value=sealed))
        tokens = self._open_tokens(sealed)
        use_tokens(tokens)
        return tokens

    def _open_tokens(self, sealed: bytes) -> UserTokens:
        if not self._sealer.is_newest(sealed):
            self._sealer.reread()  # somebody changed the keys: from now on the new one seals here too
        digest, token, _ = self._opened(sealed)
        self._sealer.use_digest_secret(digest)
        tokens = UserTokens(token)
        while len(self._known) >= _CACHED:
            del self._known[next(iter(self._known))]
        self._known[sealed] = tokens
        return tokens

    def _opened(self, sealed: bytes) -> tuple[bytes, bytes, bytes]:
        """Of digests, of tokens, of the chain."""
        try:
            values = self._sealer.open_json(sealed, "marks", NAME)
        except StoreError:
            raise other_key(self._path, self._sealer) from None
        digest, token, chain = (base64.b64decode(values.get(name, "")) for name in ("digest", "token", "chain"))
        return digest, token, chain


def chain_secret(connection: Connection, sealer: Sealer) -> bytes | None:
    """The key of the receipts' tags; None: somebody took it away. Raises StoreError: no key opens it."""
    sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
    return None if sealed is None else base64.b64decode(sealer.open_json(sealed, "marks", NAME)["chain"])


def other_key(path: Path, sealer: Sealer) -> StoreError:
    """The error for a database that these keys do not open."""
    return StoreError(
        f"{path}: the database was sealed with another key than {sealer.source}. Put the right key back; a running "
        f"NetGPT whose key was changed elsewhere must be started again with it. {CANNOT}",
        code="wrong_key",
    )
