"""`netgpt config`: check the settings, and what they name, before a gateway starts with them; show them. And
`netgpt plugins`: what other packages plug in, and whether it is used."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import json_option, opened_files, print_json, print_table, read_settings, reports_errors, say
from netgpt.errors import SettingsError
from netgpt.registry import origin_of
from netgpt.settings import TABLES, Settings, load_settings, misspelt_variables

if TYPE_CHECKING:
    from netgpt.app.doctor import Row

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@app.command()
@reports_errors
def check(
    file: Path = typer.Argument(None, help="A netgpt.toml; the one in use when left out."),
    as_json: bool = json_option,
) -> None:
    """Read the settings and what they name (rules, weights, certificates), and say what is wrong and what would be
    right."""
    from netgpt.app.checking import faults_of, remarks_on

    faults, remarks = list[str](), list[str]()
    try:
        settings = load_settings(file)
        faults, remarks = list(faults_of(settings, opened_files, file)), list(remarks_on(settings))
    except SettingsError as error:
        faults = [*error.message.splitlines(), *misspelt_variables(os.environ)]
    if as_json:
        print_json({"right": not faults, "faults": faults, "remarks": remarks})
        raise typer.Exit(1 if faults else 0)
    if faults:
        raise SettingsError("\n".join(faults))
    for remark in remarks:
        say(remark)
    typer.echo("settings are right")


@app.command()
@reports_errors
def show(file: Path = typer.Argument(None, help="A netgpt.toml."), as_json: bool = json_option) -> None:
    """Print every setting as it is in force; secrets are masked."""
    values = load_settings(file).model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        print_table(["setting", "value", "meaning"], list(_flat(values)))


def _flat(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name, value in values.items():
        field = Settings.model_fields[name]
        if table := TABLES.get(name):
            meaning = {key: inner.description or "" for key, inner in table.model_fields.items()}
            rows += [(f"{name}.{each['name']}.{key}", str(each[key]), meaning[key]) for each in value for key in each]
        elif isinstance(value, dict):
            section: Any = field.annotation
            fields = section.model_fields
            rows += [(f"{name}.{key}", str(inner), fields[key].description or "") for key, inner in value.items()]
        else:
            rows.append((name, str(value), field.description or ""))
    return rows


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
    from netgpt.app.doctor import plugged

    return plugged(built_in=built_in) + _commands()


def _commands() -> list[Row]:
    """Commands are imported only when they are called."""
    from netgpt.app.doctor import plugin_row
    from netgpt.cli import BENCH, COMMANDS, GROUP

    rows = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        taken = point.name in COMMANDS.keys() - {BENCH}
        state, why = ("refused", "the name is taken") if taken else ("active", "")
        rows.append(plugin_row("command", point.name, origin_of(point), state, why))
    return rows


def _state(row: Row) -> str:
    return f"{row['state']}: {row['why']}" if row["why"] else row["state"]
