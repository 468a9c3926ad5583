"""`netgpt mcp`: the box as a server of tools on standard input and output; `netgpt tools`: other servers' tools."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    json_option,
    opened_files,
    plain,
    print_json,
    print_table,
    read_settings,
    reports_errors,
    run,
    say,
)
from netgpt.errors import NotFound
from netgpt.types import ANONYMOUS, LOCAL_TENANT, Caller, Role

if TYPE_CHECKING:
    from netgpt.settings import Settings
    from netgpt.settings.tools import ToolServer
    from netgpt.tools import ToolOffer

app = typer.Typer(no_args_is_help=True, help="Servers of tools behind the box ([[tools]]): list, approve.")


@reports_errors
def mcp(
    user: str = typer.Option(ANONYMOUS, help="The person for whom the agent works: it sees what is theirs alone."),
    local: bool = typer.Option(
        False, "--local", help="The agent's model is your own: it gets the words themselves, not placeholders."
    ),
) -> None:
    """Serve an agent by the Model Context Protocol, on standard input and output.

    For programs that start their servers themselves. A gateway that runs offers the same at /mcp.
    """
    from netgpt.tools import is_installed, missing

    if not is_installed():
        raise missing()
    settings = read_settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    run(_served(settings, user, local))


async def _served(settings: Settings, user: str, local: bool) -> None:
    from netgpt.app.gateway import open_gateway
    from netgpt.web.app import create_app
    from netgpt.web.auth import CALLER
    from netgpt.web.mcp import LOCAL, TALK, AgentsDoor, agents_of

    gateway = open_gateway(settings)
    door: AgentsDoor | None = None
    try:
        door = agents_of(create_app(gateway))
        await gateway.start()
        caller = Caller(LOCAL_TENANT, Role.ADMIN, bound_user=user)
        here = ("127.0.0.1", 0)
        server = await door.server(
            {"type": "http", "http_version": "1.1", "scheme": "http", "client": here, "server": here, "app": door.app,
             CALLER: caller, LOCAL: local, TALK: secrets.token_hex(8)}
        )  # fmt: skip
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (heard, said):
            await server.run(heard, said, server.create_initialization_options())
    finally:
        if door is not None:
            await door.close()
        await gateway.close()


@app.command("list")
@reports_errors
def list_tools(as_json: bool = json_option) -> None:
    """Connect to the servers of [[tools]] and show what they say of their tools, and which are offered."""
    rows = []
    for server, offers, held in run(_read(read_settings(), None)):
        if isinstance(offers, str):
            rows.append({"server": server.name, "tool": "", "state": offers, "sees": [], "words": ""})
            continue
        for offer in offers:
            state = held[offer.name] or "offered"
            words = plain(offer.description)
            rows.append(
                {"server": server.name, "tool": offer.tool, "state": state, "sees": list(server.sees), "words": words}
            )
    if as_json:
        print_json(rows)
        return
    table = [(row["server"], row["tool"], row["state"], ", ".join(row["sees"]), row["words"]) for row in rows]
    print_table(["server", "tool", "state", "may see", "what the server says (not NetGPT's words)"], table)


@app.command()
@reports_errors
def approve(name: str = typer.Argument(help="The server's name in [[tools]]."), as_json: bool = json_option) -> None:
    """Read a server's tools, show their words, and let them count as they stand. A later change holds a tool back."""
    settings = read_settings()
    ((_, offers, _),) = run(_read(settings, name))
    if isinstance(offers, str):
        raise NotFound(offers, param="name")
    from netgpt.tools.approvals import Approvals

    with opened_files(settings) as proof:
        Approvals(settings.home, proof).approve(name, offers)
    if as_json:
        told = [{"name": each.name, "approved": not each.fault, "fault": each.fault or None} for each in offers]
        return print_json({"server": name, "tools": told})
    for offer in offers:
        say(plain(f"{offer.name}: {offer.fault or 'approved'}. It says: {offer.description}"))


Read = tuple["ToolServer", "Sequence[ToolOffer] | str", dict[str, str]]


async def _read(settings: Settings, name: str | None) -> list[Read]:
    """Each server with what it offers, or why it cannot be asked; and why a tool is held back, by its name. Raises
    NotFound: no such server, or the extra is missing."""
    from netgpt.errors import NetGPTError
    from netgpt.store.store import open_store
    from netgpt.tools import is_installed, missing
    from netgpt.tools.approvals import Approvals
    from netgpt.tools.servers import ToolConnection

    if not is_installed():
        raise missing()
    wanted = [each for each in settings.tools if name in (None, each.name)]
    if name is not None and not wanted:
        raise NotFound(f"no [[tools]] of the settings is called {name}", param="name")
    store = open_store(settings)
    found: list[Any] = []
    try:
        approvals = Approvals(settings.home, store.files)
        for each in wanted:
            connection = ToolConnection(each, settings.home)
            try:
                offers = await connection.offers()
                found.append((each, offers, {offer.name: approvals.held_because(offer) for offer in offers}))
            except NetGPTError as error:
                found.append((each, error.message, {}))
            finally:
                await connection.close()
    finally:
        await store.close()
    return found
