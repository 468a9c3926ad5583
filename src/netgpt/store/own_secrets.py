"""The two secrets that the database itself holds, sealed: one for digests, one for people's tokens.

The digest secret finds rows by names that are themselves private (`maps.id`, `examples.id`). It is made once and never
changed, only sealed anew, since nobody could work out those ids again. Who has an old key and a copy of the file from
its time can therefore still tell whether a guessed conversation has a map, and nothing more. The token secret changes
with the key, and every token with it, in one transaction.

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

from sqlalchemy import Connection, delete, insert, select, text

from netgpt.errors import StoreError
from netgpt.store.keysource import CANNOT
from netgpt.store.schema import marks
from netgpt.store.seal import Sealer, place_of
from netgpt.store.users import Tokens, use_tokens

__all__ = ["NAME", "OwnSecrets", "other_key"]

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
        self._known: dict[bytes, Tokens] = {}

    def attend(self, connection: sqlite3.Connection) -> None:
        """Have this thread's transaction, just begun, use what stands in the database. Raises StoreError."""
        try:
            row = connection.execute(_READ).fetchone()
        except sqlite3.OperationalError:  # no such table: a new database, before its first migration
            row = None
        if row is None:
            use_tokens(None)
            return
        tokens = self._known.get(row[0])
        use_tokens(tokens if tokens is not None else self._learn(row[0]))

    def settle(self, connection: Connection) -> None:
        """Make the secrets if there are none. Within a transaction that writes."""
        if connection.scalar(select(marks.c.value).where(marks.c.name == NAME)) is None:
            self._write(connection, _first_digest_secret(connection, self._sealer))

    def change(self, connection: Connection) -> tuple[Tokens, Tokens]:
        """Seal the digest secret with the newest key, and make a new token secret. Returns old and new tokens."""
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == NAME))
        if sealed is None:
            raise StoreError("the database holds no secrets of its own: it was changed by hand", code="store_damaged")
        old = self._known.get(sealed) or self._learn(sealed)
        digest, _ = self._opened(sealed)
        return old, self._write(connection, digest)

    def _write(self, connection: Connection, digest: bytes) -> Tokens:
        token = secrets.token_bytes(_BYTES)
        values = {"digest": _text(digest), "token": _text(token)}
        sealed = self._sealer.seal(json.dumps(values).encode("ascii"), _PLACE)
        connection.execute(delete(marks).where(marks.c.name == NAME))
        connection.execute(insert(marks).values(name=NAME, value=sealed))
        tokens = self._learn(sealed)
        use_tokens(tokens)
        return tokens

    def _learn(self, sealed: bytes) -> Tokens:
        if not self._sealer.is_newest(sealed):
            self._sealer.reread()  # somebody changed the keys: from now on the new one seals here too
        digest, token = self._opened(sealed)
        self._sealer.use_digest_secret(digest)
        tokens = Tokens(token)
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[sealed] = tokens
        return tokens

    def _opened(self, sealed: bytes) -> tuple[bytes, bytes]:
        try:
            values = json.loads(self._sealer.open(sealed, _PLACE))
        except StoreError:
            raise other_key(self._path, self._sealer) from None
        return base64.b64decode(values["digest"]), base64.b64decode(values["token"])


def other_key(path: Path, sealer: Sealer) -> StoreError:
    """The error for a database that these keys do not open."""
    return StoreError(
        f"{path}: the database was sealed with another key than {sealer.source}. Put the right key back; a running "
        f"NetGPT whose key was changed elsewhere must be started again with it. {CANNOT}",
        code="wrong_key",
    )


def _first_digest_secret(connection: Connection, sealer: Sealer) -> bytes:
    """Random; but a database with ids from before keeps the secret that made them, which followed from its key."""
    has_ids = any(
        connection.scalar(text(f"SELECT count(*) FROM sqlite_master WHERE name = '{table}'"))  # noqa: S608 - constants
        and connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 - constants
        for table in ("maps", "examples")
    )
    return sealer.first_digest_secret() if has_ids else secrets.token_bytes(_BYTES)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
