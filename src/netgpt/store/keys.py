"""API keys: making one, and the hash that is stored in its place.

The secret is 256 random bits, so a plain SHA-256 is enough: a slow hash (scrypt, Argon2) guards passwords because
people choose guessable ones; nobody guesses 256 bits, however fast the hash, and every request pays for its cost.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

__all__ = ["PREFIX", "NewKey", "hash_key", "new_key"]

PREFIX = "ngpt_"
"""Begins every secret, so that people and secret scanners recognise one."""


class NewKey(NamedTuple):
    """A key at the only moment its secret is known."""

    id: str
    secret: str
    hash: str

    def __repr__(self) -> str:
        return f"<NewKey {self.id}>"


def new_key() -> NewKey:
    """A fresh key: a public id to name it by, the secret to hand out once, the hash to store."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return NewKey(f"key_{secrets.token_hex(6)}", secret, hash_key(secret))


def hash_key(secret: str) -> str:
    """SHA-256 of the secret, 64 hex digits. Any text is accepted: what callers send is checked by looking it up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
