"""`netgpt receipts`: what left the box, provably. For the owner and for an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    json_option,
    print_details,
    print_json,
    print_table,
    private_file,
    read_settings,
    reports_errors,
    tell,
    with_store,
)
from netgpt.errors import NotFound, RequestError, StoreError
from netgpt.files import lines_in
from netgpt.types import Person

if TYPE_CHECKING:
    from netgpt.store.audit import ChainReport, CheckedFile
    from netgpt.store.chain import Head, ReceiptRecord
    from netgpt.store.receipts import ReceiptRow
    from netgpt.store.store import Store


app = typer.Typer(help="What left the box: list, show, verify, export.", no_args_is_help=True)

SHOWN_FAULTS = 50


@app.command("list")
@reports_errors
def list_receipts(
    user: str | None = typer.Option(None, help="Only what left on behalf of this person."),
    tenant: str = typer.Option("local", help="The person's tenant."),
    limit: int = typer.Option(20, min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = json_option,
) -> None:
    """List what left, newest first."""
    person = Person(tenant, user) if user is not None else None
    rows = with_store(lambda store: store.receipts.page(person, limit))
    if as_json:
        return print_json([receipt_as_json(row) for row in rows])
    columns = ("id", "nr", "time", "destination", "model", "bytes", "person", "exchange", "outcome")
    print_table(columns, [_cells(row) for row in rows])


@app.command()
@reports_errors
def show(
    receipt: str = typer.Argument(help="The receipt's id (rc_...), its number, or its exchange's id (ex_...)."),
    as_json: bool = json_option,
) -> None:
    """Show one receipt: where to, when, the exact bytes, and what was hidden in them under which rule."""
    row = with_store(lambda store: store.receipts.find(receipt))
    if row is None:
        raise NotFound(f"no receipt {receipt[:80]}: `netgpt receipts list` shows them; what never left has none")
    print_details(receipt_as_json(row), as_json)


@app.command()
@reports_errors
def verify(
    file: Path | None = typer.Option(None, help="Check an export instead of the database."),
    head: str | None = typer.Option(
        None, metavar="NR:HASH", help="A head noted earlier: the chain must still hold it. Finds a restored old copy."
    ),
    public_key: str | None = typer.Option(None, metavar="HEX", help="With --file: the key that must have signed it."),
    as_json: bool = json_option,
) -> None:
    """Check the chain of receipts; name every change, gap, swap and cut. Exit code 1 when there is one."""
    noted = _head(head)
    if file is None:
        if public_key is not None:
            raise RequestError("--public-key goes with --file: the database is checked with its own key")
        checked = with_store(partial(_verify, noted))
        origin, remark = {}, "checked with the box's key"
    else:
        found, ours = _check_file(file, noted, public_key)
        checked = found.checked
        origin = {"made": found.made, "public_key": found.public_key}
        remark = "signed by this box, tags checked" if ours else f"SHA-256 chain only; signed by {found.public_key}"
    if as_json:
        print_json(_checked_as_json(checked) | origin)
    else:
        _show_checked(checked, remark)
    if not checked.whole:
        raise typer.Exit(1)


@app.command()
@reports_errors
def export(
    file: Path = typer.Argument(help="Where to write (0600); - for standard output."),
    links_only: bool = typer.Option(False, "--links-only", help="Leave out for whom and what: hashes and sizes alone."),
    as_json: bool = json_option,
) -> None:
    """Write the whole chain as JSON lines for an auditor, with its signed head and how to check it."""
    from netgpt.store.audit import write_file

    def written(records: Iterator[ReceiptRecord], key: bytes | None) -> Head:
        if str(file) == "-":
            return write_file(records, key, typer.get_text_stream("stdout").write, accounts=not links_only)
        with private_file(file, StoreError) as out:
            return write_file(records, key, out.write, accounts=not links_only)

    end = with_store(lambda store: store.receipts.with_records(written))
    if as_json and str(file) == "-":
        raise RequestError("--json goes with a file: standard output holds the receipts then")
    tell(f"{end.seq} receipts; the head is {end}", as_json, file=str(file), receipts=end.seq, head=str(end))


@app.command("head")
@reports_errors
def show_head(as_json: bool = json_option) -> None:
    """Print where the chain ends, and the key that signs exports. Note both elsewhere, from time to time."""
    from netgpt.store.audit import public_key

    end = with_store(lambda store: store.receipts.head())
    key = with_store(lambda store: store.receipts.with_records(lambda _records, key: key))
    if end is None or key is None:
        raise NotFound("there are no receipts yet: nothing has left the box")
    print_details({"head": str(end), "public_key": public_key(key)}, as_json)


def receipt_as_json(row: ReceiptRow) -> dict[str, Any]:
    """For machines: the words of an export, with what became of it."""
    from netgpt.store.audit import as_line

    fields = as_line(row.record) | {"user": row.record.user, "exchange": row.record.exchange, "outcome": row.outcome}
    erased = {} if row.erased is None else {"erased": row.erased.isoformat(), "erased_because": row.reason}
    return fields | erased


def _cells(row: ReceiptRow) -> list[object]:
    record, link = row.record, row.record.link
    first = [record.id, link.seq, _time(link.time)]
    if link.kind != "sent":
        notice = record.notice or {}
        ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in notice.get("ranges") or ())
        why = f"{ranges} ({notice.get('reason')})" if ranges else str(notice.get("reason"))
        return [*first, "", "", "", "", "", f"{link.kind}: {why}"]
    outcome = f"erased at {_time(row.erased)}: {row.reason}" if row.erased else row.outcome or "unknown"
    return [*first, link.destination, link.model, link.size, record.user, record.exchange, outcome]


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""


async def _verify(noted: Head | None, store: Store) -> ChainReport:
    """The database's chain; also what was noted outside of it."""
    from netgpt.app.heads import head_faults
    from netgpt.store.audit import ChainFault

    checked = await store.receipts.verify([noted] if noted else [])
    faults = await head_faults(store, read_settings().head_file)
    return replace(checked, faults=(*checked.faults, *(ChainFault(checked.head.seq, "", fault) for fault in faults)))


