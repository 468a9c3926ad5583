"""`netgpt bench link`: decisions over links that change, and `netgpt bench neighbours`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json, run
from netgpt.errors import RequestError

__all__ = ["link", "neighbours"]


@errors_told
def link(
    data: Path | None = typer.Option(
        None, help="Folder of recorded links (5g_ucc*.csv, bw_mixed*.csv, starlink_autobahn*.csv); else made ones."
    ),
    seconds: float = typer.Option(60.0, min=10, help="Seconds of each trace: its liveliest part."),
    traces: int = typer.Option(2, min=0, help="Recorded traces of each family, drawn by the seed; 0: all."),
    rate: float = typer.Option(2.0, min=0.05, help="Requests a second."),
    at_once: int = typer.Option(3, min=1, help="Traces side by side in each of two processes."),
    plot: Path | None = typer.Option(None, help="Write the plot to this SVG file."),
    seed: int = typer.Option(7, help="Seed of requests, losses and made links."),
    as_json: bool = json_option,
) -> None:
    """Adaptive, edge-only, cloud-only and a fixed threshold over links that change: answered, late, quality, flaps."""
    from netgpt.bench import link_run as bench

    if plot is not None and (plot.suffix.lower() != ".svg" or not plot.parent.is_dir()):
        raise RequestError(f"--plot {plot}: name an .svg file in a folder that exists", param="plot")
    plan = bench.LinkPlan(seconds=seconds, per_family=traces, rate=rate, at_once=at_once)
    result = run(bench.run(data, plan, seed=seed, progress=_told))
    if plot is not None:
        from netgpt.bench.link_plot import svg

        plot.write_text(svg(result), encoding="utf-8")
        _told(f"the plot is in {plot}")
    _show(result, as_json)


@errors_told
def neighbours(
    seconds: float = typer.Option(15.0, min=3, help="Seconds of each of the four phases."),
    slots: int = typer.Option(2, min=1, help="Answers that each box's edge writes at once."),
    loopback: bool = typer.Option(False, "--loopback", help="Without network namespaces, which need root."),
    as_json: bool = json_option,
) -> None:
    """Two boxes that help each other out; the link between them is cut and restored."""
    from netgpt.bench import neighbours as bench
    from netgpt.bench.report import print_result

    plan = bench.NeighboursPlan(seconds=seconds, slots=slots)
    over = "loopback" if loopback else "namespaces"
    print_result("two boxes, each the other's neighbour", run(bench.run(plan, over=over, progress=_told)), as_json)


_TITLES = {
    "families": "links that change: by family of traces",
    "total": "links that change: all traces",
    "follow": "a link in steps: seconds until the decisions follow",
}


def _show(result: dict[str, Any], as_json: bool) -> None:
    from netgpt.bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key not in ("tables", "results")}
    if as_json:
        print_json({"title": "link", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for number, (name, rows) in enumerate(tables, 1):
        print_report(_TITLES[name], rows, {**rest, **machine()} if number == len(tables) else {})


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
