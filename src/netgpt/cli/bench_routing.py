"""`netgpt bench routing`: what routing by difficulty is worth, beside simple ways and RouteLLM's published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json
from netgpt.errors import RequestError

__all__ = ["routing"]


@errors_told
def routing(
    data: Path = typer.Option(Path("../shared/data/routing"), help="Folder with the routing sets."),
    splits: int = typer.Option(3, min=1, help="Ways to part the rows, each with its own training."),
    seed: int = typer.Option(7, help="Seed of the parts and of the training."),
    plot: Path = typer.Option(None, help="Write the cost-quality curves to this SVG file."),
    as_json: bool = json_option,
) -> None:
    """Share of the weak-strong gap recovered for the share of strong calls, on MMLU and GSM8K; rows not learnt from."""
    from netgpt.bench import routing as bench
    from netgpt.bench.routing_plot import svg

    result = bench.run(data, splits=splits, seed=seed, progress=_told)
    if plot is not None:
        try:
            plot.write_text(svg(result["curves"]), encoding="utf-8")
        except OSError as error:
            raise RequestError(f"{plot}: cannot be written: {error.strerror}") from None
    _show(result, as_json)


def _show(result: dict[str, Any], as_json: bool) -> None:
    from netgpt.bench.report import machine, print_report

    if as_json:
        print_json({"title": "routing", **result, **machine()})
        return
    rest = {key: value for key, value in result.items() if key not in ("rows", "calibration", "curves")}
    print_report("cost and quality: APGR and CPT on rows not learnt from", result["rows"], {})
    print_report("asked for a share of cloud: the share on new traffic", result["calibration"], {**rest, **machine()})


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
