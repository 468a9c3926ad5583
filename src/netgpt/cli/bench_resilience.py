"""`netgpt bench overload`, `blackout` and `soak`: too much is asked, the link goes, and a long time of both."""

from __future__ import annotations

from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, run

__all__ = ["blackout", "overload", "soak"]


@errors_told
def overload(
    slots: int = typer.Option(8, min=1, help="Answers that the scripted edge writes at once."),
    service_s: float = typer.Option(1.0, min=0.01, help="Seconds that it takes for one."),
    times: float = typer.Option(5.0, min=0.5, help="The load, in multiples of what the edge can do."),
    seconds: float = typer.Option(60.0, min=2, help="For so long."),
    unloaded_s: float = typer.Option(20.0, min=2, help="Seconds of little load before, to compare with."),
    seed: int = typer.Option(7, help="Seed of the moments at which callers ask."),
    as_json: bool = json_option,
) -> None:
    """More than the box can do: who is answered, how fast, who is refused; one greedy key beside ten modest ones."""
    from netgpt.bench import overload as bench

    plan: dict[str, Any] = {
        "slots": slots, "service_s": service_s, "times": times, "seconds": seconds, "unloaded_s": unloaded_s,
        "seed": seed,
    }  # fmt: skip
    _show("overload", run(bench.run(**plan, progress=_told)), as_json)


@errors_told
def blackout(
    streams: int = typer.Option(50, min=1, help="Callers that stream without a pause."),
    stored: int = typer.Option(20, min=0, max=20, help="Requests that may wait, sent while the link is cut."),
    cut_s: float = typer.Option(60.0, min=4, help="Seconds for which the link to the cloud is cut."),
    as_json: bool = json_option,
) -> None:
    """The link to the cloud is cut under streams: hung requests, false clean ends, what is stored is sent once."""
    from netgpt.bench import blackout as bench

    _show("blackout", run(bench.run(streams=streams, stored=stored, cut_s=cut_s, progress=_told)), as_json)


@errors_told
def soak(
    requests: int = typer.Option(50_000, min=20, help="Requests in all."),
    hangups: float = typer.Option(
        0.25, min=0, max=1, help="Share of callers that mean to leave; some answers end first."
    ),
    connections: int = typer.Option(24, min=1, help="Callers at once."),
    seed: int = typer.Option(7, help="Seed of who leaves when."),
    as_json: bool = json_option,
) -> None:
    """Many requests and hang-ups: memory and open files over time, and how soon abandoned calls are cancelled."""
    from netgpt.bench import soak as bench

    plan: dict[str, Any] = {"requests": requests, "hangups": hangups, "connections": connections, "seed": seed}
    _show("soak", run(bench.run(**plan, progress=_told)), as_json)


def _show(title: str, result: dict[str, Any], as_json: bool) -> None:
    from netgpt.bench.report import print_result

    print_result(title, result, as_json)


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
