from __future__ import annotations

from pathlib import Path

import pytest

from netgpt.context.location import PlaceNames


@pytest.fixture
def shared_data() -> Path:
    """Where the public data lies when there is any: beside the checkout. Tests skip when it is absent."""
    return Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def place_names() -> PlaceNames:
    """The gazetteer, read once."""
    return PlaceNames()
