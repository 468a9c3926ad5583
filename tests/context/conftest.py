from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Path:
    """Where the public data lies when there is any: beside the checkout. Tests skip when it is absent."""
    return Path(__file__).parents[3] / "shared" / "data"
