"""User ids as they stand in the database: tokens that tell nobody who it is, and still find a person's rows.

AES-SIV (RFC 5297) is deterministic: the same id gives the same token, so equality and indexes work. What a stolen file
still tells: how many rows one token has, and ids' length to 16 bytes. A column of type `UserId` translates both ways,
so that no query needs to know. It uses the tokens of the transaction that its thread is in (`tokens_in_use`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.padding import PKCS7
from sqlalchemy import Dialect, Text, TypeDecorator

from netgpt.errors import StoreError

__all__ = ["UserId", "UserTokens", "tokens_in_use", "use_tokens"]

_PREFIX: Final = "~"
_PLACE: Final = [b"netgpt user id"]
_BLOCK_BITS: Final = 128
_REMEMBERED: Final = 20_000


class UserTokens:
    """Turns ids into tokens and back under one secret. Remembers them: each costs some microseconds once."""

    def __init__(self, secret: bytes) -> None:
        self._siv = AESSIV(hmac.digest(secret, b"netgpt user ids", hashlib.sha512))
        self._made: dict[str, str] = {}
        self._opened: dict[str, str] = {}

    def token(self, user: str) -> str:
        known = self._made.get(user)
        if known is None:
            padder = PKCS7(_BLOCK_BITS).padder()
            padded = padder.update(user.encode("utf-8")) + padder.finalize()
            sealed = self._siv.encrypt(padded, _PLACE)
            known = _PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
            self._remember(user, known)
        return known

    def user(self, token: str) -> str:
        """The id. Raises StoreError (`wrong_key`): not a token of this secret, or changed."""
        known = self._opened.get(token)
        if known is None:
            try:
                sealed = base64.b64decode(token[1:] + "=" * (-len(token[1:]) % 4), altchars=b"-_", validate=True)
                padded = self._siv.decrypt(sealed, _PLACE)
                unpadder = PKCS7(_BLOCK_BITS).unpadder()
                known = (unpadder.update(padded) + unpadder.finalize()).decode("utf-8")
            except (InvalidTag, binascii.Error, ValueError):
                raise StoreError(
                    "wrong key: a row does not tell whose it is: it was changed, or written under another key. "
                    "`netgpt store check` names such rows.",
                    code="wrong_key",
                ) from None
            if self.token(known) != token:  # base64 has several spellings of the same bytes
                raise StoreError("a row's person was changed; `netgpt store check` names it.", code="wrong_key")
        return known

    def _remember(self, user: str, token: str) -> None:
        if len(self._made) >= _REMEMBERED:
            self._made, self._opened = {}, {}
        self._made[user] = token
        self._opened[token] = user

    def __repr__(self) -> str:
        return "<UserTokens>"


_thread = threading.local()


def use_tokens(tokens: UserTokens | None) -> None:
    """From now on the transaction of this thread uses these."""
    _thread.tokens = tokens


def tokens_in_use() -> UserTokens:
    """The tokens of this thread's transaction. Raises StoreError: there is none."""
    tokens: UserTokens | None = getattr(_thread, "tokens", None)
    if tokens is None:
        raise StoreError("people's rows are read and written within the store's transactions only")
    return tokens


class UserId(TypeDecorator[str]):
    """A column that holds tokens and gives ids. Sorting by it sorts tokens: sort in Python where order matters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else tokens_in_use().token(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        return None if value is None else tokens_in_use().user(str(value))
