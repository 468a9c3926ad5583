"""`netgpt bench`: every published figure is one command here.

Each command imports its benchmark when it is called, so that the help costs little.
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import (
    console,
    edge_askers,
    json_option,
    print_json,
    print_table,
    read_settings,
    reports_errors,
    run,
    say,
)  # fmt: skip
from netgpt.errors import NotFound, RequestError
from netgpt_bench.report import machine, print_report, print_result, print_tables

if TYPE_CHECKING:
    from netgpt.completion.classify import Ask
    from netgpt_bench.utility import Answer

app = typer.Typer(no_args_is_help=True, help="Measure: prints machine, versions, commit, samples, median and spread.")


def show_step(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)


def edge_weights() -> Path:
    """The weights of the built-in engine. Raises NotFound, ModelUnavailable."""
    from netgpt.models.catalog import Catalog

    settings = read_settings()
    return Catalog(settings.models_dir).resolve(settings.edge.model)


def encoder_weights() -> Path:
    """The weights of the sentence encoder. Raises NotFound, ModelUnavailable."""
    from netgpt.models.catalog import ENCODER, Catalog

    return Catalog(read_settings().models_dir).encoder(ENCODER)[0]


def _check_plot(path: Path | None) -> None:
    """Before ten minutes of work, not after. Raises RequestError."""
    if path is not None and (path.suffix.lower() != ".svg" or not path.parent.is_dir()):
        raise RequestError(f"--plot {path}: name an .svg file in a folder that exists", param="plot")


def _write_plot(path: Path, svg: str) -> None:
    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}", param="plot") from None
    show_step(f"the plot is in {path}")


@app.command()
@reports_errors
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
    from netgpt.models.gguf import check_weights
    from netgpt_bench import paper as bench
    from netgpt_bench.paper_report import against_the_paper, markdown, svg

    _check_plot(plot)
    if cloud_model is not None:
        check_weights(cloud_model)
    plan = bench.QUICK if quick else bench.WHOLE
    result = run(bench.run(edge_weights(), cloud_model, plan, seed=seed, progress=show_step))
    if plot is not None:
        _write_plot(plot, svg(result))
    if as_json:
        print_json({**result, "paper": against_the_paper(result)})
    else:
        sys.stdout.write(markdown(result))


_PRIVACY_TITLES = {
    "pupa": "PUPA: private units left in the masked query",
    "presidio": "Presidio's synthetic set: private or not, word by word",
    "types": "Presidio's synthetic set: recall for each type",
    "wnut": "WNUT17: entities in noisy text (any overlap; exact)",
    "everyday": "everyday requests without private data: how many are touched",
    "speed": "milliseconds for a text never seen",
    "turns": "sealing a conversation that grows, milliseconds a turn",
    "memory": "resident memory over many texts",
}


@app.command()
@reports_errors
def privacy(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with the public sets (privacy/, prompts/)."),
    sample: int = typer.Option(300, min=0, help="Rows of each set, drawn by seed; 0: all."),
    texts: int = typer.Option(100_000, min=100, help="Texts of the memory part."),
    only: str = typer.Option("", help="Parts, with commas: pupa,presidio,wnut,everyday,speed,turns,memory."),
    presidio: bool = typer.Option(True, help="Measure Presidio with the small spaCy model too."),
    seed: int = typer.Option(7, help="Seed of the draw and of the invented texts."),
    as_json: bool = json_option,
) -> None:
    """Private data found, missed and falsely seen; milliseconds and memory. This detector beside Presidio, one run."""
    from netgpt_bench import privacy as bench

    plan = bench.PrivacyPlan(data, sample, texts, seed)
    result = run(bench.run(plan, only=names_in(only), presidio=presidio, progress=show_step))
    if not result["tables"] and not as_json:
        raise NotFound("nothing was measured: " + "; ".join(result["skipped"].values()))
    shown = {key: value for key, value in result.items() if value or key == "tables"}
    print_tables("privacy", _PRIVACY_TITLES, shown, as_json)


_FIELD_TITLES = {
    "field": "cases after public bug reports: percent, beside the bar",
    "cultures": "names hidden whole, percent of each group; others: other letters beside them that were hidden",
    "languages": "everyday requests without anything private: percent touched",
    "documents": "documents: percent of the other words hidden without need; left: private parts not hidden whole",
}


@app.command()
@reports_errors
def field(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with field/privacy_dev.jsonl."),
    sets: str = typer.Option("", "--set", help="Sets, with commas; default: all."),
    presidio: bool = typer.Option(True, help="Measure Presidio with the small spaCy model too."),
    show: int = typer.Option(0, min=0, help="Print so many failing cases of each set, hidden letters blocked out."),
    as_json: bool = json_option,
) -> None:
    """Leaks and harm in cases that people reported of such gateways; beside Presidio and others that are installed."""
    from netgpt_bench import field as bench

    result = bench.run(data, sets=names_in(sets), presidio=presidio, progress=show_step)
    for line in bench.shown(result.pop("failed"), show):
        say(line)
    print_tables("field", _FIELD_TITLES, result, as_json)


def names_in(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


_UTILITY_TITLES = {
    "rules": "answers unchanged by hiding; the cloud does every task by rule",
    "model": "answers unchanged by hiding; the cloud is a real model",
}
_ANSWER_TOKENS = 200


@app.command()
@reports_errors
def utility(
    requests: int = typer.Option(240, min=10, help="Generated requests with checkable answers."),
    policy: str = typer.Option("balanced,strict,open,health", help="Policy sets or .cedar files, with commas."),
    names: bool = typer.Option(True, help="Look for names too; --no-names: patterns alone."),
    model: Path | None = typer.Option(None, help="Weights (.gguf) of a real model to ask too, in a table apart."),
    model_requests: int = typer.Option(40, min=10, help="Requests that the real model is asked, each twice or more."),
    seed: int = typer.Option(7, help="Seed of the requests."),
    as_json: bool = json_option,
) -> None:
    """What hiding costs: checkable facts in answers with and without the boundary, by kind of work and policy set."""
    policies = names_in(policy)
    if not policies:
        raise RequestError("--policy: name at least one policy set or .cedar file", param="policy")
    plan = {"requests": requests, "policies": policies, "model_requests": model_requests, "seed": seed}
    result = run(_utility(plan, names, model))
    print_tables("utility", _UTILITY_TITLES, {**result, "names": names}, as_json)


async def _utility(plan: dict[str, Any], names: bool, weights: Path | None) -> dict[str, Any]:
    from netgpt.privacy.detector import LocalDetector
    from netgpt_bench import utility as bench

    async with AsyncExitStack() as stack:
        detector = LocalDetector(names)
        await detector.start()
        stack.push_async_callback(detector.close)
        model = None
        if weights is not None:
            ask, _ = await stack.enter_async_context(edge_askers(read_settings(edge={"model": str(weights)})))
            model = _answering(ask)
        return await bench.run(detector=detector, model=model, progress=show_step, **plan)


def _answering(ask: Ask) -> Answer:
    async def answer(text: str) -> str:
        messages = [{"role": "user", "content": text}]
        whole = await ask({"messages": messages, "temperature": 0, "max_tokens": _ANSWER_TOKENS})
        return str(whole["choices"][0]["message"].get("content") or "")

    return answer


@app.command()
@reports_errors
def routing(
    data: Path = typer.Option(Path("../shared/data/routing"), help="Folder with the routing sets."),
    folds: bool = typer.Option(True, help="Also what labels of the same benchmark add (two minutes)."),
    seed: int = typer.Option(7, help="Seed of draws and folds."),
    plot: Path = typer.Option(None, help="Write the cost-quality curves to this SVG file."),
    as_json: bool = json_option,
) -> None:
    """Share of the weak-strong gap recovered by share of strong calls, on benchmarks left out; rewordings; kinds."""
    from netgpt_bench import routing as bench

    result = bench.run(data, folds=folds, seed=seed, progress=show_step)
    if plot is not None:
        _write_plot(plot, bench.svg(result["curves"]))
    if as_json:
        return print_json({"title": "routing", **result, **machine()})
    print_report("benchmarks left out: no label of theirs was seen", result["rows"], {})
    print_report("the same request in other words: the same decision?", result["robustness"], {})
    print_report("which kind of task: benchmarks that taught nothing", result["kinds"], {})
    rest = {"milliseconds a text": result["milliseconds a text"], "seed": seed}
    print_report("with labels of the same benchmark, five folds", result["in sample"], {**rest, **machine()})


@app.command()
@reports_errors
def decision(
    decisions: int = typer.Option(3_000, min=100, help="Decisions, each of another text."),
    seed: int = typer.Option(7, help="Of the texts and the signals."),
    as_json: bool = json_option,
) -> None:
    """What a decision takes, part by part (microseconds): difficulty, constraints, objective, learner, share."""
    from netgpt_bench import decision as bench

    print_result("a decision (microseconds)", bench.run(decisions=decisions, seed=seed), as_json)


@app.command()
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

    here = not made_up and (data / bench.NINE).exists()
    if not here and not made_up:
        console.print(f"{data / bench.NINE} is not there: the made-up world alone", markup=False)
    result = bench.run(data=data if here else None, seeds=seeds, progress=show_step)
    if plot is not None:
        _write_plot(plot, bench.svg(result))
    if as_json:
        return print_json({"title": "learner", **result, **machine()})
    title = f"learning over {result['judged_after']} requests, {result['seeds']} seeds; recovery: the slowest, requests"
    print_report(title, [bench.table_row(row) for row in result["rows"]], machine())


_LINK_TITLES = {
    "families": "links that change: by family of traces",
    "total": "links that change: all traces",
    "follow": "a link in steps: seconds until the decisions follow",
}


@app.command()
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
    from netgpt_bench.link_plot import svg

    _check_plot(plot)
    plan = bench.LinkPlan(seconds=seconds, per_family=traces, rate=rate, at_once=at_once)
    result = run(bench.run(data, plan, seed=seed, progress=show_step))
    if plot is not None:
        _write_plot(plot, svg(result))
    print_tables("link", _LINK_TITLES, {key: value for key, value in result.items() if key != "results"}, as_json)


@app.command()
@reports_errors
def neighbours(
    seconds: float = typer.Option(15.0, min=3, help="Seconds of each of the four phases."),
    slots: int = typer.Option(2, min=1, help="Answers that each box's edge writes at once."),
    loopback: bool = typer.Option(False, "--loopback", help="Without network namespaces, which need root."),
    as_json: bool = json_option,
) -> None:
    """Two boxes that help each other out; the link between them is cut and restored."""
    from netgpt_bench import neighbours as bench

    plan = bench.NeighboursPlan(seconds=seconds, slots=slots)
    over = "loopback" if loopback else "namespaces"
    print_result("two boxes, each the other's neighbour", run(bench.run(plan, over=over, progress=show_step)), as_json)


@app.command()
@reports_errors
def fleet(
    boxes: int = typer.Option(5, min=1, max=40, help="Real boxes under one control."),
    seconds: float = typer.Option(120.0, min=30, help="So long they are cut off and healed at random."),
    people: int = typer.Option(1_000, min=1, help="People at each box a day, in the simulation."),
    seed: int = typer.Option(7, help="Of the cuts and the simulated day."),
    as_json: bool = json_option,
) -> None:
    """Boxes under one control: how soon one that was cut off follows, what is told of it; and 100,000 by a model."""
    from netgpt_bench import fleet as bench

    result = run(bench.run(boxes=boxes, seconds=seconds, seed=seed, people=people, progress=show_step))
    notes = {name: name for name in result}
    print_tables(
        "fleet", notes, {"tables": result, "setup": {"boxes": boxes, "seconds": seconds, "seed": seed}}, as_json
    )


@app.command()
@reports_errors
def chaos(
    minutes: float = typer.Option(5.0, min=0.5, help="So long it is broken again and again."),
    callers: int = typer.Option(50, min=1, help="Who ask without a pause, every other time as a stream."),
    fault: list[str] = typer.Option([], help="Only this fault; again for each. Default: all twelve."),
    seed: int = typer.Option(7, help="Of the faults, their order and length, and of the people."),
    as_json: bool = json_option,
) -> None:
    """Broken at random under fifty callers: what is lost, leaked, mixed up or ends falsely; how soon it recovers."""
    from netgpt_bench import chaos as bench

    work = bench.run(seconds=minutes * 60, callers=callers, seed=seed, faults=fault, progress=show_step)
    print_result("chaos", run(work), as_json)


@app.command()
@reports_errors
def blackout(
    streams: int = typer.Option(50, min=1, help="Callers that stream without a pause."),
    stored: int = typer.Option(20, min=0, max=20, help="Requests that may wait, sent while the link is cut."),
    cut_s: float = typer.Option(60.0, min=4, help="Seconds for which the link to the cloud is cut."),
    as_json: bool = json_option,
) -> None:
    """The link to the cloud is cut under streams: hung requests, false clean ends, what is stored is sent once."""
    from netgpt_bench import blackout as bench

    work = bench.run(streams=streams, stored=stored, cut_s=cut_s, progress=show_step)
    print_result("blackout", run(work), as_json)


@app.command()
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

    work = bench.run(
        slots=slots, service_s=service_s, times=times, seconds=seconds, unloaded_s=unloaded_s, seed=seed,
        progress=show_step,
    )  # fmt: skip
    print_result("overload", run(work), as_json)


@app.command()
@reports_errors
def abuse(
    kind: list[str] = typer.Option([], help="Only these kinds; default: all."),
    seconds: float = typer.Option(10.0, min=2, help="Each kind for so long."),
    rate: float = typer.Option(10.0, min=1, help="Requests a second of the ten modest callers together."),
    seed: int = typer.Option(7, help="Seed of texts and moments."),
    as_json: bool = json_option,
) -> None:
    """One caller, one cloud or one text against all: ten modest callers beside each kind of abuse."""
    from netgpt_bench import abuse as bench

    for name in kind:
        if name not in bench.KINDS:
            raise RequestError(f"no kind {name!r}; the kinds are {', '.join(bench.KINDS)}", param="kind")
    work = bench.run(seconds=seconds, rate=rate, kinds=kind or list(bench.KINDS), seed=seed, progress=show_step)
    print_result("abuse", run(work), as_json)


@app.command()
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

    work = bench.run(requests=requests, hangups=hangups, connections=connections, seed=seed, progress=show_step)
    print_result("soak", run(work), as_json)


@app.command()
@reports_errors
def fuzz(
    minutes: float = typer.Option(5.0, min=0.01, max=2_000, help="Time in all; the targets share it."),
    target: str = typer.Option("", help="Only these, with commas; default: all."),
    seed: int = typer.Option(7, help="Seed of the inputs."),
    as_json: bool = json_option,
) -> None:
    """Random inputs for what reads others' words: requests, answers, files, settings, rules."""
    from netgpt_bench import fuzz_targets as bench

    rows = run(bench.run(names_in(target), seconds=minutes * 60, seed=seed, progress=show_step))
    if as_json:
        print_json(rows)
    else:
        shown = ("target", "runs", "seconds", "lines", "corpus")
        print_table([*shown, "findings"], [[row[name] for name in shown] + [len(row["findings"])] for row in rows])
    found = [f"{row['target']}: {what} ({data[:400]})" for row in rows for what, data in row["findings"].items()]
    if found:
        raise RequestError("inputs (in hexadecimal) that should not do what they do:\n" + "\n".join(found))


