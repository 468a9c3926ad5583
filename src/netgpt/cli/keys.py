"""`netgpt keys`: make, limit, list and revoke API keys."""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import json_option, print_json, print_table, reports_errors, say, tell, with_store
from netgpt.errors import NotFound, RequestError
from netgpt.settings.routing import Preset, WhenRefused
from netgpt.types import SCOPES, Role

if TYPE_CHECKING:
    from netgpt.store.schema import KeyRow, KeyUse
    from netgpt.store.store import Store


app = typer.Typer(help="Make, limit, list and revoke API keys.", no_args_is_help=True)


requests_option = typer.Option(None, "--requests-per-minute", min=0, help="Requests a minute; 0: no limit.")
tokens_minute_option = typer.Option(None, "--tokens-per-minute", min=0, help="Tokens a minute; 0: no limit.")
tokens_day_option = typer.Option(None, "--tokens-per-day", min=0, help="Tokens a day (UTC); 0: no limit.")
cost_day_option = typer.Option(None, "--cost-per-day", min=0, help="Money a day (UTC), by cloud.price_*; 0: no limit.")
cost_month_option = typer.Option(None, "--cost-per-month", min=0, help="Money a month (UTC); 0: no limit.")


@app.command()
@reports_errors
def create(
    name: str = typer.Option("", help="What the key is for; shown in the list."),
    role: Role = typer.Option(Role.USER, help="user: ask, see its own; operator: run it, see figures; admin: both."),
    tenant: str = typer.Option("local", help="The key's tenant; operators and admins of local run the box, too."),
    user: str | None = typer.Option(None, help="The only person it may speak for; none: each that it names."),
    expires_days: float | None = typer.Option(None, min=0.001, max=36500, help="Days until the key stops working."),
    scope: list[str] = typer.Option(
        [], help=f"What the key may be used for, again for each: {', '.join(SCOPES)}. None: all that its role may."
    ),
    prefer: Preset | None = typer.Option(
        None, help="What counts more where the box decides for this key; none: routing.prefer."
    ),
    fallback: WhenRefused | None = typer.Option(
        None, help="After which failures another model may answer for this key; none: routing.fallback."
    ),
    requests_per_minute: int | None = requests_option,
    tokens_per_minute: int | None = tokens_minute_option,
    tokens_per_day: int | None = tokens_day_option,
    cost_per_day: float | None = cost_day_option,
    cost_per_month: float | None = cost_month_option,
    as_json: bool = json_option,
) -> None:
    """Make a key and print its secret. The secret is shown once and kept nowhere."""
    from netgpt.store.keys import new_key, shown_key
    from netgpt.store.schema import KeyLimits, KeyRow, KeyUse

    now = datetime.now(UTC)
    expires = now + timedelta(days=expires_days) if expires_days is not None else None
    id, secret, hash = new_key()
    if user is not None and not user.strip():
        raise RequestError("--user is empty: name the person, or leave the option out for any person.", param="user")
    limits = KeyLimits(
        requests_per_minute or None, tokens_per_minute or None, tokens_per_day or None, cost_per_day or None,
        cost_per_month or None,
    )  # fmt: skip
    scopes = _checked_scopes(scope)
    row = KeyRow(
        id, hash, tenant, role, user, name, now, expires, scopes=scopes, limits=limits, prefer=prefer, fallback=fallback
    )
    with_store(lambda store: store.add_key(row))
    if as_json:
        print_json(shown_key(row, KeyUse()) | {"secret": secret})
        return
    say(f"Key {id} ({role}, tenant {tenant}). Keep the secret now: it is not shown again.")
    sys.stdout.write(secret + "\n")


