"""`netgpt bench`, the part of it that is about answers: which facts, which model, how far it may be believed.

The rest is in `cli`; this module is where the command begins, so that both are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from netgpt.cli.common import edge_askers, json_option, read_settings, reports_errors, run, say
from netgpt.errors import RequestError
from netgpt_bench.cli import app, edge_weights, encoder_weights, names_in, show_step
from netgpt_bench.report import machine, print_report, print_result, print_tables


@app.command()
@reports_errors
def constraints(
    sample: int = typer.Option(300, min=9, help="Cases, nine tasks in turn."),
    first: bool = typer.Option(False, help="Of the first half of the material, which was mended for first."),
    model: Path | None = typer.Option(
        None, help="A GGUF file that answers some of the cases in the cloud's place, too."
    ),
    real: int = typer.Option(60, min=1, help="How many it answers, with the choosing and without."),
    people: bool = typer.Option(False, help="Only how facts in the words of twenty different people are read."),
    seed: int = typer.Option(7, help="Seed of the cases."),
    as_json: bool = json_option,
) -> None:
    """Do private facts that never left hold in the answer? Violations, what left, harmless options that were lost."""
    from netgpt.models.gguf import check_weights
    from netgpt_bench import constraints as bench

    if people:
        from netgpt_bench import constraints_people

        rows = [{"facts": name, **row} for name, row in constraints_people.run(encoder_weights()).items()]
        print_tables(
            "private constraints", {"people": "facts of people, as read"}, {"tables": {"people": rows}}, as_json
        )
        return
    if model is not None:
        check_weights(model)
    plan: dict[str, Any] = {"sample": sample, "seed": seed, "held_out": not first, "model": model, "real": real}
    result = run(bench.run(**plan, progress=show_step))
    if not as_json:
        for name in ("violated", "left"):
            say(f"{name}: " + (" | ".join(result[name]) or "nothing"))
    print_result("private constraints", {k: v for k, v in result.items() if k not in ("violated", "left")}, as_json)


@app.command()
@reports_errors
def sessions(
    loops: int = typer.Option(1_000, min=10, help="Loops with tools, and as many conversations."),
    seed: int = typer.Option(7, help="Of the loops, the conversations and the signals."),
    as_json: bool = json_option,
) -> None:
    """How often a loop with tools, or a conversation, changes its model: with and without what holds them."""
    from netgpt_bench import sessions as bench

    print_result("loops and conversations", bench.run(loops=loops, seed=seed), as_json)


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
    from netgpt.app.embeddings import Embeddings
    from netgpt.app.relevance import open_relevance
    from netgpt.word_pieces import StaticEmbedder
    from netgpt_bench import completion as bench

    async def measure() -> dict[str, Any]:
        settings = read_settings()
        embeddings = Embeddings(settings, StaticEmbedder())
        await embeddings.start()
        opened = await open_relevance(embeddings, settings.completion.relevance)
        plan: dict[str, Any] = {"sample": sample, "seed": seed, "progress": show_step, "relevance": opened.model}
        if not model:
            return await bench.run(data, ask=None, **plan)
        async with edge_askers(settings, adapter) as (ask, trained):
            return await bench.run(data, ask=ask, trained=trained, **plan)

    print_result("completion: which facts are chosen", run(measure()), as_json)


@app.command()
@reports_errors
def relevance(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with the development data (prompts/*.jsonl)."),
    own: bool = typer.Option(False, "--own", help="Only our own cards: no public data is needed."),
    sample: int = typer.Option(300, min=10, help="Requests of each public origin, drawn by seed."),
    seed: int = typer.Option(7, help="Seed of the draw."),
    weights: Path | None = typer.Option(
        None, help="A file of `netgpt relevance train` to measure; default: the shipped."
    ),
    as_json: bool = json_option,
) -> None:
    """Which facts help? Precision, recall, needless facts and calibration by origin, beside the older ways; speed."""
    from netgpt_bench import relevance as bench

    result = bench.run(None if own else data, encoder_weights(), weights, sample=sample, seed=seed, progress=show_step)
    titles = {name: f"relevance: {name}" for name in result}
    print_tables("relevance", titles, {"tables": result, "seed": seed}, as_json)


@app.command()
@reports_errors
def cascade(
    sample: int = typer.Option(180, min=18, help="Questions with checkable answers, of every kind in turn."),
    doubt: bool = typer.Option(False, "--doubt", help="Instead: questions that it cannot answer; nothing may leave."),
    half: str = typer.Option("held", help="Of those: held (never looked at while limits were set) or tune."),
    model: Path | None = typer.Option(None, help="A GGUF file in the place of the edge model."),
    as_json: bool = json_option,
) -> None:
    """The box begins, a cloud takes over where it is unsure: cost at equal quality, words of given-up starts, waits."""
    from netgpt.models.gguf import check_weights
    from netgpt_bench import cascade as bench

    if model is not None:
        check_weights(model)
    weights = model or edge_weights()
    if doubt:
        rows = run(bench.asserted(weights, bench.shipped_prior(weights), half=half, progress=show_step))
        print_report("cascade: questions that cannot be answered", bench.summed(rows), machine(), as_json)
        return
    result = run(bench.run(weights, sample=sample, progress=show_step))
    print_tables("cascade", {name: f"cascade: {name}" for name in result}, {"tables": result}, as_json)


@app.command()
@reports_errors
def confidence(
    models: list[Path] = typer.Option([], "--model", help="A further GGUF file to ask; may be given several times."),
    edge: bool = typer.Option(True, help="Ask the built-in edge model; --no-edge asks the further ones only."),
    each: int = typer.Option(30, min=2, help="Questions of each kind, of those that profiles are measured with."),
    kept: Path = typer.Option(Path("answers"), help="Folder for the answers: one that is there is not made again."),
    write: Path | None = typer.Option(
        None, help="Also fit the judge on all answers, and write weights and card there."
    ),
    as_json: bool = json_option,
) -> None:
    """How far the chance of an answer can be believed, on kinds of tasks that the judge never saw, by model."""
    from netgpt_bench import confidence as bench

    weights = [*([edge_weights()] if edge else []), *models]
    if not weights:
        raise RequestError("name a model with --model, or leave --no-edge out", param="model")
    result = run(bench.measure(weights, kept, each, write, show_step))
    print_tables("confidence", {name: f"confidence: {name}" for name in result}, {"tables": result}, as_json)


@app.command()
@reports_errors
def capability(
    models: list[Path] = typer.Option([], "--model", help="A further GGUF file to ask; may be given several times."),
    edge: bool = typer.Option(True, help="Ask the built-in edge model; --no-edge asks the further ones only."),
    rounds: int = typer.Option(24, min=2, help="Questions of each kind and measurement."),
    minutes: float = typer.Option(60.0, min=0.1, help="For one measurement at most."),
    state: Path | None = typer.Option(None, help="Folder to keep what was measured in: a stopped run goes on there."),
    as_json: bool = json_option,
) -> None:
    """What can models do, by kind of task? Answers that did, with intervals, measured twice with other questions."""
    from netgpt.models.gguf import check_weights
    from netgpt_bench import capability as bench

    for path in models:
        check_weights(path)
    weights = [*([edge_weights()] if edge else []), *models]
    result = run(bench.run(weights, rounds=rounds, minutes=minutes, state=state, progress=show_step))
    print_tables("capability", {name: f"capability: {name}" for name in result}, {"tables": result}, as_json)


@app.command()
@reports_errors
def placement(
    models: list[Path] = typer.Option([], "--model", help="A further GGUF file to ask; may be given several times."),
    edge: bool = typer.Option(True, help="Ask the built-in edge model; --no-edge asks the further ones only."),
    sample: int = typer.Option(70, min=14, help="Requests a placement, 14 tasks in turn."),
    only: str = typer.Option("", help="Placements to compare with today's, with commas; left out: all."),
    seed: int = typer.Option(7, help="Seed of the invented requests and facts."),
    as_json: bool = json_option,
) -> None:
    """Where in a prompt are facts used best? Answers that show it, by placement and model, with intervals."""
    from netgpt.models.gguf import check_weights
    from netgpt_bench import placement as bench

    for path in models:
        check_weights(path)
    weights = [*([edge_weights()] if edge else []), *models]
    result = run(bench.run(weights, sample=sample, seed=seed, only=names_in(only), progress=show_step))
    print_result("placement: the needed fact is used", result, as_json)


@app.command()
@reports_errors
def proposals(
    data: Path = typer.Option(Path("../shared/data"), help="Folder with the ordinary requests (prompts/*.jsonl)."),
    count: int = typer.Option(300, min=24, help="Conversations with known truths."),
    sample: int = typer.Option(300, min=4, help="Ordinary requests, a quarter of each set."),
    seed: int = typer.Option(7, help="Seed of the conversations and of the draw."),
    as_json: bool = json_option,
) -> None:
    """Is what is proposed from remarks in passing true? Precision and recall by kind; all from ordinary requests."""
    from netgpt_bench import proposals as bench

    result = bench.run(data, count=count, sample=sample, seed=seed, progress=show_step)
    if not as_json:
        for name in ("wrong", "printed"):
            say(f"{name}: " + (" | ".join(result[name]) or "nothing"))
    print_result("facts proposed from remarks in passing", result, as_json)
