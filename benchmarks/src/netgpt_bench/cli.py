"""`netgpt bench`: every published figure is one command here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import console, edge_askers, json_option, print_json, read_settings, reports_errors, run
from netgpt.errors import NotFound, RequestError
from netgpt_bench.cli_routing import blackout, decision, learner, link, neighbours, overload, routing, soak

if TYPE_CHECKING:
    from netgpt.completion.classify import Ask
    from netgpt_bench.utility import Answer


# --- `netgpt bench paper`: the paper's comparison on this machine, in one command.


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
    from netgpt.models.catalog import Catalog
    from netgpt.models.gguf import check_weights
    from netgpt_bench import paper as bench

    _check_plot(plot)
    if cloud_model is not None:
        check_weights(cloud_model)
    settings = read_settings()
    weights = Catalog(settings.models_dir).resolve(settings.edge.model)
    plan = bench.QUICK if quick else bench.WHOLE
    result = run(bench.run(weights, cloud_model, plan, seed=seed, progress=_told))
    _show(result, plot, as_json)


def _show(result: dict[str, Any], plot: Path | None, as_json: bool) -> None:
    from netgpt_bench.paper_plot import svg
    from netgpt_bench.paper_report import against_the_paper, markdown

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


# --- `netgpt bench privacy`: how well and how fast private data is found, beside Presidio.

_TITLES = {
    "pupa": "PUPA: private units left in the masked query",
    "presidio": "Presidio's synthetic set: private or not, word by word",
    "types": "Presidio's synthetic set: recall for each type",
    "wnut": "WNUT17: entities in noisy text (any overlap; exact)",
    "everyday": "everyday requests without private data: how many are touched",
    "speed": "milliseconds for a text never seen",
    "turns": "sealing a conversation that grows, milliseconds a turn",
    "memory": "resident memory over many texts",
}


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

    parts = [part.strip() for part in only.split(",") if part.strip()]
    result = run(
        bench.run(data, sample=sample, texts=texts, only=parts, seed=seed, presidio=presidio, progress=_told)
    )  # fmt: skip
    _show_bench_privacy(result, as_json)


def _show_bench_privacy(result: dict[str, Any], as_json: bool) -> None:
    from netgpt_bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key != "tables" and value}
    if as_json:
        print_json({"title": "privacy", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for part, rows in tables[:-1]:
        print_report(_TITLES[part], rows, {})
    for part, rows in tables[-1:]:
        print_report(_TITLES[part], rows, {**rest, **machine()})
    if not tables:
        raise NotFound("nothing was measured: " + "; ".join(result["skipped"].values()))


# --- `netgpt bench utility`: how many answers stay the same when private data is hidden on the way.

_TITLES_BENCH_UTILITY = {
    "rules": "answers unchanged by hiding; the cloud does every task by rule",
    "model": "answers unchanged by hiding; the cloud is a real model",
}
_ANSWER_TOKENS = 200


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
    policies = [name.strip() for name in policy.split(",") if name.strip()]
    if not policies:
        raise RequestError("--policy: name at least one policy set or .cedar file", param="policy")
    plan = {"requests": requests, "policies": policies, "model_requests": model_requests, "seed": seed}
    _show_bench_utility({**run(_measured(plan, names, model)), "names": names}, as_json)


async def _measured(plan: dict[str, Any], names: bool, weights: Path | None) -> dict[str, Any]:
    from netgpt.privacy.detector import LocalDetector
    from netgpt_bench import utility as bench

    async with AsyncExitStack() as stack:
        detector = LocalDetector(names)
        await detector.start()
        stack.push_async_callback(detector.close)
        model = None
        if weights is not None:
            settings = read_settings(edge={"model": str(weights)})
            ask, _ = await stack.enter_async_context(edge_askers(settings))
            model = _answer(ask)
        return await bench.run(detector=detector, model=model, progress=_told, **plan)


def _answer(ask: Ask) -> Answer:
    async def answer(text: str) -> str:
        asked = [{"role": "user", "content": text}]
        told = await ask({"messages": asked, "temperature": 0, "max_tokens": _ANSWER_TOKENS})
        return str(told["choices"][0]["message"].get("content") or "")

    return answer


def _show_bench_utility(result: dict[str, Any], as_json: bool) -> None:
    from netgpt_bench.report import machine, print_report

    rest = {key: value for key, value in result.items() if key != "tables"}
    if as_json:
        print_json({"title": "utility", "tables": result["tables"], **rest, **machine()})
        return
    tables = list(result["tables"].items())
    for number, (name, rows) in enumerate(tables, 1):
        print_report(_TITLES_BENCH_UTILITY[name], rows, {**rest, **machine()} if number == len(tables) else {})


app = typer.Typer(no_args_is_help=True, help="Measure: prints machine, versions, commit, samples, median and spread.")
app.command("paper")(paper)
app.command("privacy")(privacy)
app.command("utility")(utility)
app.command("routing")(routing)
app.command("decision")(decision)
app.command("learner")(learner)
app.command("link")(link)
app.command("neighbours")(neighbours)
app.command("blackout")(blackout)
app.command("overload")(overload)
app.command("soak")(soak)


def _told(message: str) -> None:
    console.print(f"[dim]{message}[/dim]", highlight=False)


def _report(title: str, measure: Callable[[], dict[str, Any]], as_json: bool) -> None:
    from netgpt_bench.report import print_result

    print_result(title, measure(), as_json)


@app.command()
@reports_errors
def overhead(
    requests: int = typer.Option(400, min=10, help="Requests per row and round."),
    connections: int = typer.Option(32, min=1, help="Connections of the crowded part."),
    rounds: int = typer.Option(5, min=1, help="Rounds; rows take turns within each."),
    portkey: Path = typer.Option(Path(), help="Folder where `npm install @portkey-ai/gateway` was run."),
    as_json: bool = json_option,
) -> None:
    """What the gateway adds to a call, beside a direct connection and Portkey's gateway."""
    from netgpt_bench import overhead as bench

    _report(
        "added latency of the gateway (milliseconds)",
        lambda: run(
            bench.run(
                requests=requests, connections=connections, rounds=rounds, portkey_at=portkey, progress=_told
            )
        ),
        as_json,
    )  # fmt: skip


