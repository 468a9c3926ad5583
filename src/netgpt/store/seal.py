"""Sealing at rest: AES-256-GCM with a key that lies outside the database.

Each sealed value is bound to its place (table, row, person) by the associated data: a value that is moved to
another row does not open there. Layout: one version byte, 12 random bytes of nonce, ciphertext with 16-byte tag
(NIST SP 800-38D). Random nonces are good for 2**32 values a key, far beyond what a box writes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from netgpt.errors import StoreError

__all__ = ["Sealer", "place_of"]

_VERSION: Final = b"\x01"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: `json.dumps` makes one a call


def place_of(*parts: str) -> bytes:
    """The associated data for a value that stands at table, row id, person; unambiguous whatever the parts hold."""
    return _encode(parts).encode("ascii")


class Sealer:
    """Seals and opens bytes. Holds the key; `repr` shows only where it came from."""

    def __init__(self, key: bytes, source: str = "the given key") -> None:
        """`key`: 32 bytes. `source`: how messages name the key (its file)."""
        if len(key) != _KEY_BYTES:
            raise StoreError(f"{source}: a sealing key has {_KEY_BYTES} bytes, this has {len(key)}.")
        self.source = source
        self._cipher = AESGCM(key)
        self._digest_key = hmac.digest(key, b"netgpt digest", hashlib.sha256)

    @classmethod
    def new(cls) -> Self:
        """A sealer with a fresh key that is kept nowhere: for tests and for what need not outlive the process."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def from_file(cls, path: Path, *, create: bool = True) -> Self:
        """The key in `path`; made on first use (0600, in a 0700 folder) unless `create` is false.

        Raises StoreError when the file is missing and must not be made, unreadable, or not a key.
        """
        try:
            if create and not path.exists():
                _write_new(path)
            with suppress(PermissionError):  # a mounted secret may be read-only; reading it is what counts
                path.chmod(0o600)
            text = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(
                f"{path}: the key of the sealed database is missing. Put the file back from your backup; without "
                "it the kept texts cannot be read. To start empty, move the database aside as well.",
                code="store_key_missing",
            ) from None
        except OSError as error:
            raise StoreError(f"{path}: cannot read or make the sealing key: {error.strerror}.") from None
        return cls(_decode(text, path), str(path))

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypt `data`, bound to `context`: it opens with the same context only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, data, _VERSION + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` made. Raises StoreError (code `wrong_key`): other key, other row, or changed bytes."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] == _VERSION and len(nonce) == _NONCE_BYTES:
            with suppress(InvalidTag):
                return self._cipher.decrypt(nonce, ciphertext, _VERSION + context)
        raise StoreError(
            f"wrong key: a sealed value does not open with {self.source}. It was sealed with another key, or the "
            "row was changed. Put the right key file back, or restore the database from a backup.",
            code="wrong_key",
        )

    def digest(self, *parts: str) -> str:
        """A keyed fingerprint (HMAC-SHA-256, hex) to find a row by a name that is itself private."""
        return hmac.new(self._digest_key, place_of(*parts), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return f"<Sealer with {self.source}>"

    def __reduce__(self) -> str:
        raise TypeError("a Sealer is not copied or stored")


def _decode(text: bytes, path: Path) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise StoreError(f"{path}: not a sealing key ({_KEY_BYTES} bytes in base64). Put the right file back.")
    return key


def _write_new(path: Path) -> None:
    """Write a fresh key under its final name in one step: a crash or a second process never leaves half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its key is the key
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
