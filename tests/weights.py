"""The real bundled weights for tests: fetched once with the real pull code, kept between runs.

Use: `from weights import bundled_weights  # noqa: F401`, and ask for the fixture `bundled_weights`; for the sentence
encoder, `encoder_weights`.
The cache is `$NETGPT_TEST_MODELS`, else `netgpt-test-models` in the system's temporary folder.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from netgpt.models.catalog import ENCODER, Catalog
from netgpt.models.pull import pull

CACHE = Path(os.environ.get("NETGPT_TEST_MODELS") or Path(tempfile.gettempdir()) / "netgpt-test-models")


def fetch_bundled(name: str = "smollm2-135m") -> Path:
    """The path of a bundled file; several test processes may ask at once."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return pull(name, Catalog(CACHE)).path


@pytest.fixture(scope="session")
def bundled_weights() -> Path:
    """The bundled weights as a read-only file. Session scope: fetched before a test's own home is set up."""
    return fetch_bundled()


@pytest.fixture(scope="session")
def encoder_weights() -> Path:
    """The sentence encoder's file, the same way."""
    return fetch_bundled(ENCODER)