@app.command()
@reports_errors
def overhead(
    requests: int = typer.Option(400, min=10, help="Requests per row and round."),
    connections: int = typer.Option(32, min=1, help="Connections of the crowded part."),
    rounds: int = typer.Option(5, min=1, help="Rounds; rows take turns within each."),
    portkey: Path = typer.Option(Path(), help="Folder where `npm install @portkey-ai/gateway` was run."),
    litellm: Path | None = typer.Option(None, help="The program `litellm` of an environment with litellm[proxy]."),
    as_json: bool = json_option,
) -> None:
    """What the gateway adds to a call, beside a direct connection, Portkey's gateway and LiteLLM's proxy."""
    from netgpt_bench import overhead as bench

    load = {"requests": requests, "connections": connections, "rounds": rounds}
    result = run(bench.run(**load, portkey_at=portkey, litellm_at=litellm, progress=show_step))
    print_result("added latency of the gateway (milliseconds)", result, as_json)


@app.command()
@reports_errors
def workers(
    count: list[int] = typer.Option([1, 2], "--count", min=1, max=64, help="Workers; again for each number."),
    requests: int = typer.Option(400, min=10, help="Requests per row and round."),
    connections: int = typer.Option(32, min=1, help="Connections of the crowded part."),
    rounds: int = typer.Option(5, min=1, help="Rounds; rows take turns within each."),
    as_json: bool = json_option,
) -> None:
    """One process and several at one address: requests a second, latency, CPU a request, memory."""
    from netgpt_bench import workers as bench

    load = {"requests": requests, "connections": connections, "rounds": rounds}
    result = run(bench.run(workers=count, **load, progress=show_step))
    print_result("workers at one address (milliseconds)", result, as_json)