@app.command()
@reports_errors
def stream(
    samples: int = typer.Option(30, min=4, help="Requests per row."),
    seed: int = typer.Option(7, help="Seed of the generated requests."),
    as_json: bool = json_option,
) -> None:
    """Time to the first token with and without hiding, on a real engine as the cloud."""
    from netgpt.models.catalog import Catalog
    from netgpt_bench import stream as bench

    settings = read_settings()
    weights = Catalog(settings.models_dir).resolve(settings.edge.model)
    _report(
        "time to the first token through the gateway",
        lambda: run(bench.run(weights, samples=samples, seed=seed, progress=_told)),
        as_json,
    )


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
    from netgpt_bench import audit
    from netgpt_bench import audit as bench

    if faults:
        _report(
            "planted private values that left while the detector was under attack (names apart)",
            lambda: run(audit.run_audit_faults(requests=people, seed=seed, characters=characters, progress=_told)),
            as_json,
        )
        return
    _report(
        "planted private values found in the log of the cloud",
        lambda: run(bench.run(requests=people, seed=seed, kill_every_s=kill_every or None, progress=_told)),
        as_json,
    )


@app.command()
@reports_errors
def completion(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with the development data (prompts/*.jsonl)."),
    sample: int = typer.Option(300, min=3, help="Requests, drawn by seed."),
    seed: int = typer.Option(7, help="Seed of the draw and of the invented profiles."),
    model: bool = typer.Option(True, help="Ask the edge model; --no-model measures embeddings only."),
    adapter: Path | None = typer.Option(
        None, help="Folder or file of an adapter to measure instead of the active one."
    ),
    as_json: bool = json_option,
) -> None:
    """Are the right facts chosen? Precision, recall, needless and invented facts, milliseconds; each way in one run."""
    _report("completion: which facts are chosen", lambda: run(_completion(data, sample, seed, model, adapter)), as_json)


async def _completion(data: Path, sample: int, seed: int, model: bool, adapter: Path | None) -> dict[str, Any]:
    from netgpt.cli.common import edge_askers
    from netgpt_bench import completion as bench

    if not model:
        return await bench.run(data, ask=None, sample=sample, seed=seed, progress=_told)
    async with edge_askers(read_settings(), adapter) as (ask, trained):
        return await bench.run(data, ask=ask, trained=trained, sample=sample, seed=seed, progress=_told)


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

    weights = _edge_weights()
    _report(
        "adapters swapped under load",
        lambda: run(
            bench.run(weights, swaps=swaps, streams=streams, promotions=promotions, seed=seed, progress=_told)
        ),
        as_json,
    )  # fmt: skip


@app.command()
@reports_errors
def isolation(
    alternations: int = typer.Option(200, min=10, help="Requests over one prefix; adapters take turns."),
    seed: int = typer.Option(7, help="Seed of the invented adapters and of the draw of requests."),
    as_json: bool = json_option,
) -> None:
    """Does an adapter leak into another's answers? Cached runs, with a swap in the middle, against cold ones."""
    from netgpt_bench import isolation as bench

    weights = _edge_weights()
    _report(
        "isolation of adapters",
        lambda: run(bench.run(weights, alternations=alternations, seed=seed, progress=_told)),
        as_json,
    )


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

    weights = _edge_weights()
    _report(
        "training on the box",
        lambda: bench.run(
            weights, examples=examples, epochs=epochs, repeats=repeats, seed=seed, threads=threads, progress=_told
        ),
        as_json,
    )  # fmt: skip


def _edge_weights() -> Path:
    """The weights of the built-in engine. Raises NotFound, ModelUnavailable."""
    from netgpt.models.catalog import Catalog

    settings = read_settings()
    return Catalog(settings.models_dir).resolve(settings.edge.model)
