"""The command line: a table of commands, each imported when it is called; plug-ins join by entry point."""

from __future__ import annotations

import atexit
import difflib
import gc
import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from netgpt import __version__
from netgpt.errors import NetGPTError, NotFound

GROUP: Final = "netgpt.commands"
"""Entry points of this group are commands too: a `typer.Typer`, or a function with Typer's annotations."""
BENCH: Final = "bench"
GET_BENCH: Final = "a package of their own: `make bench` in a checkout, or `pip install ./benchmarks`"
"""The one own command that another distribution brings."""


class Command(NamedTuple):
    """Where a command is defined (`module:name`), and its text in `netgpt --help`."""

    target: str
    help: str


COMMANDS: Final = {
    "init": Command(
        "netgpt.cli.init:init", "Set up this box: a few questions, the cloud is tried, netgpt.toml is written."),
    "serve": Command("netgpt.cli.serve:serve", "Serve the OpenAI-compatible API."),
    "demo": Command(
        "netgpt.cli.demo:demo",
        "A story with a real box: what leaves, what stays, and commands to check each claim. Needs no key."),
    "ask": Command("netgpt.cli.ask:ask", "Ask one question, without a server."),
    "chat": Command("netgpt.cli.chat:chat", "A conversation in the terminal, without a server."),
    "explain": Command(
        "netgpt.cli.ask:explain",
        "Show what was asked, which facts were used, what left, what was hidden, and why it went where it went."),
    "status": Command("netgpt.cli.status:status", "What runs here, what is set up, and what went through it today."),
    "logs": Command("netgpt.cli.status:logs", "The last lines that a gateway of this home wrote."),
    "doctor": Command(
        "netgpt.cli.status:doctor",
        "Look at everything that NetGPT needs and say what is wrong. Exit code 1 when something is."),
    "redact": Command(
        "netgpt.cli.redact:redact",
        "Hide what is private in a text, as the gateway does before it sends one: the same search, policy and "
        "exceptions."),
    "complete": Command(
        "netgpt.cli.complete:complete",
        'Complete REQUEST, or every row of --jsonl: rows {"chosen", "text"} in the same order.'),
    "train": Command("netgpt.cli.train:train", "Train an adapter on this box, judge it, and list it as a candidate."),
    "signals": Command("netgpt.cli.signals:signals", "The telemetry of a running gateway: links, models and the box."),
    "mcp": Command("netgpt.cli.mcp:mcp", "Serve an agent by the Model Context Protocol, on standard input and output."),
    "tools": Command("netgpt.cli.mcp:app", "Servers of tools behind the box ([[tools]]): list, approve."),
    "config": Command("netgpt.cli.config:app", "Check and show the settings."),
    "keys": Command("netgpt.cli.keys:app", "Make, limit, list and revoke API keys."),
    "profile": Command("netgpt.cli.profile:app", "What the box knows of people: add, list, export, forget."),
    "receipts": Command("netgpt.cli.receipts:app", "What left the box: list, show, verify, export."),
    "places": Command("netgpt.cli.places:app", "Places of interest: import, list, try, remove."),
    "policy": Command("netgpt.cli.policy:app", "The rules: who may do what, and what may leave."),
    "route": Command("netgpt.cli.route:app", "Routing: how hard requests are, and what decides where they go."),
    "waiting": Command("netgpt.cli.waiting:app", "Requests that wait to be sent: list, show, cancel."),
    "models": Command("netgpt.cli.model_catalogue:app", "Weights of the model on the box."),
    "adapters": Command("netgpt.cli.adapters:app", "Adapters of the model on the box: what it learnt, by version."),
    "detector": Command("netgpt.cli.detector:app", "The finder of names and other private words."),
    "relevance": Command("netgpt.cli.detector:relevance_app", "The model that knows which facts help with a request."),
    "constraints": Command("netgpt.cli.detector:constraints_app", "The model that reads what private facts rule out."),
    "store": Command("netgpt.cli.store:app", "What is kept: change its key, check it, look at it, copy it."),
    "fleet": Command("netgpt.cli.fleet:app", "Several boxes under one control: rules and adapters for all of them."),
    "plugins": Command("netgpt.cli.config:plugins", "What other packages plug in, and what became of it."),
    BENCH: Command(
        "netgpt_bench.cli_answers:app", "Measure: prints machine, versions, commit, samples, median and spread."
    ),
}  # fmt: skip
"""Every command of NetGPT's own, in the order of the help."""