@app.command("limits")
@reports_errors
def change_limits(
    id: str = typer.Argument(help="The id that `netgpt keys list` shows (key_...)."),
    scope: list[str] = typer.Option([], help='The scopes from now on; "all": all that its role may.'),
    requests_per_minute: int | None = requests_option,
    tokens_per_minute: int | None = tokens_minute_option,
    tokens_per_day: int | None = tokens_day_option,
    cost_per_day: float | None = cost_day_option,
    cost_per_month: float | None = cost_month_option,
    as_json: bool = json_option,
) -> None:
    """Change what a key may use, in force at once; what is left out stays. Without options: show it."""
    from netgpt.store.keys import shown_key

    given = {
        "requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute,
        "tokens_per_day": tokens_per_day, "cost_per_day": cost_per_day, "cost_per_month": cost_per_month,
    }  # fmt: skip
    changed = {name: value or None for name, value in given.items() if value is not None}
    scopes = (() if scope == ["all"] else _checked_scopes(scope)) if scope else None

    async def change(store: Store) -> tuple[KeyRow, KeyUse]:
        if changed or scopes is not None:
            await store.limits.change(id, changed, scopes)
        found = [row for row in await store.keys() if row.id == id]
        if not found:
            raise NotFound(f"no key {id}: `netgpt keys list` shows them", param="id")
        return found[0], await store.limits.use(id, datetime.now(UTC))

    shown = shown_key(*with_store(change))
    if as_json:
        return print_json(shown)
    rows = [[name, _cell(value), _used(shown["used"], name)] for name, value in shown["limits"].items()]
    print_table(("limit", "allowed", "used"), rows, title=f"{id} (scopes: {_cell(shown['scopes']) or 'all'})")


@app.command("list")
@reports_errors
def list_keys(as_json: bool = json_option) -> None:
    """List the keys, revoked and expired ones too, with what each may use and has used. Never shows a secret."""
    from netgpt.store.keys import shown_key
    from netgpt.store.schema import KeyUse

    async def read(store: Store) -> tuple[list[KeyRow], dict[str, KeyUse]]:
        return await store.keys(), await store.limits.all_use(datetime.now(UTC))

    rows, used = with_store(read)
    shown = [shown_key(row, used.get(row.id, KeyUse())) for row in rows]
    if as_json:
        return print_json(shown)
    print_table(("id", "name", "role", "for", "state", "may", "used"), [_line(row) for row in shown])


@app.command()
@reports_errors
def revoke(
    id: str = typer.Argument(help="The id that `netgpt keys list` shows (key_...)."), as_json: bool = json_option
) -> None:
    """Take a key out of force at once."""
    if not with_store(lambda store: store.revoke_key(id)):
        raise NotFound(f"no key {id} in force: `netgpt keys list` shows them", param="id")
    tell(f"Key {id} is revoked. Every call still needs a key.", as_json, id=id, state="revoked")


def _checked_scopes(names: list[str]) -> tuple[str, ...] | None:
    """The scopes in their usual order; None for none named. Raises RequestError."""
    for name in names:
        if name not in SCOPES:
            near = difflib.get_close_matches(name.casefold(), SCOPES, 1, 0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise RequestError(f'no scope "{name}"{hint or ";"} The scopes are {", ".join(SCOPES)}', param="scope")
    return tuple(name for name in SCOPES if name in names) or None


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value).replace("+00:00", "Z")


def _line(key: dict[str, Any]) -> list[str]:
    """A key in the seven columns that fit a terminal; `--json` has every field."""
    until = f", until {_cell(key['expires'])}" if key["expires"] and key["state"] == "in force" else ""
    words = ((name.split("_per_"), value) for name, value in key["limits"].items() if value is not None)
    limits = "; ".join(f"{value:g} {what} a {time}" for (what, time), value in words)
    prefers = key["prefer"] and f"prefers {key['prefer']}"
    falls = key["fallback"] and f"fallback {key['fallback']}"
    may = "; ".join(filter(None, (_cell(key["scopes"]), limits, prefers, falls)))
    use = key["used"]
    used = f"{use['tokens_today']} tokens, {use['cost_today']:g} cost today; {use['cost_this_month']:g} this month"
    whose = f"{key['tenant']}/{key['user']}" if key["user"] else key["tenant"]
    return [key["id"], key["name"], key["role"], whose, key["state"] + until, may, used if any(use.values()) else ""]


def _used(used: dict[str, Any], limit: str) -> str:
    name = {"tokens_per_day": "tokens_today", "cost_per_day": "cost_today", "cost_per_month": "cost_this_month"}
    return f"{used[name[limit]]:g}" if limit in name else ""
