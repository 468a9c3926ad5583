"""Sealing at rest: AES-256-GCM with keys that lie outside the database.

Each sealed value is bound to its place (table, row, person) by the associated data: a value that is moved to
another row does not open there. Layout: one version byte (2), 4 bytes that name the key, 12 random bytes of nonce,
ciphertext with 16-byte tag (NIST SP 800-38D). Random nonces are good for 2**32 values a key, far beyond what a box
writes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from netgpt.errors import StoreError
from netgpt.store.keysource import GivenKeys, KeyFile, KeySource, fresh_key

__all__ = ["PREFIX_BYTES", "Sealer", "place_of"]

_VERSION: Final = b"\x02"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
PREFIX_BYTES: Final = 1 + _ID_BYTES
"""How many bytes at the beginning of a value tell which key sealed it."""
_REREAD_EVERY_S: Final = 2.0
_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: `json.dumps` makes one a call


def place_of(*parts: str) -> bytes:
    """The associated data for a value that stands at table, row id, person; unambiguous whatever the parts hold."""
    return _encode(parts).encode("ascii")


class _Key(NamedTuple):
    """One key, ready for use."""

    id: bytes
    cipher: AESGCM

    @classmethod
    def made(cls, key: bytes) -> Self:
        return cls(hmac.digest(key, b"netgpt key id", hashlib.sha256)[:_ID_BYTES], AESGCM(key))


class Sealer:
    """Seals with the newest key, opens with any it knows. `repr` shows only where the keys came from."""

    def __init__(self, keys: KeySource | bytes, source: str = "the given key") -> None:
        """`keys`: where they come from, or one key of 32 bytes, which messages then call `source`."""
        self.keys: KeySource = GivenKeys((keys,), source) if isinstance(keys, bytes) else keys
        self.source = self.keys.name
        self._ring = tuple(_Key.made(key) for key in self.keys.read())
        self._reread_at = float("-inf")
        self._digest_secret = fresh_key()

    @classmethod
    def new(cls) -> Self:
        """A sealer with a fresh key that is kept nowhere: for tests and for what need not outlive the process."""
        return cls(fresh_key())

    @classmethod
    def from_file(cls, path: Path, *, create: bool = True) -> Self:
        """The keys in `path`; made on first use (0600, in a 0700 folder) unless `create` is false.

        Raises StoreError when the file is missing and must not be made, unreadable, or not a key.
        """
        file = KeyFile(path)
        if create:
            file.make()
        return cls(file)

    def for_one_database(self) -> Sealer:
        """The same keys, with digests of its own: each database has its secret."""
        one = object.__new__(type(self))
        one.__dict__.update(self.__dict__)
        return one

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The known keys' names (8 hex digits), the one that seals first. They tell nothing about the keys."""
        return tuple(key.id.hex() for key in self._ring)

    @property
    def newest_prefix(self) -> bytes:
        """How every value begins that the newest key sealed."""
        return _VERSION + self._ring[0].id

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest known key sealed this."""
        return sealed.startswith(self.newest_prefix)

    def reread(self) -> None:
        """Take over new keys from the source. Those known before still open: what others read now may need them."""
        keys = tuple(_Key.made(key) for key in self.keys.read())
        ids = {key.id for key in keys}
        self._ring = (*keys, *(key for key in self._ring if key.id not in ids))

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypt `data`, bound to `context`: it opens with the same context only."""
        nonce, key = secrets.token_bytes(_NONCE_BYTES), self._ring[0]
        head = _VERSION + key.id
        return head + nonce + key.cipher.encrypt(nonce, data, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` made. Raises StoreError (code `wrong_key`): other key, other row, or changed bytes."""
        head = sealed[:PREFIX_BYTES]
        nonce = sealed[len(head) : len(head) + _NONCE_BYTES]
        for key in self._keys_for(head) if len(nonce) == _NONCE_BYTES else ():
            with suppress(InvalidTag):
                return key.cipher.decrypt(nonce, sealed[len(head) + _NONCE_BYTES :], head + context)
        raise StoreError(
            f"wrong key: a sealed value does not open with {self.source}. It was sealed with another key, or the "
            "row was changed. `netgpt store check` names such rows. Put the right key back, or restore the database "
            "from a backup.",
            code="wrong_key",
        )

    def _keys_for(self, head: bytes) -> tuple[_Key, ...]:
        if head[:1] != _VERSION:
            return ()
        found = self._named(head[1:])
        if not found and self._may_reread():
            self.reread()
            found = self._named(head[1:])
        return found

    def _named(self, id: bytes) -> tuple[_Key, ...]:
        return tuple(key for key in self._ring if key.id == id)

    def _may_reread(self) -> bool:
        """A file is read quickly; a command is not started for every damaged row."""
        now = time.monotonic()
        due = self.keys.kind == "file" or now - self._reread_at >= _REREAD_EVERY_S
        self._reread_at = now
        return due

    def digest(self, *parts: str) -> str:
        """A keyed fingerprint (HMAC-SHA-256, hex) to find a row by a name that is itself private.

        The same under every key of one database: see `own_secrets.py`.
        """
        return hmac.new(self._digest_secret, place_of(*parts), hashlib.sha256).hexdigest()

    def use_digest_secret(self, secret: bytes) -> None:
        """From now on digests are made with the database's own secret."""
        self._digest_secret = secret

    def __repr__(self) -> str:
        return f"<Sealer with {self.source}>"

    def __reduce__(self) -> str:
        raise TypeError("a Sealer is not copied or stored")
