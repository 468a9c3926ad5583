"""`netgpt bench learner`: learning which model to ask, on recorded scores and on a made-up world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, errors_told, json_option, print_json
from netgpt.errors import RequestError

__all__ = ["learner"]


@errors_told
def learner(
    data: Path = typer.Option(Path("../shared/data"), help="Folder of the recorded sets (routing/*.jsonl)."),
    made_up: bool = typer.Option(False, "--made-up", help="The made-up world alone: needs no data."),
    seeds: int = typer.Option(5, min=1, max=50, help="Runs a world, each in another order."),
    plot: Path | None = typer.Option(None, help="Write the curves as an SVG picture here."),
    as_json: bool = json_option,
) -> None:
    """Reward beside the best fixed model, recovery after a price and a quality shift, and what a liar can do.

    Half of the answers are rated, five requests later on average; a price rises at two fifths, a model's answers get
    worse at seven tenths. The learner, objective and draw are those of the box.
    """
    from netgpt.bench import learner as bench
    from netgpt.bench.learner_plot import svg
    from netgpt.bench.learner_world import NINE
    from netgpt.bench.report import machine

    here = not made_up and (data / NINE).exists()
    if not here and not made_up:
        console.print(f"{data / NINE} is not there: the made-up world alone", markup=False)
    result = bench.run(data=data if here else None, seeds=seeds, progress=lambda at: console.print(at, markup=False))
    if plot is not None:
        try:
            plot.write_text(svg(result), encoding="utf-8")
        except OSError as error:
            raise RequestError(f"{plot}: cannot be written: {error.strerror}", param="plot") from None
    if as_json:
        print_json({"title": "learner", **result, **machine()})
    else:
        _show(result, machine())


def _show(result: dict[str, Any], meta: dict[str, Any]) -> None:
    from netgpt.bench.report import print_report

    rows = [
        {
            "world": f"{row['world']} ({row['arms']})",
            "weights": row["weights"],
            "above best fixed": f"{row['over_best_fixed']:+.1%}",
            "worst seed": f"{row['worst_seed']:+.1%}",
            "above random": f"{row['over_random']:+.1%}",
            "recovery, price": row["recovery_price"] or "never",
            "recovery, quality": row["recovery_quality"] or "never",
            "others moved": f"{row['others_moved']:.2%}",
            "same decisions": "yes" if row["same_decisions"] else "no",
        }
        for row in result["rows"]
    ]
    title = f"learning over {result['judged_after']} requests, {result['seeds']} seeds; recovery: the slowest, requests"
    print_report(title, rows, meta)
