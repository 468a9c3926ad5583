"""Where the sealing keys come from: a file (0600), the environment, or a command. Newest key first.

A source holds one key; while keys are being changed it holds several, so that a change which was cut goes on.
Nothing here logs, and no message holds what a source gave.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from netgpt.errors import StoreError

__all__ = ["CANNOT", "KEY_BYTES", "GivenKeys", "KeyCommand", "KeyFile", "KeySource", "encoded_key", "fresh_key"]

KEY_BYTES: Final = 32
MOST_KEYS: Final = 16
CANNOT: Final = (
    "Without the key these are lost: texts of exchanges, facts of profiles, pseudonym maps, training examples, and "
    "whose each row is. These stay readable: figures of exchanges, API keys, places, adapters. `netgpt store "
    "reset-sealed` starts over with what stays, and moves the old database aside."
)


class KeySource(Protocol):
    """`kind` is "file", "environment", "command" or "memory"; `name` is how messages name it."""

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
        return cls(_decoded(text.encode("utf-8", "replace"), name), name, "environment")

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
            done = subprocess.run(  # the owner's own words, as a list
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                timeout=self._timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._failed(f"said nothing within {self._timeout_s:g} s") from None
        except OSError as error:
            raise self._failed(f"cannot be started: {error.strerror}") from None
        if done.returncode != 0:
            raise self._failed(f"ended with {done.returncode}")
        return _checked(_decoded(done.stdout, self.name), self.name)

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
            with suppress(PermissionError):  # a mounted secret may be read-only; reading it is what counts
                self.path.chmod(0o600)
            text = self.path.read_bytes()
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: the key of the sealed database is missing. Put the file back from your backup. {CANNOT}",
                code="store_key_missing",
            ) from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot read the sealing key: {error.strerror}.") from None
        return _checked(_decoded(text, self.name), self.name)

    def write(self, keys: Sequence[bytes]) -> None:
        """Put `keys` in the place of what is there. Raises StoreError: the file is as it was."""
        try:
            self._write(keys, replace=True)
        except OSError as error:
            raise StoreError(
                f"{self.path}: the key file cannot be written: {error.strerror}. Nothing was changed."
            ) from None

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


def _decoded(text: bytes, name: str) -> list[bytes]:
    try:
        return [base64.b64decode(word, validate=True) for word in text.replace(b",", b" ").split()]
    except binascii.Error:
        raise _not_a_key(name) from None


def _checked(keys: Sequence[bytes], name: str) -> tuple[bytes, ...]:
    if not 1 <= len(keys) <= MOST_KEYS or any(len(key) != KEY_BYTES for key in keys):
        raise _not_a_key(name)
    return tuple(dict.fromkeys(keys))


def _not_a_key(name: str) -> StoreError:
    return StoreError(
        f"{name}: not a sealing key ({KEY_BYTES} bytes in base64; several, newest first, while keys are changed). "
        "Put the right one back; `netgpt store new-key` makes one for a new box.",
        code="wrong_key",
    )
