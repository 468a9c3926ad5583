"""`netgpt bench`: every published figure is one command here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from netgpt.cli.bench_decision import decision
from netgpt.cli.bench_learner import learner
from netgpt.cli.bench_link import link, neighbours
from netgpt.cli.bench_paper import paper
from netgpt.cli.bench_privacy import privacy
from netgpt.cli.bench_resilience import blackout, overload, soak
from netgpt.cli.bench_routing import routing
from netgpt.cli.bench_utility import utility
from netgpt.cli.common import console, errors_told, json_option, read_settings, run

__all__ = ["app"]

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
    from netgpt.bench.report import print_result

    print_result(title, measure(), as_json)


@app.command()
@errors_told
def overhead(
    requests: int = typer.Option(400, min=10, help="Requests per row and round."),
    connections: int = typer.Option(32, min=1, help="Connections of the crowded part."),
    rounds: int = typer.Option(5, min=1, help="Rounds; rows take turns within each."),
    portkey: Path = typer.Option(Path(), help="Folder where `npm install @portkey-ai/gateway` was run."),
    as_json: bool = json_option,
) -> None:
    """What the gateway adds to a call, beside a direct connection and Portkey's gateway."""
    from netgpt.bench import overhead as bench

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
@errors_told
def stream(
    samples: int = typer.Option(30, min=4, help="Requests per row."),
    seed: int = typer.Option(7, help="Seed of the generated requests."),
    as_json: bool = json_option,
) -> None:
    """Time to the first token with and without hiding, on a real engine as the cloud."""
    from netgpt.bench import stream as bench
    from netgpt.models.catalog import Catalog

    settings = read_settings()
    weights = Catalog(settings.models_dir).resolve(settings.edge.model)
    _report(
        "time to the first token through the gateway",
        lambda: run(bench.run(weights, samples=samples, seed=seed, progress=_told)),
        as_json,
    )


@app.command()
@errors_told
def audit(
    people: int = typer.Option(500, "--people", "--requests", min=24, help="Invented people, a request each."),
    seed: int = typer.Option(1, help="Seed of the invented people."),
    kill_every: float = typer.Option(0.0, min=0, help="Kill the detector this often, in seconds; 0: never."),
    faults: bool = typer.Option(False, help="Kill, stop and overfeed the detector instead, an audit for each."),
    characters: int = typer.Option(1_000_000, min=1_000, help="Length of the texts that --faults feeds."),
    as_json: bool = json_option,
) -> None:
    """Does anything planted reach the cloud? A cloud that logs every byte, and a gateway under attack."""
    from netgpt.bench import audit as bench
    from netgpt.bench import audit_faults

    if faults:
        _report(
            "planted private values that left while the detector was under attack (names apart)",
            lambda: run(audit_faults.run(requests=people, seed=seed, characters=characters, progress=_told)),
            as_json,
        )
        return
    _report(
        "planted private values found in the log of the cloud",
        lambda: run(bench.run(requests=people, seed=seed, kill_every_s=kill_every or None, progress=_told)),
        as_json,
    )


@app.command()
@errors_told
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
    from netgpt.bench import completion as bench
    from netgpt.cli.edge import edge_askers

    if not model:
        return await bench.run(data, ask=None, sample=sample, seed=seed, progress=_told)
    async with edge_askers(read_settings(), adapter) as (ask, trained):
        return await bench.run(data, ask=ask, trained=trained, sample=sample, seed=seed, progress=_told)


@app.command()
@errors_told
def swap(
    swaps: int = typer.Option(200, min=2, help="Swaps of engines under two streams; memory is read after each."),
    streams: int = typer.Option(32, min=1, help="Streams at once of the crowded part."),
    promotions: int = typer.Option(4, min=1, help="Promotions under the crowded part."),
    seed: int = typer.Option(7, help="Seed of the invented adapters and of the draw of requests."),
    as_json: bool = json_option,
) -> None:
    """Adapters promoted under load: failed and mixed answers, memory over many swaps, time to roll back."""
    from netgpt.bench import swap as bench

    weights = _edge_weights()
    _report(
        "adapters swapped under load",
        lambda: run(
            bench.run(weights, swaps=swaps, streams=streams, promotions=promotions, seed=seed, progress=_told)
        ),
        as_json,
    )  # fmt: skip


@app.command()
@errors_told
def isolation(
    alternations: int = typer.Option(200, min=10, help="Requests over one prefix; adapters take turns."),
    seed: int = typer.Option(7, help="Seed of the invented adapters and of the draw of requests."),
    as_json: bool = json_option,
) -> None:
    """Does an adapter leak into another's answers? Cached runs, with a swap in the middle, against cold ones."""
    from netgpt.bench import isolation as bench

    weights = _edge_weights()
    _report(
        "isolation of adapters",
        lambda: run(bench.run(weights, alternations=alternations, seed=seed, progress=_told)),
        as_json,
    )


@app.command()
@errors_told
def train(
    examples: int = typer.Option(100, min=20, help="Generated examples, of about 130 tokens."),
    epochs: int = typer.Option(3, min=1, help="Times through them."),
    repeats: int = typer.Option(3, min=1, help="Runs of each; they take turns."),
    seed: int = typer.Option(7, help="Seed of the examples and of both trainings."),
    threads: int = typer.Option(0, min=0, help="CPU threads; 0: all."),
    as_json: bool = json_option,
) -> None:
    """The trainer beside a plain PEFT loop: tokens a second, peak memory and held-out loss, in one run."""
    from netgpt.bench import train as bench

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
