"""Databases of every older version grow up; those of a newer one are left alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Inspector, create_engine, event, inspect, text

from netgpt.errors import StoreError
from netgpt.store.migrations import MIGRATIONS, is_current, migrate
from netgpt.store.schema import metadata
from netgpt.store.seal import Sealer
from netgpt.store.store import Store

NAMES = [step.__name__ for step in MIGRATIONS]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


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


def test_the_migrations_make_the_schema(engine: Engine) -> None:
    assert migrate(engine) == NAMES
    fresh = create_engine("sqlite://")
    metadata.create_all(fresh)
    assert shape(inspect(engine)) == shape(inspect(fresh))


def test_names_are_never_used_twice() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_an_up_to_date_database_is_left_alone(engine: Engine) -> None:
    assert not is_current(engine)
    migrate(engine)
    assert is_current(engine)
    assert migrate(engine) == []


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_every_older_version_opens_and_keeps_its_rows(engine: Engine, version: int, make_row: Any) -> None:
    sealer = Sealer.new()
    migrate(engine, MIGRATIONS[:version])
    has_old_row = NAMES.index("add_exchanges") < version <= NAMES.index("seal_user_ids")
    if has_old_row:
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO exchanges (id, tenant, user, key_id, received, status, model, route, reason, "
                    "prompt_tokens, completion_tokens, estimated, cost, timings, rating, private) VALUES "
                    "('ex_kept', 'local', 'ada', NULL, 1767225600000000, 'complete', 'm', 'edge', 'because', "
                    "1, 2, 0, 0.5, '{\"total\": 1.5}', NULL, NULL)"
                )
            )
    engine.dispose()
    store = Store.open(Path(str(engine.url.database)), sealer)
    await store.save_exchange(make_row(id="ex_added"))
    kept = await store.exchange("ex_kept")
    assert (kept is not None and kept.timings == {"total": 1.5} and kept.user == "ada") == has_old_row
    assert await store.exchange("ex_added") is not None
    await store.close()
    with engine.connect() as connection:
        assert list(connection.scalars(text("SELECT name FROM migrations ORDER BY rowid"))) == NAMES


def test_a_step_that_fails_leaves_nothing_behind(engine: Engine) -> None:
    def add_half(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id TEXT)"))
        raise StoreError("the second half failed")

    migrate(engine, MIGRATIONS[:2])
    before = shape(inspect(engine))
    with pytest.raises(StoreError, match="second half"):
        migrate(engine, (*MIGRATIONS, add_half))
    assert shape(inspect(engine)) == before


def test_a_newer_version_is_refused_and_left_alone(engine: Engine) -> None:
    def add_telepathy(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE telepathy (id TEXT)"))

    migrate(engine, (*MIGRATIONS, add_telepathy))
    engine.dispose()
    path = Path(str(engine.url.database))
    with pytest.raises(StoreError, match=r"newer NetGPT \(it has add_telepathy\)") as error:
        Store.open(path, Sealer.new())
    assert str(path) in error.value.message and error.value.code == "store_too_new"
    assert inspect(engine).has_table("telepathy")


@pytest.mark.slow
def test_processes_that_open_a_new_database_together_all_get_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from netgpt.store.seal import Sealer\n"
        "from netgpt.store.store import Store\n"
        "home = Path(sys.argv[1]); store = Store.open(home / 'x.db', Sealer.from_file(home / 'secret.key'))\n"
        "asyncio.run(store.close())"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    store = Store.open(tmp_path / "x.db", Sealer.from_file(tmp_path / "secret.key"))
    asyncio.run(store.close())
