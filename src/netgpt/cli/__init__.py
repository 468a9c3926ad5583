"""The command line: one file a group of commands. Heavy parts are imported inside the commands that need them."""

from __future__ import annotations

import typer

from netgpt import __version__
from netgpt.cli import (
    adapters,
    bench,
    complete,
    config,
    demo,
    detector,
    doctor,
    keys,
    models,
    places,
    policy,
    profile,
    receipts,
    redact,
    route,
    store,
    waiting,
)
from netgpt.cli.ask import ask, explain
from netgpt.cli.serve import serve
from netgpt.cli.signals import signals
from netgpt.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
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
) -> None:
    """The options of every command stand behind it."""


app.command()(serve)
app.command("demo")(demo.demo)
app.command()(ask)
app.command()(explain)
app.command("doctor")(doctor.doctor)
app.command("redact")(redact.redact)
app.command("complete")(complete.complete)
app.command("train")(train)
app.command("signals")(signals)
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")
app.add_typer(profile.app, name="profile")
app.add_typer(receipts.app, name="receipts")
app.add_typer(places.app, name="places")
app.add_typer(policy.app, name="policy")
app.add_typer(route.app, name="route")
app.add_typer(waiting.app, name="waiting")
app.add_typer(models.app, name="models")
app.add_typer(adapters.app, name="adapters")
app.add_typer(detector.app, name="detector")
app.add_typer(store.app, name="store")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """The entry point of the `netgpt` script."""
    app()
