"""The database of a box, as its settings say. Imports the store alone: who reads one row needs nothing else."""

from __future__ import annotations

from netgpt.errors import StoreError
from netgpt.settings import Settings
from netgpt.store.keysource import GivenKeys, KeyCommand, KeyFile, KeySource
from netgpt.store.seal import Sealer
from netgpt.store.store import Store

__all__ = ["key_source", "open_store"]


def open_store(settings: Settings) -> Store:
    """Open the database, making the folder (0700) and the key (0600) on first use. Raises StoreError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{settings.home}: the home folder cannot be made: {error.strerror}. Set NETGPT_HOME to a folder of yours."
        ) from None
    sealer = Sealer(key_source(settings))
    kept = settings.store
    return Store.open(settings.database, sealer, min_free_bytes=kept.min_free_bytes, power_safe=kept.power_safe)


def key_source(settings: Settings) -> KeySource:
    """Where the sealing key comes from: `store.key`, `store.key_command`, or the file, made on first use."""
    kept = settings.store
    if kept.key is not None:
        return GivenKeys.from_text(kept.key.get_secret_value(), "the key in NETGPT_STORE__KEY (store.key)")
    if kept.key_command:
        return KeyCommand(kept.key_command, kept.key_command_timeout_s)
    file = KeyFile(settings.key_file)
    if not settings.database.exists():  # a lost key is told, not replaced: a new one could not open what is there
        file.make()
    return file