def _head(text: str | None) -> Head | None:
    from netgpt.store.chain import Head

    try:
        return None if text is None else Head.read(text)
    except ValueError:
        form = "a number, a colon and 64 hex digits"
        raise RequestError(f"--head is {form}, as `netgpt receipts head` prints it") from None


def _check_file(file: Path, noted: Head | None, trusted: str | None) -> tuple[CheckedFile, bool]:
    """The outcome, and whether the box at hand has signed the file (then its tags are checked too)."""
    from netgpt.store.audit import check_file, public_key

    key = None
    if read_settings().has_store:
        key = with_store(lambda store: store.receipts.with_records(lambda _records, key: key))

    def lines() -> Iterator[str]:
        return (line for _, line in lines_in(file, RequestError))

    found = check_file(lines(), None, noted=noted, trusted=trusted)
    if key is None or found.public_key != public_key(key):
        return found, False
    return check_file(lines(), key, noted=noted, trusted=trusted), True


def _checked_as_json(checked: ChainReport) -> dict[str, Any]:
    return {
        "whole": checked.whole, "receipts": checked.receipts, "erased": checked.erased, "head": str(checked.head),
        "tags_checked": checked.keyed,
        "faults": [{"seq": fault.seq, "id": fault.id, "what": fault.what} for fault in checked.faults],
    }  # fmt: skip


def _show_checked(checked: ChainReport, remark: str) -> None:
    state = "whole" if checked.whole else f"NOT WHOLE: {len(checked.faults)} faults"
    count = f"{checked.receipts}, of which {checked.erased} were erased as the chain says"
    rows = [("chain", f"{state} ({remark})"), ("receipts", count), ("head", str(checked.head))]
    rows += [(f"receipt {fault.seq}", f"{fault.id} {fault.what}".strip()) for fault in checked.faults[:SHOWN_FAULTS]]
    print_table(["what", "value"], rows)
