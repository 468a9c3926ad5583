"""`netgpt bench paper`: the paper's comparison on this machine, in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json, read_settings, run
from netgpt.errors import RequestError

__all__ = ["paper"]


@errors_told
def paper(
    quick: bool = typer.Option(False, help="About two minutes instead of ten: fewer requests, links and steps."),
    cloud_model: Path | None = typer.Option(
        None, help="A GGUF file that stands in for the cloud; default: the edge's own model a second time."
    ),
    plot: Path | None = typer.Option(None, help="Write the plot to this SVG file."),
    seed: int = typer.Option(7, help="Seed of the requests."),
    as_json: bool = json_option,
) -> None:
    """Cloud-only, model splitting, edge-only and NetGPT's synergy on the same requests, beside the paper's figures."""
    from netgpt.bench import paper as bench
    from netgpt.models.catalog import Catalog
    from netgpt.models.gguf import check_weights

    _check_plot(plot)
    if cloud_model is not None:
        check_weights(cloud_model)
    settings = read_settings()
    weights = Catalog(settings.models_dir).resolve(settings.edge.model)
    plan = bench.QUICK if quick else bench.WHOLE
    result = run(bench.run(weights, cloud_model, plan, seed=seed, progress=_told))
    _show(result, plot, as_json)


def _show(result: dict[str, Any], plot: Path | None, as_json: bool) -> None:
    from netgpt.bench.paper_plot import svg
    from netgpt.bench.paper_table import against_the_paper, markdown

    if plot is not None:
        plot.write_text(svg(result), encoding="utf-8")
        _told(f"the plot is in {plot}")
    if as_json:
        print_json({**result, "paper": against_the_paper(result)})
    else:
        sys.stdout.write(markdown(result))


def _check_plot(plot: Path | None) -> None:
    """Said before ten minutes of work, not after."""
    if plot is not None and (plot.suffix.lower() != ".svg" or not plot.parent.is_dir()):
        raise RequestError(f"--plot {plot}: name an .svg file in a folder that exists", param="plot")


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)
