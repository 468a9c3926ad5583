"""`netgpt waiting`: requests that nobody could answer, kept to be sent once; and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import json_option, print_details, print_json, print_table, reports_errors, tell, with_store
from netgpt.errors import NotFound
from netgpt.types import Person

if TYPE_CHECKING:
    from netgpt.store.queue import WaitingRow


app = typer.Typer(help="Requests that wait to be sent: list, show, cancel.", no_args_is_help=True)

_ID = typer.Argument(help="The request's id (wt_...).")


@app.command("list")
@reports_errors
def list_waiting(
    user: str | None = typer.Option(None, help="Only this person's."),
    tenant: str = typer.Option("local", help="The person's tenant."),
    limit: int = typer.Option(100, min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = json_option,
) -> None:
    """List requests that wait, or waited; newest first, without texts."""
    person = Person(tenant, user) if user is not None else None
    rows = with_store(lambda store: store.waiting.page(person, None, limit))
    shown = [_as_dict(row) for row in rows]
    if as_json:
        return print_json(shown)
    columns = ("id", "status", "created", "expires", "tries", "person", "exchange")
    print_table(columns, [[row[name] for name in columns] for row in shown])


@app.command()
@reports_errors
def show(waiting: str = _ID, as_json: bool = json_option) -> None:
    """Show one request: what was asked, where it stands, and its answer."""
    row = with_store(lambda store: store.waiting.find(waiting))
    if row is None:
        raise NotFound(f"no waiting request {waiting[:80]}: `netgpt waiting list` shows them")
    kept = row.private or {}
    print_details(_as_dict(row) | {name: kept.get(name) for name in ("request", "answer", "error")}, as_json)


@app.command()
@reports_errors
def cancel(waiting: str = _ID, as_json: bool = json_option) -> None:
    """Do not send a request; or delete one that has ended, with its answer."""
    with_store(lambda store: store.waiting.cancel(waiting))
    tell(f"{waiting} is deleted", as_json, id=waiting, deleted=True)


def _as_dict(row: WaitingRow) -> dict[str, Any]:
    return {
        "id": row.id, "status": row.state, "tries": row.tries, "tenant": row.tenant, "person": row.user,
        "created": f"{row.created:%Y-%m-%d %H:%M:%S}", "expires": f"{row.expires:%Y-%m-%d %H:%M:%S}",
        "exchange": row.exchange,
    }  # fmt: skip
