"""`netgpt keys`: make, list and revoke API keys."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json, print_table
from netgpt.cli.storing import with_store
from netgpt.errors import NotFound, RequestError
from netgpt.store.keys import new_key
from netgpt.store.rows import KeyRow
from netgpt.types import Role

__all__ = ["app"]

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
@errors_told
def create(
    name: str = typer.Option("", help="What the key is for; shown in the list."),
    role: Role = typer.Option(Role.USER, help="user: ask, see its own; operator: run the box; admin: keys as well."),
    tenant: str = typer.Option("local", help="The tenant whose rows the key opens."),
    user: str | None = typer.Option(None, help="The only person the key may speak for."),
    expires_days: float | None = typer.Option(None, min=0.001, max=36500, help="Days until the key stops working."),
    as_json: bool = json_option,
) -> None:
    """Make a key and print its secret. The secret is shown once and kept nowhere."""
    now = datetime.now(UTC)
    expires = now + timedelta(days=expires_days) if expires_days is not None else None
    id, secret, hash = new_key()
    if user is not None and not user.strip():
        raise RequestError("--user is empty: name the person, or leave the option out for any person.", param="user")
    row = KeyRow(id, hash, tenant, role, user, name, now, expires)
    with_store(lambda store: store.add_key(row))
    if as_json:
        print_json(_public(row) | {"secret": secret})
        return
    console.print(
        f"Key {id} ({role}, tenant {tenant}). Keep the secret now: it is not shown again.", markup=False, soft_wrap=True
    )
    sys.stdout.write(secret + "\n")


@app.command("list")
@errors_told
def list_keys(as_json: bool = json_option) -> None:
    """List the keys, revoked and expired ones too. Never shows a secret."""
    rows = with_store(lambda store: store.keys())
    if as_json:
        print_json([_public(row) for row in rows])
        return
    columns = ("id", "name", "role", "tenant", "user", "created", "expires", "state")
    print_table(columns, [[_cell(_public(row)[column]) for column in columns] for row in rows])


@app.command()
@errors_told
def revoke(id: str = typer.Argument(help="The id that `netgpt keys list` shows (key_...).")) -> None:
    """Take a key out of force at once."""
    if not with_store(lambda store: store.revoke_key(id)):
        raise NotFound(f"no key {id} in force: `netgpt keys list` shows them", param="id")
    console.print(f"Key {id} is revoked. Every call still needs a key.", markup=False, soft_wrap=True)


def _public(row: KeyRow) -> dict[str, Any]:
    expired = row.expires is not None and row.expires <= datetime.now(UTC)
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role.value,
        "tenant": row.tenant,
        "user": row.user,
        "created": row.created.isoformat(timespec="seconds"),
        "expires": row.expires.isoformat(timespec="seconds") if row.expires else None,
        "revoked": row.revoked.isoformat(timespec="seconds") if row.revoked else None,
        "state": "revoked" if row.revoked else "expired" if expired else "in force",
    }


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("+00:00", "Z")
