"""What the store's tests share: rows, a key, and a store on a real file and on a real PostgreSQL.

A test that asks for `store` or `place` runs on both, unless it asks for `database` (the file) or `files`, or says
`pytest.mark.file`: it is about what SQLite does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import postgres
import pytest

from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store

MakeRow = Callable[..., ExchangeRecord]


@pytest.fixture
def sealer() -> Sealer:
    return Sealer.new()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "house" / "netgpt.db"


@pytest.fixture
def files(database: Path) -> Callable[[], dict[str, bytes]]:
    """Reads the bytes of the database's files by another process: a read in this one would drop SQLite's locks."""

    def read() -> dict[str, bytes]:
        paths = sorted(database.parent.iterdir())
        return {path.name: subprocess.check_output(["cat", path]) for path in paths}

    return read


ON_BOTH = frozenset(
    f"test_{name}" for name in ("store", "receipts", "keys", "limits", "consents", "learning", "postgres", "moving",
                                "sharing", "waiting", "outcomes", "usage", "listing")
)  # fmt: skip
"""Files whose tests run on PostgreSQL too in every suite; all of them with NETGPT_TEST_POSTGRES=all."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        everywhere = (
            os.environ.get("NETGPT_TEST_POSTGRES") == "all" or metafunc.module.__name__.rpartition(".")[2] in ON_BOTH
        )
        about_file = {"database", "files"} & set(metafunc.fixturenames) or "file" in {
            mark.name for mark in metafunc.definition.iter_markers()
        }
        metafunc.parametrize("engine", ["sqlite"] if about_file or not everywhere else ["sqlite", "postgres"])


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """Where a new database is to be opened."""
    if engine == "sqlite":
        yield request.getfixturevalue("database")
        return
    if not postgres.is_there():
        pytest.skip(postgres.WHY_NOT)
    url = postgres.server().new()
    yield url
    postgres.server().give_back(url)


@pytest.fixture
async def store(place: Path | str, sealer: Sealer) -> AsyncIterator[Store]:
    store = Store.open(place, sealer)
    yield store
    await store.close()


@pytest.fixture
def make_row() -> Iterator[MakeRow]:
    """Makes plausible rows; named fields replace the defaults."""
    numbers = count(1)

    def make(**fields: Any) -> ExchangeRecord:
        values: dict[str, Any] = {
            "id": f"ex_{next(numbers):06}",
            "tenant": "local",
            "user": "ada",
            "key_id": None,
            "received": datetime.now(UTC),
            "status": "complete",
            "model": "smollm2-135m",
            "route": "edge",
            "reason": "short request",
            "prompt_tokens": 12,
            "completion_tokens": 34,
            "estimated": False,
            "cost": 0.25,
            "timings": {"identify": 0.1, "total": 12.5},
            "private": {"messages": [{"role": "user", "content": "words " * 600}]},
        }
        return ExchangeRecord(**values | fields)

    yield make