@app.command()
@reports_errors
def stream(
    samples: int = typer.Option(30, min=4, help="Requests per row."),
    seed: int = typer.Option(7, help="Seed of the generated requests."),
    as_json: bool = json_option,
) -> None:
    """Time to the first token with and without hiding, on a real engine as the cloud."""
    from netgpt_bench import stream as bench

    result = run(bench.run(edge_weights(), samples=samples, seed=seed, progress=show_step))
    print_result("time to the first token through the gateway", result, as_json)


@app.command()
@reports_errors
def audit(
    people: int = typer.Option(500, "--people", "--requests", min=24, help="Invented people, a request each."),
    seed: int = typer.Option(1, help="Seed of the invented people."),
    kill_every: float = typer.Option(0.0, min=0, help="Kill the detector this often, in seconds; 0: never."),
    faults: bool = typer.Option(False, help="Kill, stop and overfeed the detector instead, an audit for each."),
    characters: int = typer.Option(1_000_000, min=1_000, help="Length of the texts that --faults feeds."),
    as_json: bool = json_option,
) -> None:
    """Does anything planted reach the cloud? A cloud that logs every byte, and a gateway under attack."""
    from netgpt_bench import audit as bench

    if faults:
        title = "planted private values that left while the detector was under attack (names apart)"
        work = bench.run_faults(requests=people, seed=seed, characters=characters, progress=show_step)
    else:
        title = "planted private values found in the log of the cloud"
        work = bench.run(requests=people, seed=seed, kill_every_s=kill_every or None, progress=show_step)
    print_result(title, run(work), as_json)


