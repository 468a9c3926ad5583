"""Entries of the ledger: made for whatever writes a guarded row, and held against the rows as they stand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from netgpt.errors import StoreError
from netgpt.store.engine import Driver, StoreDatabase, database_of, driver_of
from netgpt.store.ledger import (
    GUARDED,
    MARK,
    NAMES,
    NOTHING,
    PLACES,
    SUM,
    Ledger,
    ledger_in_use,
)
from netgpt.store.schema import exchanges, key_use, keys, marks

OWN_MARKS: Final = "('ledger', 'generation', 'receipts')"
"""Marks that change with every write; the end of the receipts stands in the ends instead."""
HOLD_THEIR_MAC: Final = (exchanges, key_use)
"""Tables whose new rows hold it themselves."""
_PAGE: Final = 1000

# A row as text, in SQL: texts and bytes in hexadecimal, of a sealed value the tail, fractions as whole billionths.


class Spelling(Protocol):
    """How an engine spells a value as text: see `StoreDatabase`."""

    def column_text(self, row: str, column: sa.Column[Any], *, tail: bool) -> str: ...


def row_text(spelling: Spelling, table: Table, row: str) -> str:
    """SQL for a row of `table`, without its MAC; `row` names it in the statement."""
    columns = (column for column in table.columns if column.name != "mac")
    return " || '|' || ".join(
        spelling.column_text(row, column, tail=column.name == "private" or column is marks.c.value)
        for column in columns
    )


def values_in(text: str) -> list[Any]:
    """The values of a `row_text`, as `Ledger.mac` takes them."""
    return [_value(part[:1], part[1:]) for part in text.split("|")]


def _value(kind: str, text: str) -> Any:
    if kind == "n":
        return None
    if kind in "if":
        return int(text)
    data = bytes.fromhex(text)
    return data if kind == "b" else data.decode("utf-8", "surrogateescape")


def id_text(table: Table, row: str) -> str:
    """SQL for the id of a row's entry."""
    names = ["id"] if table is exchanges else [column.name for column in table.primary_key.columns]
    spelled = " || '/' || ".join(f'{row}."{name}"' for name in names)
    return f"CAST({spelled} AS TEXT)"


# Native triggers note the touched rows in a temporary table (`StoreDatabase.watch`); Python looks at them once a write.


class _Touched(NamedTuple):
    name: str
    id: str
    old: str | None
    new: str | None
    own: bytes | None
    mac: bytes | None
    """Of its entry; None: it has none."""


def enter_changes(connection: Connection) -> None:
    """Bring the entries of all rows that were touched since the last call up to date."""
    ledger, driver = ledger_in_use(), driver_of(connection)
    if ledger is None or not driver.execute("SELECT EXISTS (SELECT 1 FROM touched)").fetchone()[0]:
        return
    _close_gaps(driver, ledger)
    query = (
        "SELECT t.rowid, t.name, t.id, t.old, t.new, t.own, l.mac FROM touched t LEFT JOIN ledger l "
        "ON l.name = t.name AND l.id = t.id WHERE t.rowid > ? ORDER BY t.rowid LIMIT ?"
    )
    last = 0
    while found := driver.execute(query, (last, _PAGE)).fetchall():
        last = found[-1][0]
        _enter(driver, ledger, [_Touched(*row[1:]) for row in found])
    driver.execute("DELETE FROM touched")


def _enter(driver: Driver, ledger: Ledger, rows: list[_Touched]) -> None:
    gone: list[tuple[str, str]] = []
    kept: list[tuple[str, str, bytes]] = []
    for row in rows:
        if row.name == "key_use":
            ledger.used.clear()
        if row.new is None:
            if row.mac is not None:
                gone.append((row.name, row.id))
                ledger.count(row.name, -1, -int.from_bytes(row.mac, "big"))
        elif _is_genuine(ledger, row):
            mac = ledger.mac(row.name, row.id, values_in(row.new))
            kept.append((row.name, row.id, mac))
            count_entry(ledger, row.name, row.mac, mac)
        # else: somebody else had changed, put in or deleted it; its entry, if any, stays as it is, and tells
    driver.executemany("DELETE FROM ledger WHERE name = ? AND id = ?", gone)
    driver.executemany(_ENTER, kept)


