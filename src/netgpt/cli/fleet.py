"""`netgpt fleet`: several boxes under one control: its orders are signed, boxes tell figures and never texts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netgpt.cli.common import json_option, plain, print_json, print_table, read_settings, reports_errors, run, say
from netgpt.errors import RequestError, StoreError

if TYPE_CHECKING:
    from netgpt.fleet.control import BoxState, Control

app = typer.Typer(help="Several boxes under one control: rules and adapters for all of them.", no_args_is_help=True)

WATCH_S = 2.0
"""Seconds between two looks at all boxes: a box that was cut off is up to date within them."""

folder_argument = typer.Argument(Path("fleet"), help="The control's folder.")


def _control(folder: Path) -> Control:
    from netgpt.fleet.control import Control

    return Control(folder)


@app.command()
@reports_errors
def init(folder: Path = folder_argument) -> None:
    """Make a control: a folder with a key that signs. Keep the folder as you keep a password."""
    from netgpt.fleet.control import Control

    control = Control.make(folder)
    say(f"The control is in {control.folder}. On each box: netgpt fleet join NAME {control.public_key}")


@app.command()
@reports_errors
def show(folder: Path = folder_argument, as_json: bool = json_option) -> None:
    """The control's public key, its boxes, and its newest orders."""
    control = _control(folder)
    found = control.newest()
    orders = found[1].model_dump(mode="json", exclude_none=True) if found else None
    if as_json:
        boxes = [each.model_dump(exclude={"key"}) for each in control.boxes.values()]
        return print_json({"key": control.public_key, "boxes": boxes, "orders": orders})
    say(f"fleet.key = {control.public_key}")
    print_table(("box", "address"), [(each.name, each.url) for each in control.boxes.values()])
    if found:
        say(f"orders {found[1].version} of {found[1].made:%Y-%m-%d %H:%M}")
        rows = [("policy", found[1].policy.sha256[:12])] if found[1].policy else []
        print_table(("what", "which"), rows + [(each.id, each.state) for each in found[1].adapters])


@app.command()
@reports_errors
def join(
    name: str = typer.Argument(help="What this box is called in its fleet: small letters, digits, hyphens."),
    key: str = typer.Argument(help="The control's public key, as `netgpt fleet init` or `show` says it."),
) -> None:
    """On a box: prepare it for a fleet, and say what its owner has to write into netgpt.toml."""
    from netgpt.fleet.box import policy_file
    from netgpt.models.download import write_whole
    from netgpt.policy import own_text
    from netgpt.settings.sections import FleetSettings

    try:
        FleetSettings(box=name, key=key)
    except ValueError:
        raise RequestError("a box's name has small letters, digits and hyphens; a key 64 digits of 0-9a-f") from None
    settings = read_settings()
    path = policy_file(settings.home)
    if not path.exists():
        text, _ = own_text(settings.policy.set)
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # `parents` alone would open it to others
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(path, text, StoreError)
    typer.echo(f'[fleet]\nbox = "{name}"\nkey = "{key}"\n\n[policy]\nset = "{path}"')
    say("Write these lines into netgpt.toml (the rules in force now were copied there), and start the box again. Then "
        "make a key for the control: netgpt keys create --role operator --scope fleet --name control")  # fmt: skip


@app.command()
@reports_errors
def add(
    name: str = typer.Argument(help="The box's name, as in its `fleet.box`."),
    url: str = typer.Argument(help="Its address, such as https://10.0.0.7:8443"),
    folder: Path = folder_argument,
    key: str = typer.Option("", envvar="NETGPT_FLEET_KEY", help="A key of that box with the scope `fleet`."),
    ca: Path | None = typer.Option(None, help="The authority of its certificate, as a PEM file."),
    cert: Path | None = typer.Option(None, help="The certificate that the control shows to it."),
    cert_key: Path | None = typer.Option(None, help="That certificate's key."),
) -> None:
    """Know a box, or know it anew."""
    from pydantic import ValidationError

    from netgpt.fleet.control import KnownBox

    files = {word: str(path.expanduser().absolute()) for word, path in
             (("ca", ca), ("cert", cert), ("cert_key", cert_key)) if path is not None}  # fmt: skip
    try:
        box = KnownBox.model_validate({"name": name, "url": url.rstrip("/"), "key": key.strip(), **files})
    except ValidationError as error:
        where = error.errors(include_input=False, include_url=False)[0]["loc"][0]
        raise RequestError(f"{where}: a box needs a name, and an address such as https://10.0.0.7:8443") from None
    _control(folder).add(box)
    say(f"{name} is known: `netgpt fleet push` brings it up to date")