@app.command()
@reports_errors
def swap(
    swaps: int = typer.Option(200, min=2, help="Swaps of engines under two streams; memory is read after each."),
    streams: int = typer.Option(32, min=1, help="Streams at once of the crowded part."),
    promotions: int = typer.Option(4, min=1, help="Promotions under the crowded part."),
    seed: int = typer.Option(7, help="Seed of the invented adapters and of the draw of requests."),
    as_json: bool = json_option,
) -> None:
    """Adapters promoted under load: failed and mixed answers, memory over many swaps, time to roll back."""
    from netgpt_bench import swap as bench

    load: dict[str, Any] = {"swaps": swaps, "streams": streams, "promotions": promotions}
    result = run(bench.run(edge_weights(), **load, seed=seed, progress=show_step))
    print_result("adapters swapped under load", result, as_json)


@app.command()
@reports_errors
def isolation(
    alternations: int = typer.Option(200, min=10, help="Requests over one prefix; adapters take turns."),
    seed: int = typer.Option(7, help="Seed of the invented adapters and of the draw of requests."),
    as_json: bool = json_option,
) -> None:
    """Does an adapter leak into another's answers? Cached runs, with a swap in the middle, against cold ones."""
    from netgpt_bench import isolation as bench

    result = run(bench.run(edge_weights(), alternations=alternations, seed=seed, progress=show_step))
    print_result("isolation of adapters", result, as_json)


