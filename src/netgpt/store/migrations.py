"""Opening a database: its migrations, small named functions applied once, in order; and the proof of its key.

A new database gets all tables of `schema.py` at once. To change the schema: change `schema.py`, and add a function that
does the same to a database that is there already at the end of `MIGRATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Engine, insert, inspect, literal, select

from netgpt.errors import StoreError
from netgpt.store import schema
from netgpt.store.chain import begin_chain
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.engine import StoreDatabase, database_of
from netgpt.store.entries import renew
from netgpt.store.files import expect_none
from netgpt.store.maintenance import seal_stand_ins
from netgpt.store.schema import marks
from netgpt.store.secrets import NAME, DatabaseSecrets, other_key

Migration = Callable[[Connection], None]


def start(connection: Connection) -> None:
    """Every table of the schema."""
    schema.metadata.create_all(connection)


def keep_fact_vectors(connection: Connection) -> None:
    """A table for what the model of relevance has read of facts."""
    schema.fact_vectors.create(connection)


def add_proposals(connection: Connection) -> None:
    """The facts that wait for a yes."""
    schema.proposals.create(connection)


def count_and_find(connection: Connection) -> None:
    """Figures by hour, what was hidden by kind, who read whose texts; and indexes for lists that are filtered."""
    for table in (schema.finds, schema.hours, schema.tenant_hours, schema.sums, schema.readings, schema.reports):
        table.create(connection)
    known = {each["name"] for each in inspect(connection).get_indexes(schema.exchanges.name)}
    for index in schema.exchanges.indexes:
        if index.name not in known:
            index.create(connection)


def count_rules(connection: Connection) -> None:
    """What each rule did, by person and day."""
    schema.rulings.create(connection)


def share_among_processes(connection: Connection) -> None:
    """Leases, holds, minutes and news: what several processes of one gateway have in common."""
    for table in (schema.leases, schema.holds, schema.rates, schema.news):
        table.create(connection)


MIGRATIONS: tuple[Migration, ...] = (
    start, keep_fact_vectors, add_proposals, count_and_find, count_rules, share_among_processes,
)  # fmt: skip


def migrate(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring the database up to `steps`; return the names recorded now.

    All missing steps run in one transaction: either all are there or none. Raises StoreError: the database was made by
    a newer version, or before the first release.
    """
    with engine.begin() as connection:
        missing = _missing(connection, steps)  # again: another process may have been faster
        is_new = missing[:1] == list(steps[:1])
        for step in missing[:1] if is_new else missing:  # the schema has what later steps add
            step(connection)
        names = [step.__name__ for step in missing]
        database_of(connection).settle(connection)
        for name in names:
            connection.execute(insert(schema.migrations).values(name=name, applied=datetime.now(UTC)))
    return names


def is_current(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether there is nothing to migrate. Only reads, so that opening need not wait for another's write."""
    with engine.connect() as connection:
        return not _missing(connection, steps) and database_of(connection).is_settled(connection)


def _missing(connection: Connection, steps: Sequence[Migration]) -> list[Migration]:
    if not inspect(connection).has_table(schema.migrations.name):
        return list(steps)
    applied, name = set(connection.scalars(select(schema.migrations.c.name))), _name(connection)
    if steps[0].__name__ not in applied:
        raise StoreError(
            f"{name}: the database was made before the first release, and this version does not read it. Move it away, "
            "or set NETGPT_HOME to another folder, and a new one is made; the version that made it still reads it.",
            code="store_too_old",
        )
    if newer := applied - {step.__name__ for step in steps}:
        raise StoreError(
            f"{name}: the database was made by a newer NetGPT (it has {', '.join(sorted(newer))}). Install that "
            "version, or set NETGPT_HOME to another folder.",
            code="store_too_new",
        )
    return [step for step in steps if step.__name__ not in applied]


def _name(connection: Connection) -> str:
    return database_of(connection).name


_PROOF: Final = "sealed-with"
_PROOF_PLACE: Final = place_of("marks", _PROOF)


def open_database(
    database: StoreDatabase, sealer: Sealer, secrets: DatabaseSecrets, *, after_reset: bool = False
) -> None:
    """Prepare the database for use. Raises StoreError."""
    try:
        database.prepare()
        if not is_current(database.reading):
            migrate(database.writing)
        prove_key(database, sealer, secrets, after_reset=after_reset)
        database.opened()
    except Exception as error:  # noqa: BLE001 - mapped to StoreError
        database.release()
        raise database.error(error) from None


def prove_key(database: StoreDatabase, sealer: Sealer, secrets: DatabaseSecrets, *, after_reset: bool = False) -> None:
    """Open the value that the first use sealed, so that a wrong key is found at the start.

    `after_reset`: rows without secrets are what `netgpt store reset-sealed` left. Raises StoreError: another key, or
    secrets that were taken away from a database that has rows.
    """
    with database.reading.connect() as connection:
        proof = _proof(connection)
    if proof is None:
        with database.writing.begin() as connection:
            proof = _proof(connection)  # again: another process may have been faster
            if proof is None:
                if not after_reset:
                    _require_unused(connection)
                _make_own(connection, sealer, secrets)
    try:
        if proof is not None:
            sealer.open(proof, _PROOF_PLACE)
    except StoreError:
        raise other_key(database.name, sealer) from None


def _proof(connection: Connection) -> bytes | None:
    """What shows the key; None: a database that has no secrets yet. Raises StoreError: one of the two is gone."""
    found = dict(connection.execute(select(marks.c.name, marks.c.value).where(marks.c.name.in_((_PROOF, NAME)))).all())
    if len(found) == 1:
        gone = NAME if _PROOF in found else _PROOF
        raise _taken_away(_name(connection), f'the mark "{gone}" is gone')
    return found.get(_PROOF)


def _require_unused(connection: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if table is not schema.migrations and connection.execute(select(literal(1)).select_from(table)).first():
            raise _taken_away(_name(connection), f"it has rows ({table.name}), and no secrets")


def _taken_away(name: str, what: str) -> StoreError:
    return StoreError(
        f"{name}: the database's own secrets were taken away: {what}. Nothing can tell any more what this box wrote: "
        "put a backup in its place. `netgpt store reset-sealed` starts over with the figures, API keys and places.",
        code="store_damaged",
    )


def _make_own(connection: Connection, sealer: Sealer, secrets: DatabaseSecrets) -> None:
    """Secrets, chain and ledger of a new database, or of one that lost them by a reset."""
    connection.execute(insert(marks).values(name=_PROOF, value=sealer.seal(_PROOF.encode(), _PROOF_PLACE)))
    ledger = secrets.make(connection, *begin_chain(sealer))
    seal_stand_ins(connection)
    expect_none(connection, sealer)
    renew(connection, ledger)
    ledger.finish(connection, follow=True)
