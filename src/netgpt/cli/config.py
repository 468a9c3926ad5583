"""`netgpt config`: check the settings, and what they name, before a gateway starts with them; show them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import json_option, opened_files, print_json, print_table, reports_errors, say
from netgpt.errors import NetGPTError, SettingsError
from netgpt.settings import TABLES, Settings, load_settings, misspelt_variables

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@app.command()
@reports_errors
def check(file: Path = typer.Argument(None, help="A netgpt.toml; the one in use when left out.")) -> None:
    """Read the settings and what they name (rules, weights, certificates), and say what is wrong and what would be
    right."""
    settings = load_settings(file)
    if faults := list(faults_of(settings)):
        raise SettingsError("\n".join(faults))
    for remark in remarks_on(settings):
        say(remark)
    typer.echo("settings are right")


def faults_of(settings: Settings) -> Iterator[str]:
    """What is well written and cannot work: one line each, with the cure. Nothing is started and nobody is asked."""
    yield from misspelt_variables(os.environ)
    yield from _files_that_lack(settings)
    for part in (_policy, _weights):
        try:
            part(settings)
        except NetGPTError as error:
            yield error.message


def _policy(settings: Settings) -> None:
    from netgpt.policy import Policy

    Policy.load(settings.policy.set)


def _weights(settings: Settings) -> None:
    """The built-in engine's file is there; where nothing was fetched yet, a known name is enough."""
    from netgpt.models.catalog import BUNDLED, Catalog
    from netgpt.models.offers import offers

    edge = settings.edge
    if edge.base_url is not None or edge.is_off or edge.model in BUNDLED or edge.model in offers():
        return
    if not settings.has_store:  # no box is made for a look
        if not Path(edge.model).expanduser().is_file():
            raise SettingsError(
                f"edge.model: {edge.model} is neither a file nor a known name: `netgpt models recommend` shows names"
            )
        return
    with opened_files(settings) as files:
        Catalog(settings.models_dir, files).resolve(edge.model)


def _files_that_lack(settings: Settings) -> Iterator[str]:
    """Certificates and keys that are named and not there."""
    sections: dict[str, Any] = {"server": settings.server, "oidc": settings.oidc, "insights": settings.insights}
    sections |= {"cloud": settings.cloud, **{f"upstreams.{each.name}": each for each in settings.upstreams}}
    for section, values in sections.items():
        for name in type(values).model_fields:
            path = getattr(values, name)
            if isinstance(path, Path) and not path.expanduser().exists():
                yield f"{section}.{name}: {path} is not there; name the file, or take the setting out"


def remarks_on(settings: Settings) -> Iterator[str]:
    """What works and is seldom meant."""
    for target, remote in settings.remotes.items():
        if remote.api_key is None and not remote.headers and (remote.base_url or "").startswith("https://"):
            section = "cloud" if target == "cloud" else f"upstreams.{target}"
            yield f"{section}.api_key is not set: most clouds refuse requests without one. `netgpt doctor --try-cloud`"


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
