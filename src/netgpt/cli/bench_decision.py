"""`netgpt bench decision`: what deciding costs. Registered by `cli/bench.py`."""

from __future__ import annotations

import typer

from netgpt.cli.common import errors_told, json_option

__all__ = ["decision"]


@errors_told
def decision(
    decisions: int = typer.Option(3_000, min=100, help="Decisions, each of another text."),
    seed: int = typer.Option(7, help="Of the texts and the signals."),
    as_json: bool = json_option,
) -> None:
    """What a decision takes, part by part (microseconds): difficulty, constraints, objective, learner, share."""
    from netgpt.bench import decision as bench
    from netgpt.bench.report import print_result

    print_result("a decision (microseconds)", bench.run(decisions=decisions, seed=seed), as_json)
