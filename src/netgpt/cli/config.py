"""`netgpt config`: check the settings, and what they name, before a gateway starts with them; show them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer

from netgpt.cli.common import json_option, opened_files, print_json, print_table, reports_errors, say
from netgpt.errors import NetGPTError, SettingsError
from netgpt.settings import TABLES, Settings, load_settings, misspelt_variables, where_is

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@app.command()
@reports_errors
def check(
    file: Path = typer.Argument(None, help="A netgpt.toml; the one in use when left out."),
    as_json: bool = json_option,
) -> None:
    """Read the settings and what they name (rules, weights, certificates), and say what is wrong and what would be
    right."""
    faults, remarks = list[str](), list[str]()
    try:
        settings = load_settings(file)
        faults, remarks = list(faults_of(settings, file)), list(remarks_on(settings))
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


def faults_of(settings: Settings, file: Path | None = None) -> Iterator[str]:
    """What is well written and cannot work: one line each, with the cure. Nothing is started and nobody is asked."""
    yield from misspelt_variables(os.environ)
    yield from _files_that_lack(settings)
    for name, part in _PARTS.items():
        try:
            part(settings)
        except NetGPTError as error:
            told = error.message.removeprefix(f"{name}: ")
            yield f"{where_is(name, file)}: {told}"


def _policy(settings: Settings) -> None:
    from netgpt.policy import Policy

    Policy.load(settings.policy.set)


def _aliases(settings: Settings) -> None:
    from netgpt.routing.names import model_names

    model_names(settings)


def _languages(settings: Settings) -> None:
    from netgpt.privacy.scripts import checked

    checked(settings.privacy.languages)


def _cloud_models(settings: Settings) -> None:
    for target, remote in settings.remotes.items():
        if not remote.model.strip():
            raise SettingsError(f"name the model that {target} is asked for, such as gpt-4o-mini")


def _weights(settings: Settings) -> None:
    """The built-in engine's file is there; where nothing was fetched yet, a known name is enough."""
    from netgpt.models.catalog import BUNDLED, Catalog
    from netgpt.models.offers import offers

    edge = settings.edge
    if edge.base_url is not None or edge.is_off or edge.model in BUNDLED or edge.model in offers():
        return
    if not settings.database.exists():  # no box is made for a look
        if not Path(edge.model).expanduser().is_file():
            raise SettingsError(
                f"edge.model: {edge.model} is neither a file nor a known name: `netgpt models recommend` shows names"
            )
        return
    with opened_files(settings) as files:
        Catalog(settings.models_dir, files).resolve(edge.model)


_PARTS: Final[Mapping[str, Callable[[Settings], None]]] = {
    "policy.set": _policy, "edge.model": _weights, "models.aliases": _aliases, "privacy.languages": _languages,
    "cloud.model": _cloud_models,
}  # fmt: skip
"""What each of these names has to be there."""


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
    from netgpt.models.catalog import BUNDLED
    from netgpt.privacy.registry import families

    for kind in settings.privacy.sensitive_kinds:  # one of a profile's may have any name
        if kind not in families() and (near := difflib.get_close_matches(kind.upper(), families(), 1, 0.75)):
            yield f'privacy.sensitive_kinds: no detector finds "{kind}"; did you mean "{near[0]}"?'
    edge = settings.edge
    if edge.base_url is None and (file := BUNDLED.get(edge.model)) and not (settings.models_dir / file.file).is_file():
        yield f"edge.model: {edge.model} is not fetched yet: `netgpt models pull`"
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
