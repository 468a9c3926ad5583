"""`netgpt bench decision`: what deciding costs. Registered by `netgpt_bench/cli.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import console, json_option, print_json, reports_errors, run
from netgpt.errors import RequestError


@reports_errors
def decision(
    decisions: int = typer.Option(3_000, min=100, help="Decisions, each of another text."),
    seed: int = typer.Option(7, help="Of the texts and the signals."),
    as_json: bool = json_option,
) -> None:
    """What a decision takes, part by part (microseconds): difficulty, constraints, objective, learner, share."""
    from netgpt_bench import decision as bench
    from netgpt_bench.report import print_result

    print_result("a decision (microseconds)", bench.run(decisions=decisions, seed=seed), as_json)


# --- `netgpt bench learner`: learning which model to ask, on recorded scores and on a made-up world.


@reports_errors
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
    from netgpt_bench import learner as bench
    from netgpt_bench.learner import NINE
    from netgpt_bench.learner_plot import svg
    from netgpt_bench.report import machine

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
    from netgpt_bench.report import print_report

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


# --- `netgpt bench link`: decisions over links that change, and `netgpt bench neighbours`.


@reports_errors
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
    from netgpt_bench import link_report as bench

    if plot is not None and (plot.suffix.lower() != ".svg" or not plot.parent.is_dir()):
        raise RequestError(f"--plot {plot}: name an .svg file in a folder that exists", param="plot")
    plan = bench.LinkPlan(seconds=seconds, per_family=traces, rate=rate, at_once=at_once)
    result = run(bench.run(data, plan, seed=seed, progress=_told))
    if plot is not None:
        from netgpt_bench.link_plot import svg

        plot.write_text(svg(result), encoding="utf-8")
        _told(f"the plot is in {plot}")
    _show_bench_link(result, as_json)


@reports_errors
def neighbours(
    seconds: float = typer.Option(15.0, min=3, help="Seconds of each of the four phases."),
    slots: int = typer.Option(2, min=1, help="Answers that each box's edge writes at once."),
    loopback: bool = typer.Option(False, "--loopback", help="Without network namespaces, which need root."),
    as_json: bool = json_option,
) -> None:
    """Two boxes that help each other out; the link between them is cut and restored."""
    from netgpt_bench import neighbours as bench
    from netgpt_bench.report import print_result

    plan = bench.NeighboursPlan(seconds=seconds, slots=slots)
    over = "loopback" if loopback else "namespaces"
    print_result("two boxes, each the other's neighbour", run(bench.run(plan, over=over, progress=_told)), as_json)


_TITLES = {
    "families": "links that change: by family of traces",
    "total": "links that change: all traces",
    "follow": "a link in steps: seconds until the decisions follow",
}


def _show_bench_link(result: dict[str, Any], as_json: bool) -> None:
    from netgpt_bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key not in ("tables", "results")}
    if as_json:
        print_json({"title": "link", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for number, (name, rows) in enumerate(tables, 1):
        print_report(_TITLES[name], rows, {**rest, **machine()} if number == len(tables) else {})


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)


# --- `netgpt bench overload`, `blackout` and `soak`: too much is asked, the link goes, and a long time of both.


@reports_errors
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
    from netgpt_bench import overload as bench

    plan: dict[str, Any] = {
        "slots": slots, "service_s": service_s, "times": times, "seconds": seconds, "unloaded_s": unloaded_s,
        "seed": seed,
    }  # fmt: skip
    _show_bench_resilience("overload", run(bench.run(**plan, progress=_told)), as_json)


@reports_errors
def blackout(
    streams: int = typer.Option(50, min=1, help="Callers that stream without a pause."),
    stored: int = typer.Option(20, min=0, max=20, help="Requests that may wait, sent while the link is cut."),
    cut_s: float = typer.Option(60.0, min=4, help="Seconds for which the link to the cloud is cut."),
    as_json: bool = json_option,
) -> None:
    """The link to the cloud is cut under streams: hung requests, false clean ends, what is stored is sent once."""
    from netgpt_bench import blackout as bench

    _show_bench_resilience(
        "blackout", run(bench.run(streams=streams, stored=stored, cut_s=cut_s, progress=_told)), as_json
    )


@reports_errors
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
    from netgpt_bench import soak as bench

    plan: dict[str, Any] = {"requests": requests, "hangups": hangups, "connections": connections, "seed": seed}
    _show_bench_resilience("soak", run(bench.run(**plan, progress=_told)), as_json)


def _show_bench_resilience(title: str, result: dict[str, Any], as_json: bool) -> None:
    from netgpt_bench.report import print_result

    print_result(title, result, as_json)


# --- `netgpt bench routing`: what routing by difficulty is worth, beside simple ways and RouteLLM's published figures.


@reports_errors
def routing(
    data: Path = typer.Option(Path("../shared/data/routing"), help="Folder with the routing sets."),
    splits: int = typer.Option(3, min=1, help="Ways to part the rows, each with its own training."),
    seed: int = typer.Option(7, help="Seed of the parts and of the training."),
    plot: Path = typer.Option(None, help="Write the cost-quality curves to this SVG file."),
    as_json: bool = json_option,
) -> None:
    """Share of the weak-strong gap recovered for the share of strong calls, on MMLU and GSM8K; rows not learnt from."""
    from netgpt_bench import routing as bench
    from netgpt_bench.routing_plot import svg

    result = bench.run(data, splits=splits, seed=seed, progress=_told)
    if plot is not None:
        try:
            plot.write_text(svg(result["curves"]), encoding="utf-8")
        except OSError as error:
            raise RequestError(f"{plot}: cannot be written: {error.strerror}") from None
    _show_bench_routing(result, as_json)


def _show_bench_routing(result: dict[str, Any], as_json: bool) -> None:
    from netgpt_bench.report import machine, print_report

    if as_json:
        print_json({"title": "routing", **result, **machine()})
        return
    rest = {key: value for key, value in result.items() if key not in ("rows", "calibration", "curves")}
    print_report("cost and quality: APGR and CPT on rows not learnt from", result["rows"], {})
    print_report("asked for a share of cloud: the share on new traffic", result["calibration"], {**rest, **machine()})