_ENTER: Final = "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT (name, id) DO UPDATE SET mac = excluded.mac"


def _is_genuine(ledger: Ledger, row: _Touched) -> bool:
    """Whether the box wrote what was there before, nothing included."""
    if row.old is None:
        return row.mac is None
    return (row.own if row.mac is None else row.mac) == ledger.mac(row.name, row.id, values_in(row.old))


def count_entry(ledger: Ledger, name: str, old: bytes | None, new: bytes) -> None:
    """An entry was made, or took the place of `old`."""
    ledger.count(name, old is None, int.from_bytes(new, "big") - int.from_bytes(old or b"", "big"))


_BEFORE: Final = [column.name for column in exchanges.columns if column.name != "mac"].index("before")


def _close_gaps(driver: Driver, ledger: Ledger) -> None:
    """Exchanges behind deleted ones name those that are left before these. One that somebody deleted stays named."""
    deleted = "SELECT t.id, t.old FROM touched t WHERE t.name = 'exchanges' AND t.new IS NULL"
    before = {id: str(values_in(old)[_BEFORE] or "") for id, old in driver.execute(deleted)}
    if not before:
        return

    def left_before(id: str) -> str:
        while id in before:
            id = before[id]
        return id

    behind = driver.execute(
        "SELECT DISTINCT e.seq, e.before FROM touched t JOIN exchanges e "
        "ON e.seq = (SELECT min(x.seq) FROM exchanges x WHERE x.seq > t.at) "
        "WHERE t.name = 'exchanges' AND t.new IS NULL"
    ).fetchall()
    changed = [(left_before(id), seq) for seq, id in behind if id in before]
    driver.executemany("UPDATE exchanges SET before = ? WHERE seq = ?", changed)
    ledger.drop_exchanges(left_before)


def close_days(connection: Connection, before: str) -> None:
    """Give the use of keys on days before this one (ISO date) entries: nothing more is booked on them."""
    driver_of(connection).execute(
        "UPDATE key_use SET key_id = key_id WHERE day < ? AND NOT EXISTS "
        "(SELECT 1 FROM ledger l WHERE l.name = 'key_use' AND l.id = key_id || '/' || day)",
        (before,),
    )


