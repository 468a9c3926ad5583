"""`netgpt config`: are the settings right, and what are they."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import errors_told, json_option, print_json, print_table
from netgpt.settings import Settings, Upstream, load_settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@app.command()
@errors_told
def check(file: Path = typer.Argument(None, help="A netgpt.toml; the one in use when left out.")) -> None:
    """Read the settings and say what is wrong: file, line, and what would be right."""
    load_settings(file)
    typer.echo("settings are right")


@app.command()
@errors_told
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
        if name == "upstreams":
            meaning = {key: inner.description or "" for key, inner in Upstream.model_fields.items()}
            rows += [(f"{name}.{each['name']}.{key}", str(each[key]), meaning[key]) for each in value for key in each]
        elif isinstance(value, dict):
            section: Any = field.annotation
            for key, inner in value.items():
                rows.append((f"{name}.{key}", str(inner), section.model_fields[key].description or ""))
        else:
            rows.append((name, str(value), field.description or ""))
    return rows