@app.command()
@reports_errors
def remove(name: str = typer.Argument(help="The box's name."), folder: Path = folder_argument) -> None:
    """Know a box no longer. It goes on with what it has until its owner takes `fleet.key` out."""
    _control(folder).remove(name)


@app.command()
@reports_errors
def order(
    folder: Path = folder_argument,
    policy: Path | None = typer.Option(None, help="Rules in Cedar for every box."),
    cases: Path | None = typer.Option(None, help="A table on which each box tries them first."),
    adapter: list[Path] = typer.Option([], help="Folder of an adapter (adapter.gguf, card.json); again for each."),
    state: str = typer.Option("active", help="What becomes of these adapters: active, canary, candidate, off."),
    share: float | None = typer.Option(None, help="A canary's share of the people."),
) -> None:
    """Make the next orders and sign them. What is not named stays as the last orders said."""
    orders = _control(folder).order(policy=policy, cases=cases, adapters=[(each, state, share) for each in adapter])
    say(f"orders {orders.version} are signed: `netgpt fleet push {folder}`")


@app.command()
@reports_errors
def push(
    folder: Path = folder_argument,
    box: list[str] = typer.Option([], help="Only these boxes."),
    watch: bool = typer.Option(False, "--watch", help=f"Go on: look every {WATCH_S:g} s, until Ctrl-C."),
    as_json: bool = json_option,
) -> None:
    """Bring the boxes up to date, and say how each stands. Exit code 1 where one is not up to date."""
    states = run(_pushed(folder, box, watch, as_json))
    if any(each.state not in ("current", "followed") for each in states):
        raise typer.Exit(1)


async def _pushed(folder: Path, names: Sequence[str], watch: bool, as_json: bool) -> Sequence[BoxState]:
    """How each stands, shown; with `watch` again whenever one stands otherwise. The boxes are read once, the orders
    at each round."""
    control, before = _control(folder), dict[str, str]()
    try:
        while True:
            states = await control.push(names)
            if news := [each for each in states if before.get(each.name) != each.state]:
                _show(news, as_json)
            if not watch:
                return states
            before = {each.name: "current" if each.state == "followed" else each.state for each in states}
            await asyncio.sleep(WATCH_S)
    finally:
        await control.close()


def _show(states: Sequence[BoxState], as_json: bool) -> None:
    if as_json:
        return print_json([each.as_dict() for each in states])
    rows = []
    for each in states:
        report = each.report or {}
        parts = report.get("parts") or {}
        broken = [plain(part) for part, fine in parts.items() if not fine]
        answered = sum((report.get("answered") or {}).values())
        rows.append((each.name, each.state, each.version if each.version is not None else "-",
                     "all" if parts and not broken else ", ".join(broken) + " not" if broken else "-",
                     answered, plain(each.why) or "-"))  # fmt: skip
    print_table(("box", "state", "orders", "works", "answered", "why"), rows)


@app.command()
@reports_errors
def plan(
    topology: Path = typer.Argument(help="Nodes, links and flows (TOML): see docs/design/fleet.md."),
    as_json: bool = json_option,
) -> None:
    """Where the stages of several flows should run: on devices, boxes, a site's server or a cloud. Changes nothing."""
    from dataclasses import asdict

    from pydantic import ValidationError

    from netgpt.files import parse_toml, read_text
    from netgpt.fleet.placement import Planner, Topology

    given = parse_toml(read_text(topology, RequestError), topology, RequestError)
    try:
        planner = Planner(Topology.model_validate(given))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise RequestError(f"{topology}: {where + ': ' if where else ''}{fault['msg']}") from None
    found = planner.plan()
    if as_json:
        return print_json(asdict(found))
    stages = {flow.name: [stage.name for stage in flow.stages] for flow in planner.topology.flows}
    rows = []
    for each in found.placed:
        where = ", ".join(map("{} at {}".format, stages[each.flow], each.nodes))
        costs = f"{each.seconds:.2f} s", f"{each.joules:.1f} J", f"{each.money:.4g}"
        rows.append((each.flow, where, *costs, each.why))
    print_table(("flow", "where", "a request takes", "draws", "costs", "why"), rows)
    loads = [(name, f"{load:.0%}", f"{found.memory_mb[name]:.0f}") for name, load in found.load.items()]
    print_table(("node", "cores in use", "memory, MB"), loads)
    say(f"value {found.value:.4g} a second; no plan can be below {found.bound:.4g}")
