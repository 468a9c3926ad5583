"""`netgpt config`: check the settings, and what they name, before a gateway starts with them; show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import json_option, opened_files, print_json, print_table, reports_errors, say
from netgpt.errors import SettingsError
from netgpt.settings import TABLES, Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@app.command()
@reports_errors
def check(file: Path = typer.Argument(None, help="A netgpt.toml; the one in use when left out.")) -> None:
    """Read the settings and what they name (rules, weights, certificates), and say what is wrong and what would be
    right."""
    from netgpt.app.checking import faults_of, remarks_on

    settings = load_settings(file)
    if faults := list(faults_of(settings, opened_files)):
        raise SettingsError("\n".join(faults))
    for remark in remarks_on(settings):
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
