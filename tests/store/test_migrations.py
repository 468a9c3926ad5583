"""A new database is the schema, a known one grows, one of another time is left alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Inspector, create_engine, inspect, text

from netgpt.errors import StoreError
from netgpt.store.database import Database
from netgpt.store.encryption import Sealer
from netgpt.store.migrations import MIGRATIONS, is_current, migrate
from netgpt.store.schema import metadata
from netgpt.store.store import Store

NAMES = [step.__name__ for step in MIGRATIONS]


@pytest.fixture
def fresh_engine(tmp_path: Path) -> Engine:
    return Database(tmp_path / "some.db").writing


def shape(inspector: Inspector) -> dict[str, object]:
    """All that matters of the tables: columns with type, nullability and key; indexes; uniqueness."""
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"], i["column_names"]) for i in inspector.get_indexes(table)),
            [u["column_names"] for u in inspector.get_unique_constraints(table)],
        )
        for table in sorted(inspector.get_table_names())
    }


def add_telepathy(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE telepathy (id TEXT)"))


@pytest.mark.file
async def test_a_new_database_is_the_schema(store: Store) -> None:
    fresh = create_engine("sqlite://")
    metadata.create_all(fresh)
    made = create_engine(f"sqlite:///{store.path}")
    assert shape(inspect(made)) == shape(inspect(fresh))
    assert len(set(NAMES)) == len(NAMES)


def test_an_up_to_date_database_is_left_alone(fresh_engine: Engine) -> None:
    assert not is_current(fresh_engine)
    assert migrate(fresh_engine) == NAMES
    assert is_current(fresh_engine)
    assert migrate(fresh_engine) == []


def test_a_step_is_applied_once_and_only_to_what_was_there_before(fresh_engine: Engine, tmp_path: Path) -> None:
    migrate(fresh_engine)
    assert migrate(fresh_engine, (*MIGRATIONS, add_telepathy)) == ["add_telepathy"]
    assert inspect(fresh_engine).has_table("telepathy")
    assert migrate(fresh_engine, (*MIGRATIONS, add_telepathy)) == []
    fresh = Database(tmp_path / "new.db").writing  # the schema has what the step adds
    assert migrate(fresh, (*MIGRATIONS, add_telepathy)) == [*NAMES, "add_telepathy"]
    assert not inspect(fresh).has_table("telepathy") and is_current(fresh, (*MIGRATIONS, add_telepathy))


def test_a_step_that_fails_leaves_nothing_behind(fresh_engine: Engine) -> None:
    def add_half(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id TEXT)"))
        raise StoreError("the second half failed")

    migrate(fresh_engine)
    before = shape(inspect(fresh_engine))
    with pytest.raises(StoreError, match="second half"):
        migrate(fresh_engine, (*MIGRATIONS, add_half))
    assert shape(inspect(fresh_engine)) == before and is_current(fresh_engine)


def test_a_newer_database_is_refused_and_left_alone(fresh_engine: Engine) -> None:
    migrate(fresh_engine)
    migrate(fresh_engine, (*MIGRATIONS, add_telepathy))
    fresh_engine.dispose()
    path = Path(str(fresh_engine.url.database))
    with pytest.raises(StoreError, match=r"newer NetGPT \(it has add_telepathy\)") as error:
        Store.open(path, Sealer.new())
    assert str(path) in error.value.message and error.value.code == "store_too_new"
    assert inspect(fresh_engine).has_table("telepathy")


def test_a_database_from_before_the_first_release_is_refused_and_left_alone(fresh_engine: Engine) -> None:
    with fresh_engine.begin() as connection:
        connection.execute(text("CREATE TABLE migrations (name TEXT PRIMARY KEY, applied BIGINT NOT NULL)"))
        connection.execute(text("INSERT INTO migrations VALUES ('add_marks', 0), ('add_exchanges', 0)"))
    fresh_engine.dispose()
    path = Path(str(fresh_engine.url.database))
    with pytest.raises(StoreError, match=r"before the first release.*Move it away") as error:
        Store.open(path, Sealer.new())
    assert str(path) in error.value.message and error.value.code == "store_too_old"
    assert inspect(fresh_engine).get_table_names() == ["migrations"]


@pytest.mark.slow
def test_processes_that_open_a_new_database_together_all_get_it(tmp_path: Path, make_row: Any) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from netgpt.store.encryption import Sealer\n"
        "from netgpt.store.store import Store\n"
        "home = Path(sys.argv[1]); store = Store.open(home / 'x.db', Sealer.from_file(home / 'secret.key'))\n"
        "asyncio.run(store.close())"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    store = Store.open(tmp_path / "x.db", Sealer.from_file(tmp_path / "secret.key"))
    asyncio.run(store.save_exchange(make_row()))
    asyncio.run(store.close())
