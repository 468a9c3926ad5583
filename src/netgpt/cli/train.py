"""`netgpt train`: from examples to an adapter that has been judged, in one command."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netgpt.cli.common import json_option, print_json, print_table, read_settings, reports_errors, say, with_store
from netgpt.errors import RequestError
from netgpt.types import Person

if TYPE_CHECKING:
    from netgpt.settings import Settings
    from netgpt.store.store import Store
    from netgpt.training.lora.recipe import Recipe
    from netgpt.training.service import TrainingJob, TrainingProgress, TrainingResult


OWN = ("site", "user")
"""What is trained on the owner's examples; anything else is the name of a recipe."""


@reports_errors
def train(
    what: str = typer.Argument(help="complete: choosing facts; site: this place; user: one person; or a recipe."),
    user: str | None = typer.Argument(None, help="With `user`: the person, as the request's `user` names them."),
    tenant: str = typer.Option("local", help="The person's tenant."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what it would train on, and stop."),
    examples: Path | None = typer.Option(None, help="A JSONL file of examples, added to the rest."),
    public_examples: bool = typer.Option(
        False, "--public-examples", help="That file holds nothing private: take it as it is."
    ),
    data: Path | None = typer.Option(None, help="A developer's folder of public labels, for recipes that read them."),
    self_instruct: int = typer.Option(0, min=0, help="Have the cloud write so many pairs about the site's facts."),
    epochs: int | None = typer.Option(
        None, min=1, help="Times through the examples, at most; default: 3 for `complete`, else 8."
    ),
    rank: int = typer.Option(8, min=1, max=256, help="Size of the adapter."),
    learning_rate: float = typer.Option(1e-3, help="The highest step size."),
    layers: int | None = typer.Option(None, min=1, help="Train the top layers only; faster."),
    seed: int = typer.Option(7, help="The same seed and examples give the same adapter."),
    memory_mb: int | None = typer.Option(None, help="Memory to stay under; default: training.memory_mb."),
    threads: int | None = typer.Option(None, min=0, help="CPU threads; default: training.threads."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, or auto."),
    full: bool = typer.Option(False, "--full", help="Train every weight of --base instead of an adapter."),
    base: str | None = typer.Option(None, help="Train for other weights: a name, a GGUF file, or a model folder."),
    fresh: bool = typer.Option(False, "--fresh", help="Begin anew, even where a training was cut."),
    promote: bool = typer.Option(False, "--promote", help="Make it active when it passes its evaluation."),
    as_json: bool = json_option,
) -> None:
    """Train an adapter on this box, judge it, and list it as a candidate.

    Ctrl-C or a kill loses half a minute at most: the same command goes on where it stopped.
    """
    from netgpt.training.service import TrainingJob

    settings = read_settings()
    usual = _usual(what)
    job = TrainingJob(
        what=what, person=_person(what, user, tenant), examples=examples, public_examples=public_examples,
        data=data, self_instruct=self_instruct, dry_run=dry_run, promote=promote, fresh=fresh, base=base,
        recipe=_recipe(
            epochs=epochs or (3 if what not in OWN else 8), rank=rank, alpha=2.0 * rank,
            learning_rate=learning_rate, layers=layers, seed=seed, full=full,
            memory_mb=memory_mb or settings.training.memory_mb,
            threads=settings.training.threads if threads is None else threads, device=device, **usual,
        ),
    )  # fmt: skip
    try:
        result = with_store(lambda store: _viewed(settings, job, store, quiet=as_json), settings)
    except KeyboardInterrupt:
        say("Stopped. The same command goes on where it was; --fresh begins anew.")
        raise
    print_json(asdict(result)) if as_json else _show(result)
    if result.rejected:
        raise typer.Exit(1)


async def _viewed(settings: Settings, job: TrainingJob, store: Store, *, quiet: bool) -> TrainingResult:
    from netgpt.cli.training_progress import TrainingView
    from netgpt.training.service import TrainingProgress

    if quiet:
        return await trained(settings, job, store, TrainingProgress())
    with TrainingView() as view:
        return await trained(settings, job, store, view)


async def trained(settings: Settings, job: TrainingJob, store: Store, progress: TrainingProgress) -> TrainingResult:
    """Run a job with the detector and, where pairs are to be written, the cloud of the settings. As `train_adapter`."""
    from netgpt.app.factory import open_cloud
    from netgpt.cli.common import patient_detector
    from netgpt.stages.record import receipts_in
    from netgpt.training.service import train_adapter

    async with AsyncExitStack() as opened:
        detector = patient_detector(settings)
        opened.push_async_callback(detector.close)
        receipts = receipts_in(store, keep_text=settings.store.keep_text)
        cloud = open_cloud(settings, receipts) if job.self_instruct else None
        if cloud is not None:
            opened.push_async_callback(cloud.close)
        return await train_adapter(settings, job, store=store, detector=detector, cloud=cloud, progress=progress)


def _show(result: TrainingResult) -> None:
    """For people: what it is, how it did, what to do next."""
    if figures := result.figures:
        held = figures.get("held_out_loss")
        loss = f"{figures['loss']:.3f}" + (f", held out {held:.3f}" if held is not None else "")
        speed = f"{figures['tokens_per_s']:.0f} tokens/s, {figures['seconds']:.0f} s, {figures['peak_mb']:.0f} MB"
        rows: list[tuple[str, object]] = [("adapter", result.adapter or result.folder), ("state", result.state)]
        rows += [("loss", loss), ("speed", speed)]
        rows += [("refused", reason) for reason in result.gate.get("reasons") or ()]
        print_table(["what", "value"], rows)
    if result.next:
        say(result.next)


def _person(what: str, user: str | None, tenant: str) -> Person | None:
    if what == "user":
        if user is None or not user.strip():
            raise RequestError("name the person: `netgpt train user ADA`", param="user")
        return Person(tenant, user)
    if user is not None:
        raise RequestError(f"`netgpt train {what}` takes no person; did you mean `netgpt train user {user[:40]}`?")
    return None


def _usual(what: str) -> Mapping[str, Any]:
    """How the recipe of this name is trained best. Raises NotFound that names what there is."""
    from netgpt.training.recipes import recipe_named

    return {} if what in OWN else recipe_named(what).training


def _recipe(**values: Any) -> Recipe:
    from netgpt.training.lora.recipe import Recipe

    recipe = Recipe(**values)
    recipe.check()
    return recipe
