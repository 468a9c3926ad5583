"""`netgpt plugins`: what other packages plug in, and whether it is used."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from netgpt.app.doctor import Row, plugged, plugin_row
from netgpt.cli.common import json_option, print_json, print_table, read_settings, reports_errors
from netgpt.registry import origin_of


@reports_errors
def plugins(
    everything: bool = typer.Option(False, "--all", help="Show what is built in too."), as_json: bool = json_option
) -> None:
    """What other packages plug in, and what became of it."""
    read_settings()
    rows = listing(built_in=everything)
    if as_json:
        return print_json(rows)
    print_table(("sort", "name", "from", "state"), [(*list(row.values())[:3], _state(row)) for row in rows])


def listing(*, built_in: bool = False) -> list[Row]:
    """Rows of sort, name, origin, state (active, off, refused) and why."""
    return plugged(built_in=built_in) + _commands()


def _commands() -> list[Row]:
    """Commands are imported only when they are called."""
    from netgpt.cli import BENCH, COMMANDS, GROUP

    rows = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        taken = point.name in COMMANDS.keys() - {BENCH}
        state, why = ("refused", "the name is taken") if taken else ("active", "")
        rows.append(plugin_row("command", point.name, origin_of(point), state, why))
    return rows


def _state(row: Row) -> str:
    return f"{row['state']}: {row['why']}" if row["why"] else row["state"]
