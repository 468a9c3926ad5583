"""The three secrets that the database itself holds, sealed: for digests, for people's tokens, for tags of receipts.

The digest secret finds rows by names that are themselves private (`maps.id`, `examples.id`). It is made once and never
changed, only sealed anew, since nobody could work out those ids again. Who has an old key and a copy of the file from
its time can therefore still tell whether a guessed conversation has a map, and nothing more. The token secret changes
with the key, and every token with it, in one transaction. The chain's key outlives every change, as the tags do; since
it lies here, a chain of receipts cannot be taken away whole without the loss being seen.

Each transaction of each process reads the sealed secrets first (some microseconds) and uses what stands there. So a
change of keys by one process counts in all others at their next transaction, and no row is ever written in the old way
after it: `BEGIN IMMEDIATE` puts writes in a row.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import StoreError
from netgpt.store.encryption import CANNOT, Sealer, place_of
from netgpt.store.schema import UserTokens, marks, use_tokens

NAME: Final = "secrets"
_PLACE: Final = place_of("marks", NAME)
_READ: Final = "SELECT value FROM marks WHERE name = 'secrets'"
_BYTES: Final = 32
_REMEMBERED: Final = 4
"""Readers of an older state and writers of a newer one may alternate for a moment."""


class OwnSecrets:
    """Reads, makes and changes them. One for each open database."""

    def __init__(self, sealer: Sealer, path: Path) -> None:
        self._sealer, self._path = sealer, path
        self._known: dict[bytes, UserTokens] = {}

    def attend(self, connection: sqlite3.Connection) -> None:
        """Have this thread's transaction, just begun, use what stands in the database. Raises StoreError."""
        try:
            row = connection.execute(_READ).fetchone()
        except sqlite3.OperationalError:  # no such table: a new database
            row = None
        if row is None:
            use_tokens(None)
            return
        tokens = self._known.get(row[0])
        use_tokens(tokens if tokens is not None else self._learn(row[0]))

    def make(self, connection: Connection, chain: bytes) -> None:
        """Make the secrets of a new database, within a transaction that writes. `chain`: the chain's key."""
        self._write(connection, secrets.token_bytes(_BYTES), secrets.token_bytes(_BYTES), chain)

    def change(self, connection: Connection) -> tuple[UserTokens, UserTokens]:
        """Seal the digest secret with the newest key, and make a new token secret. Returns old and new tokens."""
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
        if sealed is None:
            raise StoreError("the database holds no secrets of its own: it was changed by hand", code="store_damaged")
        old = self._known.get(sealed) or self._learn(sealed)
        digest, _, chain = self._opened(sealed)
        return old, self._write(connection, digest, secrets.token_bytes(_BYTES), chain)

    def _write(self, connection: Connection, digest: bytes, token: bytes, chain: bytes) -> UserTokens:
        values = {"digest": _text(digest), "token": _text(token), "chain": _text(chain)}
        sealed = self._sealer.seal(json.dumps(values).encode("ascii"), _PLACE)
        connection.execute(delete(marks).where(marks.c.name == NAME))
        connection.execute(insert(marks).values(name=NAME, value=sealed))
        tokens = self._learn(sealed)
        use_tokens(tokens)
        return tokens

    def _learn(self, sealed: bytes) -> UserTokens:
        if not self._sealer.is_newest(sealed):
            self._sealer.reread()  # somebody changed the keys: from now on the new one seals here too
        digest, token, _ = self._opened(sealed)
        self._sealer.use_digest_secret(digest)
        tokens = UserTokens(token)
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[sealed] = tokens
        return tokens

    def _opened(self, sealed: bytes) -> tuple[bytes, bytes, bytes]:
        """Of digests, of tokens, of the chain."""
        try:
            values = json.loads(self._sealer.open(sealed, _PLACE))
        except StoreError:
            raise other_key(self._path, self._sealer) from None
        digest, token, chain = (base64.b64decode(values.get(name, "")) for name in ("digest", "token", "chain"))
        return digest, token, chain


def chain_secret(connection: Connection, sealer: Sealer) -> bytes | None:
    """The key of the receipts' tags; None: somebody took it away. Raises StoreError: no key opens it."""
    sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
    return None if sealed is None else base64.b64decode(json.loads(sealer.open(sealed, _PLACE))["chain"])


def other_key(path: Path, sealer: Sealer) -> StoreError:
    """The error for a database that these keys do not open."""
    return StoreError(
        f"{path}: the database was sealed with another key than {sealer.source}. Put the right key back; a running "
        f"NetGPT whose key was changed elsewhere must be started again with it. {CANNOT}",
        code="wrong_key",
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