class Commands(TyperGroup):
    """Lists every command by its line of help, and imports one when it is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=command.help) for name, command in COMMANDS.items()}
        self._runs = False

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """`--home DIR` may stand anywhere, also behind the command."""
        return super().parse_args(ctx, _home_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run what was asked for. A word of a closed set that was mistyped is answered with what was probably meant."""
        self._runs = True
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(getattr(error, "message", None), str) and hasattr(error, "exit_code"):
                error.message = _with_near_miss(error)  # type: ignore[attr-defined]
            raise

    @cached_property
    def plugged(self) -> dict[str, EntryPoint]:
        """What other distributions bring, by name. None of them takes the place of an own command."""
        found = {point.name: point for point in entry_points(group=GROUP)}
        own = COMMANDS.keys() - {BENCH}
        return {name: point for name, point in found.items() if name not in own and " " not in name}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, without importing any command."""
        return [*self.commands, *(name for name in self.plugged if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command's line for the help and for completion: see `load` for the command."""
        if cmd_name not in self.commands and cmd_name in self.plugged:
            return TyperCommand(cmd_name, help=_origin(self.plugged[cmd_name]))
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run, imported. What cannot be loaded is one line of error, and touches no other command."""
        from netgpt.cli.common import reports_errors

        name, line, rest = super().resolve_command(ctx, args)
        if name is None or line is None:
            return name, line, rest
        try:
            found = self.load(name) if ctx.resilient_parsing else reports_errors(self.load)(name)
            return name, _as_shown(found) if self._runs else found, rest
        except NetGPTError:  # while a shell completes
            return name, line, rest

    def load(self, name: str) -> Any:
        """Import a command. Raises NotFound: the benchmarks are not installed; NetGPTError: a plug-in is broken."""
        if name == BENCH and name not in self.plugged:
            raise NotFound(f"benchmarks are {GET_BENCH}")
        if name in COMMANDS and name != BENCH:
            module, _, attribute = COMMANDS[name].target.partition(":")
            return _built(name, getattr(import_module(module), attribute))
        try:
            return _built(name, self.plugged[name].load())
        except Exception as error:  # noqa: BLE001 - the code of others may raise anything
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise NetGPTError(f"`netgpt {name}` ({_origin(self.plugged[name])}) cannot be loaded: {why}") from None


def _built(name: str, found: typer.Typer | Callable[..., Any]) -> Any:
    """Typer's command of an app or a function."""
    holder = typer.Typer()
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]


_LOOKS_LIKE_MARKUP: Final = re.compile(r"(?<!\\)\[(?=[a-z#/@])")
"""What rich would take for a style in a help text: "[/file.gguf]" ended the help of a command, "[@name]" was lost."""


def _as_shown(command: Any) -> Any:
    """A command whose help is printed by rich: its texts stand there as they were written, flags without a type."""
    for part in _parts(command):
        part.help = _LOOKS_LIKE_MARKUP.sub(r"\\[", part.help) if part.help else part.help
        if getattr(part, "is_flag", False):
            part.display_type_rich = lambda ctx: None
    return command


def _parts(command: Any) -> Iterator[Any]:
    """A command, its options and arguments, and those of the commands below it."""
    yield command
    yield from command.params
    for each in getattr(command, "commands", {}).values():
        yield from _parts(each)


def _home_first(args: list[str]) -> list[str]:
    """The arguments with `--home DIR` before the command.

    >>> _home_first(["status", "--home", "/srv/box", "--json"])
    ['--home', '/srv/box', 'status', '--json']
    """
    end = args.index("--") if "--" in args else len(args)
    first, rest, at = list[str](), list[str](), 0
    while at < end:
        taken = 2 if args[at] == "--home" else 1
        (first if taken == 2 or args[at].startswith("--home=") else rest).extend(args[at : min(at + taken, end)])
        at += taken
    return [*first, *rest, *args[end:]]


def _with_near_miss(error: Any) -> str:
    """The message of a usage error, in plain words: what was meant, or which words there are."""
    message: str = error.message.removeprefix("Value error, ")
    wrong, listed, among = message.partition(" is not one of ")
    if listed:
        words = re.findall(r"'([^']*)'", among)
        near = difflib.get_close_matches(wrong.strip("'").casefold(), words, 1, 0.5)
        return message + f" Did you mean '{near[0]}'?" * bool(near)
    if message.startswith("No such command") and "Did you mean" not in message and error.ctx is not None:
        return f"{message.rstrip('.')}. There are: {', '.join(error.ctx.command.list_commands(error.ctx))}."
    return message


def _origin(point: EntryPoint) -> str:
    """Which distribution a plug-in comes from, and what that says of itself."""
    if point.dist is None:
        return point.value
    summary = point.dist.metadata["Summary"]
    return f"{summary} " * bool(summary) + f"(from {point.dist.name} {point.dist.version})"


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="NetGPT: the edge half of a cloud LLM. Completes, hides, answers, and shows what left.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"netgpt {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    home: str = typer.Option(
        None, metavar="DIR", help="The folder of this box, in place of NETGPT_HOME or ~/.netgpt; with every command."
    ),
) -> None:
    """The options of every command stand behind it."""
    if home:
        os.environ["NETGPT_HOME"] = home


def main() -> None:
    """The entry point of the `netgpt` script."""
    gc.set_threshold(200_000)  # what imports make stays: looking for garbage in it is a sixth of a short command,
    atexit.register(gc.freeze)  # and as much again at its end
    app()
