"""The work behind `netgpt train`: gather, show, train in a child, register, judge, promote or refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.adapters.edge_weights import EdgeWeights, edge_weights
from netgpt.adapters.registry import Entry, Registry, user_adapter_name
from netgpt.cli.common import console, print_table
from netgpt.cli.on_demand import patient_detector
from netgpt.cli.training_progress import JudgingBar, TrainingBar, show_summary
from netgpt.errors import SettingsError
from netgpt.examples.example import Example, Summary, digest_of, split, summary_of
from netgpt.examples.gather import Gathered, Instructor, Scope, Wanted, gather
from netgpt.examples.planted import plant_canaries
from netgpt.examples.sitefacts import site_facts
from netgpt.gate.on_engine import gate_on_engine
from netgpt.models.catalog import Catalog
from netgpt.parts.opening import open_cloud, open_registry, receipts_in
from netgpt.settings import Settings
from netgpt.store.from_settings import open_store
from netgpt.tuning.lora import Recipe, TrainedAdapter
from netgpt.tuning.making import Made, people_in, register
from netgpt.tuning.train_child import train_apart
from netgpt.tuning.workfolder import TrainingRun
from netgpt.types import Person

if TYPE_CHECKING:
    from netgpt.privacy.detect import Detector
    from netgpt.store.store import Store

__all__ = ["Job", "Result", "run_job", "show_result"]

SCOPES: Final[dict[str, Scope]] = {"site": "site", "user": "user"}
"""Everything else is the adapter of a task."""
FEWEST_STEPS: Final = 120
TEMPLATE_TOKENS: Final = 24
"""What the chat template adds to each example, about."""
MEASURED_AT_LEAST: Final = 15
"""Examples that are held out of a small set, so that the gate can tell anything: up to 30 % of it."""


@dataclass(frozen=True)
class Job:
    """What the command line asked for."""

    what: str
    person: Person | None
    examples: Path | None
    public_examples: bool
    data: Path | None
    self_instruct: int
    dry_run: bool
    promote: bool
    fresh: bool
    base: str | None
    quiet: bool
    recipe: Recipe


@dataclass
class Result:
    """What came of it, JSON-ready."""

    name: str
    summary: Summary
    skipped: dict[str, int]
    notes: list[str]
    adapter: str | None = None
    state: str = "dry run"
    figures: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None
    next: str = ""

    @property
    def rejected(self) -> bool:
        return self.state == "rejected"


async def run_job(settings: Settings, job: Job) -> Result:
    """All of it. Raises NetGPTError with the cure."""
    store = open_store(settings)
    try:
        facts = site_facts(settings.site, await store.places())
        wanted = _wanted(settings, job, tuple(fact.text for fact in facts))
        async with _detector(settings) as detector:
            gathered = await _gathered(settings, job, wanted, store, detector)
        share = _held_out_share(len(gathered.examples))
        summary = summary_of(gathered.examples, share)
        result = Result(wanted.name, summary, dict(gathered.skipped), gathered.notes)
        if not job.quiet:
            show_summary(result.summary, gathered.skipped, gathered.notes)
        if job.dry_run:
            result.next = "Leave --dry-run out to train."
            return result
        gathered.check(wanted)
        await _train(
            settings, replace(job, recipe=replace(job.recipe, held_out=share)), wanted, gathered, store, result
        )
        return result
    finally:
        await store.close()


def _wanted(settings: Settings, job: Job, public: tuple[str, ...]) -> Wanted:
    name = user_adapter_name(job.person) if job.person is not None else job.what
    limits = settings.training
    return Wanted(
        name,
        SCOPES.get(job.what, "task"),
        job.person,
        job.examples,
        job.data,
        job.recipe.seed,
        limits.max_examples,
        limits.min_examples,
        limits.k_anonymity,
        public,
        job.public_examples,
    )


def _sized(recipe: Recipe, summary: Summary) -> Recipe:
    """Smaller steps where there are few examples: two or three a run teach nothing."""
    tokens = (summary.tokens + TEMPLATE_TOKENS * summary.examples) * recipe.epochs
    return replace(recipe, batch_tokens=max(128, min(recipe.batch_tokens, tokens // FEWEST_STEPS)))


def _held_out_share(examples: int) -> float:
    return round(min(0.3, max(0.1, MEASURED_AT_LEAST / max(1, examples))), 3)


@asynccontextmanager
async def _detector(settings: Settings) -> AsyncIterator[Detector]:
    detector = patient_detector(settings)
    try:
        yield detector
    finally:
        await detector.close()


async def _gathered(settings: Settings, job: Job, wanted: Wanted, store: Store, detector: Detector) -> Gathered:
    notes: list[str] = []
    instruct = _instructor(settings, job, store, detector, notes) if job.self_instruct else None
    kinds = settings.privacy.sensitive_kinds
    with console.status("gathering examples"):
        gathered = await gather(wanted, store, detector, sensitive_kinds=kinds, instruct=instruct)
    gathered.notes += notes
    return gathered


def _instructor(settings: Settings, job: Job, store: Store, detector: Detector, notes: list[str]) -> Instructor:
    """Has the cloud write pairs about the site's facts. Raises SettingsError: no cloud, or a person's own adapter."""
    if job.person is not None:
        raise SettingsError("--self-instruct is for `complete` and `site`: nothing about a person is sent to a cloud")
    cloud = open_cloud(settings, receipts_in(store, keep_text=settings.store.keep_text))
    if cloud is None and not job.dry_run:
        raise SettingsError("--self-instruct needs a cloud: set [cloud] base_url, model and api_key")

    async def written() -> list[Example]:
        from netgpt.examples.selfinstruct import Budget, self_instruct

        facts = site_facts(settings.site, await store.places())
        limits, prices = settings.training, settings.cloud
        budget = Budget(
            job.self_instruct if not job.dry_run else 0,
            limits.self_instruct_tokens,
            limits.self_instruct_cost,
            prices.price_prompt,
            prices.price_completion,
        )
        if job.dry_run or cloud is None:
            notes.append(
                f"a real run has the cloud write {job.self_instruct} pairs about {len(facts)} facts of the site"
            )
            return []
        kept = settings.training_dir / "self-instruct.jsonl"
        try:
            done = await self_instruct(
                cloud, detector, facts, budget, model=prices.model, seed=job.recipe.seed, kept=kept,
                progress=lambda now: console.print(f"  {len(now.examples)} pairs, {now.tokens} tokens", style="dim"),
            )  # fmt: skip
        finally:
            await cloud.close()
        dropped = "; ".join(f"{count} {why}" for why, count in done.dropped.items()) or "none"
        notes.append(
            f"the cloud wrote {len(done.examples)} good pairs ({done.calls} calls, {done.tokens} tokens, cost "
            f"{done.cost:.4f}; ended: {done.stopped}; dropped: {dropped})"
        )
        return done.examples

    return written


async def _train(
    settings: Settings, job: Job, wanted: Wanted, gathered: Gathered, store: Store, result: Result
) -> None:
    base = _base(settings, job)
    with TrainingRun(settings.training_dir / wanted.name) as run:
        decides = {"recipe": asdict(job.recipe), "base": base.sha256, "data": digest_of(gathered.examples)}
        run.begin(decides, people_in(gathered.examples), fresh=job.fresh)
        taught, canaries = plant_canaries(gathered.examples, run.canary_seed)
        with TrainingBar(run.resumes, job.quiet) as bar:

            def told(step: Any) -> None:
                run.check()
                bar.told(step)

            trained = await train_apart(
                base.path, taught, job.recipe, run.work, progress=told, resume=not job.fresh, lock=run.lock
            )
        run.check()
        result.figures = {key: value for key, value in asdict(trained).items() if key != "folder"}
        if job.recipe.full or job.base is not None:
            _leave(trained, result)
            return
        planted = {"seed": run.canary_seed, "count": len(canaries)}
        made = Made(wanted, base, job.recipe, gathered.examples, planted, trained)
        registry = open_registry(settings)
        entry = await register(made, run, registry, store)
        run.finish()
    result.adapter, result.state = entry.id, "candidate"
    await _judge(settings, job, registry, entry, gathered.examples, result)


def _base(settings: Settings, job: Job) -> EdgeWeights:
    """The weights to train for: the served ones, or what --base names."""
    catalog = Catalog(settings.models_dir)
    if job.base is not None:
        folder = Path(job.base).expanduser()
        if folder.is_dir():
            return EdgeWeights(folder.name, "0" * 64, folder)
        return edge_weights(catalog, job.base)
    if job.recipe.full:
        raise SettingsError("--full trains a whole model: name it with --base FOLDER")
    if settings.edge.base_url is not None:
        raise SettingsError(
            "adapters are for the built-in engine; [edge] base_url names another server. Leave base_url out, or name "
            "the weights with --base and serve the result yourself."
        )
    base = edge_weights(catalog, settings.edge.model)
    catalog.resolve(settings.edge.model)  # tells how to fetch what is not here
    return base


def _leave(trained: TrainedAdapter, result: Result) -> None:
    """What this box does not serve stays where it was made; the next training of this name replaces it."""
    result.state, result.folder = "written", str(trained.folder)
    result.next = f"Serve {trained.folder} with the weights that it was made for; this box serves others."


async def _judge(
    settings: Settings, job: Job, registry: Registry, entry: Entry, examples: list[Example], result: Result
) -> None:
    """The gate. What stops it leaves the candidate as it is, to be judged later."""
    learnt, held = split(examples, job.recipe.held_out)
    result.next = f"Judge it with `netgpt adapters evaluate {entry.id}`."
    with JudgingBar(job.quiet) as bar:
        verdict = await gate_on_engine(settings, registry, entry, held, training=learnt, progress=bar.told)
    result.gate = verdict.as_json()
    registry.set_metrics(entry.id, {"gate": result.gate})
    if not verdict.passed:
        registry.reject(entry.id, ", ".join(verdict.failing))
        result.state = "rejected"
        result.next = "More or better examples help; `--dry-run` shows what it learnt from."
    elif job.promote:
        registry.promote(entry.id)
        result.state = "active"
        result.next = f"Take it back with `netgpt adapters rollback {entry.card.name}`."
    else:
        result.next = f"Make it active with `netgpt adapters promote {entry.id}`."


def show_result(result: Result) -> None:
    """For people: what it is, how it did, what to do next."""
    if result.figures:
        figures = result.figures
        held = figures.get("held_out_loss")
        rows: list[tuple[str, object]] = [
            ("adapter", result.adapter or result.folder),
            ("state", result.state),
            ("loss", f"{figures['loss']:.3f}" + (f", held out {held:.3f}" if held is not None else "")),
            (
                "speed",
                f"{figures['tokens_per_s']:.0f} tokens/s, {figures['seconds']:.0f} s, {figures['peak_mb']:.0f} MB",
            ),
        ]
        rows += [("refused", reason) for reason in result.gate.get("reasons") or ()]
        print_table(["what", "value"], rows)
    if result.next:
        console.print(result.next, markup=False, highlight=False, soft_wrap=True)
