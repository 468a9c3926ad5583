"""Sealing at rest: AES-256-GCM, and where its keys come from: a file, the environment or a command.

Nothing here logs, and no message holds what a source of keys gave.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from netgpt.errors import StoreError
from netgpt.files import open_own, why_not

KEY_BYTES: Final = 32
MOST_KEYS: Final = 16
_MOST_BYTES: Final = 65_536
CANNOT: Final = (
    "Without the key these are lost: texts of exchanges, facts of profiles, pseudonym maps, training examples, and "
    "whose each row is. These stay readable: figures of exchanges, API keys, places, adapters. `netgpt store "
    "reset-sealed` starts over with what stays, and moves the old database aside."
)


class KeySource(Protocol):
    """Holds one key; while keys are being changed several, so that a change which was cut goes on.

    `kind` is "file", "environment", "command" or "memory"; `name` is how messages name it.
    """

    kind: str
    name: str

    def read(self) -> tuple[bytes, ...]:
        """The keys, newest first; never none. May block (a command). Raises StoreError with the cure."""
        ...


class GivenKeys:
    """Keys as a value: from the environment, or made for this process alone."""

    def __init__(self, keys: Sequence[bytes], name: str = "the given key", kind: str = "memory") -> None:
        self.kind, self.name = kind, name
        self._keys = _checked(keys, name)

    @classmethod
    def from_text(cls, text: str, name: str) -> GivenKeys:
        """Keys in base64, newest first, with spaces or commas between. Raises StoreError, without the text."""
        return cls(_parsed(text.encode("utf-8", "replace"), name), name, "environment")

    def read(self) -> tuple[bytes, ...]:
        return self._keys


class KeyCommand:
    """A command that prints the keys, such as a password manager's. Run without a shell, with nothing on its stdin."""

    kind = "command"

    def __init__(self, command: Sequence[str], timeout_s: float = 30.0) -> None:
        self.name = f"the command `{command[0]}` (store.key_command)"
        self._command, self._timeout_s = tuple(command), timeout_s

    def read(self) -> tuple[bytes, ...]:
        try:
            done = subprocess.run(  # the owner's own command, as a list
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                timeout=self._timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._failed(f"said nothing within {self._timeout_s:g} s") from None
        except OSError as error:
            raise self._failed(f"cannot be started: {error.strerror}") from None
        if done.returncode != 0:
            raise self._failed(f"ended with {done.returncode}")
        return _parsed(done.stdout, self.name)

    def _failed(self, what: str) -> StoreError:
        return StoreError(f"{self.name} {what}. Run it yourself and see what it says.", code="store_key_missing")


class KeyFile:
    """A file with one key a line. Written in one step each time: a crash never leaves half a file."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)

    def make(self) -> None:
        """Make the file (0600, in a 0700 folder) with a fresh key, unless it is there."""
        try:
            if not self.path.exists():
                self._write((fresh_key(),), replace=False)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot make the sealing key: {error.strerror}.") from None

    def read(self) -> tuple[bytes, ...]:
        try:
            with os.fdopen(open_own(self.path, os.O_RDONLY), "rb") as file:
                text = file.read(_MOST_BYTES)
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: the key of the sealed database is missing. Put the file back from your backup. {CANNOT}",
                code="store_key_missing",
            ) from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot read the sealing key: {why_not(error)}.") from None
        return _parsed(text, self.name)

    def write(self, keys: Sequence[bytes]) -> None:
        """Put `keys` in the place of what is there. Raises StoreError: the file is as it was."""
        try:
            self._write(keys, replace=True)
        except OSError as error:
            message = f"{self.path}: the key file cannot be written: {error.strerror}. Nothing was changed."
            raise StoreError(message) from None

    def _write(self, keys: Sequence[bytes], *, replace: bool) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"".join(encoded_key(key).encode() + b"\n" for key in keys))
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.replace(self.path)
            else:
                with suppress(FileExistsError):  # another process was first: its key is the key
                    self.path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def fresh_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def encoded_key(key: bytes) -> str:
    """Base64, as sources hold it."""
    return base64.b64encode(key).decode()


def _parsed(text: bytes, name: str) -> tuple[bytes, ...]:
    try:
        return _checked([base64.b64decode(word, validate=True) for word in text.replace(b",", b" ").split()], name)
    except binascii.Error:
        return _checked((), name)


def _checked(keys: Sequence[bytes], name: str) -> tuple[bytes, ...]:
    if not 1 <= len(keys) <= MOST_KEYS or any(len(key) != KEY_BYTES for key in keys):
        raise StoreError(
            f"{name}: not a sealing key ({KEY_BYTES} bytes in base64; several, newest first, while keys are changed). "
            "Put the right one back; `netgpt store new-key` makes one for a new box.",
            code="wrong_key",
        )
    return tuple(dict.fromkeys(keys))


_VERSION: Final = b"\x02"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
PREFIX_BYTES: Final = 1 + _ID_BYTES
"""Bytes at the beginning of a value that name its version and key."""
_REREAD_EVERY_S: Final = 2.0
_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: `json.dumps` makes one a call


def place_of(*parts: str) -> bytes:
    """The associated data for a place (table, row id, person): unambiguous whatever the parts hold."""
    return _encode(parts).encode("ascii")


class _Key(NamedTuple):
    """One key, ready for use."""

    id: bytes
    cipher: AESGCM

    @classmethod
    def made(cls, key: bytes) -> Self:
        return cls(hmac.digest(key, b"netgpt key id", hashlib.sha256)[:_ID_BYTES], AESGCM(key))


class Sealer:
    """Seals with the newest key, opens with any it knows. `repr` shows only where the keys came from.

    Each value is bound to its place (table, row, person) by the associated data: moved to another row it does not
    open. Layout: one version byte (2), 4 bytes that name the key, 12 random bytes of nonce, ciphertext with 16-byte tag
    (NIST SP 800-38D). Random nonces are good for 2**32 values a key, far beyond what a box writes.
    """

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
        """The same keys, with another secret for digests: each database has its own."""
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__)
        return clone

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Names of the known keys (8 hex digits), the one that seals first. They reveal nothing about the keys."""
        return tuple(key.id.hex() for key in self._ring)

    @property
    def newest_prefix(self) -> bytes:
        """The beginning of every value that the newest key sealed."""
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

    def seal_json(self, value: Any, *place: str) -> bytes:
        """`value` as JSON, sealed for a place: table, row id, and what else binds it."""
        return self.seal(json.dumps(value).encode("ascii"), place_of(*place))

    def open_json(self, sealed: bytes, *place: str) -> Any:
        """What `seal_json`, or JSON that `seal`, sealed for this place. Raises StoreError as `open` does."""
        return json.loads(self.open(sealed, place_of(*place)))

    def _keys_for(self, head: bytes) -> list[_Key]:
        if head[:1] == _VERSION and head[1:] not in (key.id for key in self._ring) and self._may_reread():
            self.reread()
        return [key for key in self._ring if head == _VERSION + key.id]

    def _may_reread(self) -> bool:
        """A file is read quickly; a command is not started for every damaged row."""
        now = time.monotonic()
        due = self.keys.kind == "file" or now - self._reread_at >= _REREAD_EVERY_S
        self._reread_at = now
        return due

    def digest(self, *parts: str) -> str:
        """HMAC-SHA-256 (hex) to find a row by a name that is itself private; it outlives a change of keys."""
        return hmac.new(self._digest_secret, place_of(*parts), hashlib.sha256).hexdigest()

    def use_digest_secret(self, secret: bytes) -> None:
        """Make digests with this secret from now on: the database's own."""
        self._digest_secret = secret

    def __repr__(self) -> str:
        return f"<Sealer with {self.source}>"

    def __reduce__(self) -> str:
        raise TypeError("a Sealer is not copied or stored")
