"""One browser and one box for the tests of a file: the box's cloud says what it was asked, or what a test wants."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from browser import Guarded, Opened, Said, chromium, opened
from playwright.sync_api import Browser
from serving import Served

from netgpt.testing.server import FaultyCloud


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def said() -> Said:
    """What the cloud of `box` answers."""
    return Said()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, said: Said) -> Iterator[Served]:
    """A real box without keys, in front of a cloud that is scripted."""
    with FaultyCloud(said) as cloud, Served(tmp_path_factory.mktemp("box"), cloud=cloud) as served:
        yield served


@pytest.fixture
def ada(browser: Browser, box: Served) -> Iterator[Opened]:
    """The console in a tab, as Ada."""
    with opened(browser, box, person="ada") as page:
        yield page


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A box with keys: Ada's, an operator's, an admin's."""
    with FaultyCloud() as cloud, Served(tmp_path_factory.mktemp("guarded") / "keys", cloud=cloud) as served:
        made = {"user": ("--user", "ada"), "operator": (), "admin": ()}
        printed = {
            role: served.netgpt("keys", "create", "--name", role, "--role", role, *more, "--json").stdout
            for role, more in made.items()
        }
        yield Guarded(served, {role: json.loads(text)["secret"] for role, text in printed.items()})