@app.command()
@reports_errors
def train(
    examples: int = typer.Option(100, min=20, help="Generated examples, of about 130 tokens."),
    epochs: int = typer.Option(3, min=1, help="Times through them."),
    repeats: int = typer.Option(3, min=1, help="Runs of each; they take turns."),
    seed: int = typer.Option(7, help="Seed of the examples and of both trainings."),
    threads: int = typer.Option(0, min=0, help="CPU threads; 0: all."),
    as_json: bool = json_option,
) -> None:
    """The trainer beside a plain PEFT loop: tokens a second, peak memory and held-out loss, in one run."""
    from netgpt_bench import training as bench

    plan: dict[str, Any] = {
        "examples": examples,
        "epochs": epochs,
        "repeats": repeats,
        "seed": seed,
        "threads": threads,
    }
    print_result("training on the box", bench.run(edge_weights(), **plan, progress=show_step), as_json)


_CONSOLE_TITLES = {
    "pages": "pages of the API in a full store, asked one after the other (milliseconds)",
    "viewers": "chats at a fixed rate, with and without viewers of the live list (milliseconds from when each was due)",
}


@app.command(name="console")
@reports_errors
def console_pages(
    exchanges: int = typer.Option(1_000_000, min=1_000, help="Exchanges in the store."),
    samples: int = typer.Option(60, min=5, help="Times that each page is asked."),
    viewers: int = typer.Option(50, min=1, max=200, help="Viewers of the live list."),
    rate: float = typer.Option(100.0, min=1, help="Chats a second."),
    seconds: float = typer.Option(15.0, min=3, max=100, help="Of each round."),
    rounds: int = typer.Option(2, min=1, help="Rounds, each without viewers and with them."),
    as_json: bool = json_option,
) -> None:
    """Every page of the console in a store with a million exchanges (3 GB); what viewers cost the chats."""
    from netgpt_bench import console as bench

    plan = bench.ConsolePlan(exchanges, samples=samples, viewers=viewers, rate=rate, seconds=seconds, rounds=rounds)
    print_tables("console", _CONSOLE_TITLES, run(bench.run(plan, progress=show_step)), as_json)