def renew(connection: Connection, ledger: Ledger, changes: int = 0, head: bytes = NOTHING.head) -> None:
    """Make the ledger from the rows as they stand: of a new database, or of what its owner accepts."""
    driver = driver_of(connection)
    driver.execute("DELETE FROM ledger")
    driver.execute(
        "UPDATE exchanges SET before = coalesce("
        "(SELECT e.id FROM exchanges e WHERE e.seq < exchanges.seq ORDER BY e.seq DESC LIMIT 1), '')"
    )
    seq, last = driver.execute("SELECT seq, id FROM exchanges ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
    ledger.begin_anew(NOTHING._replace(changes=changes + 1, head=head, seq=seq, last=last))
    database = database_of(connection)
    for table in GUARDED:
        for page in database.pages(connection, _rows_sql(database, table), _PAGE):
            macs = [(table.name, id, ledger.mac(table.name, id, values_in(text))) for id, text, _ in page]
            driver.executemany(_ENTER, macs)
            ledger.count(table.name, len(macs), sum(int.from_bytes(mac, "big") for _, _, mac in macs))


def drop_faulty(connection: Connection, ledger: Ledger, head: bytes) -> int:
    """Delete the rows that this box did not write as they stand, and make the ledger anew. Returns how many.

    `head`: the last receipt. Where keys were put back with their entries nobody can say which: then all are revoked.
    """
    faults = [fault for fault in audit(connection, ledger) if fault.id and fault.what in (CHANGED, PUT_IN)]
    driver, gone = driver_of(connection), 0
    if adds_up(connection, ledger, keys.name):
        driver.execute("UPDATE keys SET revoked = coalesce(revoked, ?)", (time.time_ns() // 1000,))
    for table in GUARDED:
        ids = [(fault.id,) for fault in faults if fault.table == table.name]
        if ids:
            sql = f"DELETE FROM {table.name} AS r WHERE {id_text(table, 'r')} = ?"  # noqa: S608 - our own names
            gone += driver.executemany(sql, ids).rowcount
    lost = time.time_ns() // 1000  # more than any box ever counts to
    renew(connection, ledger, ledger.ends.changes if ledger.ends else lost, head)
    driver.execute("DELETE FROM touched")
    return gone


def _rows_sql(database: StoreDatabase, table: Table) -> str:
    """Id, text and MAC of each row: that of its entry, or the one that it holds itself."""
    own = f"r.name NOT IN {OWN_MARKS}" if table is marks else "TRUE"
    mac = database.as_bytes("coalesce(l.mac, r.mac)" if table in HOLD_THEIR_MAC else "l.mac")
    id = id_text(table, "r")
    return (
        f"SELECT {id}, {row_text(database, table, 'r')}, {mac} FROM {table.name} r "  # noqa: S608 - our own names
        f"LEFT JOIN ledger l ON l.name = '{table.name}' AND l.id = {id} WHERE {own}"
    )


CHANGED: Final = "was changed by hand, or put back from an older copy"
PUT_IN: Final = "was put in by hand: this box did not write it"
MISSING: Final = "is missing: it was deleted by hand"
BEHIND: Final = "is not the newest: it was put back from an older copy, or deleted and made anew"
OUT_OF_PLACE: Final = "is not where it was written: it, or the one before it, was put in by hand"


class RowFault(NamedTuple):
    """A row that is not as the box wrote it. Names table and id, never a content."""

    table: str
    id: str
    what: str


def audit(connection: Connection, ledger: Ledger, names: Sequence[str] = NAMES) -> Iterator[RowFault]:
    """All that is wrong in these tables. Reads them once."""
    with database_of(connection).any_text(connection):
        yield from _audit(connection, ledger, names)


def _audit(connection: Connection, ledger: Ledger, names: Sequence[str]) -> Iterator[RowFault]:
    driver, database, ends = driver_of(connection), database_of(connection), ledger.ends
    if ends is None:
        yield RowFault("marks", MARK, "was changed or taken away: nothing vouches for the rows of the database")
    for table in (table for table in GUARDED if table.name in names):
        for page in database.pages(connection, _rows_sql(database, table), _PAGE):
            yield from _faults_in(ledger, table.name, page)
        yield from _missing(driver, table)
        if ends is not None and (wrong := adds_up(connection, ledger, table.name)):
            yield RowFault(table.name, "", wrong)
    if names is NAMES:
        yield from _order_faults(connection, ends.last if ends else "")
        yield from _use_faults(connection)
        unknown = f"SELECT name, id FROM ledger WHERE name NOT IN ({', '.join('?' * len(NAMES))})"  # noqa: S608
        for name, id in driver.execute(unknown, NAMES):
            yield RowFault("ledger", f"{name} {id}", PUT_IN)


def _faults_in(ledger: Ledger, name: str, rows: Sequence[Any]) -> Iterator[RowFault]:
    for id, text, mac in rows:
        if mac is None:
            yield RowFault(name, id, PUT_IN)
        elif mac != ledger.mac(name, id, values_in(text)):
            yield RowFault(name, id, CHANGED)


def _missing(driver: Driver, table: Table) -> Iterator[RowFault]:
    rows = f"SELECT {id_text(table, 'r')} FROM {table.name} r"  # noqa: S608 - our own names
    query = f"SELECT id FROM ledger WHERE name = '{table.name}' EXCEPT {rows}"  # noqa: S608
    for (id,) in driver.execute(query).fetchall():
        yield RowFault(table.name, str(id), MISSING)


def _order_faults(connection: Connection, newest: str) -> Iterator[RowFault]:
    """Each exchange names the one before it: one that is named and not there was deleted."""
    driver, database = driver_of(connection), database_of(connection)
    is_there = "SELECT 1 FROM exchanges WHERE id = ?"
    last = ""
    for page in database.pages(connection, "SELECT id, before FROM exchanges ORDER BY seq", _PAGE):
        for id, before in page:
            if before != last:
                there = not before or driver.execute(is_there, (before,)).fetchone()
                yield RowFault("exchanges", *((id, OUT_OF_PLACE) if there else (str(before), MISSING)))
            last = id
    if newest and not driver.execute(is_there, (newest,)).fetchone():
        yield RowFault("exchanges", newest, MISSING)


def _use_faults(connection: Connection) -> Iterator[RowFault]:
    """A key's use counts up to an exchange: one of that day that came later was booked as well."""
    day = database_of(connection).day_of("received")
    query = (
        f"SELECT e.key || '/' || e.day, u.seq FROM (SELECT key_id AS key, {day} AS day, "  # noqa: S608 - our own names
        "max(seq) AS seq, count(*) AS rows FROM exchanges WHERE key_id IS NOT NULL GROUP BY 1, 2) e "
        "LEFT JOIN key_use u ON u.key_id = e.key AND u.day = e.day "
        "WHERE (u.seq IS NULL OR u.seq < e.seq OR u.requests < e.rows) "
        "AND e.day >= coalesce((SELECT min(day) FROM key_use), '')"
    )
    for id, seq in driver_of(connection).execute(query).fetchall():
        yield RowFault("key_use", id, MISSING if seq is None else BEHIND)


def adds_up(connection: Connection, ledger: Ledger, name: str) -> str | None:
    """None: the entries of a table are those that the ends tell of; else what is wrong."""
    ends = ledger.ends
    if ends is None:
        return "the ledger was changed or taken away, so nothing vouches for its rows"
    mac = database_of(connection).as_bytes("mac")
    macs = driver_of(connection).execute(f"SELECT {mac} FROM ledger WHERE name = ?", (name,)).fetchall()  # noqa: S608
    at = PLACES[name]
    if len(macs) < ends.rows[at]:
        return f"{ends.rows[at] - len(macs)} rows are gone, with their entries in the ledger"
    if len(macs) > ends.rows[at]:
        return f"{len(macs) - ends.rows[at]} rows were put back that the box had deleted, with their entries"
    total = sum(int.from_bytes(mac, "big") for (mac,) in macs if isinstance(mac, bytes))
    if total % SUM != ends.sums[at]:
        return "its rows and their entries are not the newest: some were put back from an older copy"
    return None


def row_fault(connection: Connection, table: Table, where: str, *values: object) -> str | None:
    """What is wrong with the rows `where` (a row is called `r`); None: there are none, or the box wrote them so."""
    ledger = ledger_in_use()
    if ledger is None:
        return "the database has no secrets"
    found = driver_of(connection).execute(f"{_rows_sql(database_of(connection), table)} AND {where}", values).fetchall()
    return next((fault.what for fault in _faults_in(ledger, table.name, found)), None)


def entry_of(connection: Connection, name: str, id: str) -> bytes | None:
    """The MAC in the entry of a row; None: it has none."""
    found = driver_of(connection).execute("SELECT mac FROM ledger WHERE name = ? AND id = ?", (name, id)).fetchone()
    return None if found is None else bytes(found[0])


def missing_ids(connection: Connection, table: Table, first: str, last: str) -> list[str]:
    """Ids from `first` to `last` that have an entry and no row."""
    query = (
        f"SELECT id FROM ledger WHERE name = '{table.name}' AND id BETWEEN ? AND ? "  # noqa: S608 - our own names
        f"EXCEPT SELECT {id_text(table, 'r')} FROM {table.name} r"
    )
    return [str(id) for (id,) in driver_of(connection).execute(query, (first, last))]


def require_newest(connection: Connection, table: Table, *, all_there: bool = False) -> None:
    """Raises StoreError: rows of this table, which grant something, were deleted or put back with their entries.

    `all_there`: so it does when rows were deleted alone, where that grants something.
    """
    ledger = ledger_in_use()
    wrong = "the database has no secrets" if ledger is None else adds_up(connection, ledger, table.name)
    if not wrong and all_there:
        wrong = next((f"{fault.id} {fault.what}" for fault in _missing(driver_of(connection), table)), None)
    if wrong:
        raise tampered(table.name, wrong)


def tampered(name: str, what: str) -> StoreError:
    """The error for rows that are not as the box wrote them, where they would grant something."""
    return StoreError(
        f"the database was changed by hand: {name}: {what}. Nothing is granted by it. `netgpt store check` names the "
        "rows; put a backup back, or `netgpt store rotate --drop-damaged` drops them.",
        code="store_changed",
        status=503,
    )
