"""The training service: gather examples, train in a child process, register, evaluate, promote or reject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from netgpt.adapters.card import EdgeWeights, edge_weights, user_adapter_name
from netgpt.adapters.registry import Entry, Registry, open_registry
from netgpt.dialects.clouds import encoder_of
from netgpt.errors import SettingsError
from netgpt.models.base import RemoteModel
from netgpt.models.catalog import Catalog
from netgpt.privacy.detector import Detector
from netgpt.settings import Settings
from netgpt.store.store import Store
from netgpt.training.canaries import plant_canaries
from netgpt.training.collect import Gathered, Instructor, Scope, Wanted, gather, site_facts
from netgpt.training.evaluation import evaluate_adapter
from netgpt.training.example import Example, Summary, digest_of, split, summary_of
from netgpt.training.lora.child import train_in_child
from netgpt.training.lora.recipe import Recipe, Step
from netgpt.training.lora.run import FinishedTraining, TrainingRun, people_in, register
from netgpt.training.self_instruct import Budget, self_instruct
from netgpt.types import Person

SCOPES: Final[dict[str, Scope]] = {"site": "site", "user": "user"}
"""Everything else is the adapter of a task."""
FEWEST_HELD_OUT: Final = 15
"""Examples that are held out of a small set, so that the evaluation can show anything: up to 30 % of it."""


@dataclass(frozen=True)
class TrainingJob:
    """What to train: "complete", "site" or "user" (then `person` is set), from which examples, and what follows."""

    what: str
    recipe: Recipe
    person: Person | None = None
    examples: Path | None = None
    public_examples: bool = False
    data: Path | None = None
    self_instruct: int = 0
    dry_run: bool = False
    promote: bool = False
    fresh: bool = False
    base: str | None = None


@dataclass
class TrainingResult:
    """The result of a job, JSON-ready."""

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


class TrainingProgress:
    """Callbacks in the order of the methods; override those of interest."""

    def gathering(self) -> None:
        """The examples are about to be read."""

    def written(self, examples: int, tokens: int) -> None:
        """Pairs that the cloud wrote so far, and their tokens."""

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        """What it trains on, what was left out and why."""

    def begun(self, resumes: bool) -> None:
        """The training starts; `resumes`: from the checkpoint of an interrupted run."""

    def step(self, step: Step) -> None:
        """One optimizer step is done."""

    def judging(self, part: str, done: int, whole: int) -> None:
        """So many of a part of the evaluation are done."""


@dataclass
class _Training:
    """One run of a job."""

    settings: Settings
    job: TrainingJob
    store: Store
    detector: Detector
    cloud: RemoteModel | None
    progress: TrainingProgress

    async def run(self) -> TrainingResult:
        facts = site_facts(self.settings.site, await self.store.places())
        wanted = self._wanted(tuple(fact.text for fact in facts))
        gathered = await self._gathered(wanted)
        share = round(min(0.3, max(0.1, FEWEST_HELD_OUT / max(1, len(gathered.examples)))), 3)
        summary = summary_of(gathered.examples, share)
        result = TrainingResult(wanted.name, summary, dict(gathered.skipped), gathered.notes)
        self.progress.gathered(summary, gathered.skipped, gathered.notes)
        if self.job.dry_run:
            result.next = "Leave --dry-run out to train."
            return result
        gathered.check(wanted)
        await self._train(replace(self.job.recipe, held_out=share), wanted, gathered.examples, result)
        return result

    def _wanted(self, public: tuple[str, ...]) -> Wanted:
        job, limits = self.job, self.settings.training
        name = user_adapter_name(job.person) if job.person is not None else job.what
        return Wanted(
            name, SCOPES.get(job.what, "task"), job.person, job.examples, job.data, job.recipe.seed,
            limits.max_examples, limits.min_examples, limits.k_anonymity, public, job.public_examples,
        )  # fmt: skip

    async def _gathered(self, wanted: Wanted) -> Gathered:
        notes: list[str] = []
        instruct = self._instructor(notes) if self.job.self_instruct else None
        kinds = self.settings.privacy.sensitive_kinds
        self.progress.gathering()
        gathered = await gather(wanted, self.store, self.detector, sensitive_kinds=kinds, instruct=instruct)
        gathered.notes += notes
        return gathered

    def _instructor(self, notes: list[str]) -> Instructor:
        """Has the cloud write pairs about the site's facts. Raises SettingsError: no cloud, or a person's adapter."""
        job, cloud, limits, prices = self.job, self.cloud, self.settings.training, self.settings.cloud
        if job.person is not None:
            raise SettingsError("--self-instruct is for `complete` and `site`: nothing about a person is sent")
        if cloud is None and not job.dry_run:
            raise SettingsError("--self-instruct needs a cloud: set [cloud] base_url, model and api_key")
        money = (limits.self_instruct_cost, prices.price_prompt, prices.price_completion)
        budget = Budget(job.self_instruct, limits.self_instruct_tokens, *money)

        async def instruct() -> list[Example]:
            facts = site_facts(self.settings.site, await self.store.places())
            if job.dry_run or cloud is None:
                pairs = f"{job.self_instruct} pairs about {len(facts)} facts of the site"
                notes.append(f"a real run has the cloud write {pairs}")
                return []
            done = await self_instruct(
                cloud, self.detector, facts, budget, model=prices.model, encode=encoder_of(prices),
                seed=job.recipe.seed,
                kept=self.settings.training_dir / "self-instruct.jsonl",
                progress=lambda now: self.progress.written(len(now.examples), now.tokens),
            )  # fmt: skip
            dropped = "; ".join(f"{count} {why}" for why, count in done.dropped.items()) or "none"
            notes.append(
                f"the cloud wrote {len(done.examples)} good pairs ({done.calls} calls, {done.tokens} tokens, cost "
                f"{done.cost:.4f}; ended: {done.stopped}; dropped: {dropped})"
            )
            return done.examples

        return instruct

    async def _train(self, recipe: Recipe, wanted: Wanted, examples: list[Example], result: TrainingResult) -> None:
        base = self._base()
        with TrainingRun(self.settings.training_dir / wanted.name) as run:
            decides = {"recipe": asdict(recipe), "base": base.sha256, "data": digest_of(examples)}
            run.begin(decides, people_in(examples), fresh=self.job.fresh)
            mixed, canaries = plant_canaries(examples, run.canary_seed)
            self.progress.begun(run.resumes)

            def after_step(step: Step) -> None:
                run.check()
                self.progress.step(step)

            trained = await train_in_child(
                base.path, mixed, recipe, run.work, progress=after_step, resume=not self.job.fresh, lock=run.lock
            )
            run.check()
            result.figures = {key: value for key, value in asdict(trained).items() if key != "folder"}
            if recipe.full or self.job.base is not None:
                # This box does not serve it: it stays in its folder until the next training of this name.
                result.state, result.folder = "written", str(trained.folder)
                result.next = f"Serve {trained.folder} with the weights that it was made for; this box serves others."
                return
            registry = open_registry(self.settings, self.store.files)
            seed_and_count = {"seed": run.canary_seed, "count": len(canaries)}
            done = FinishedTraining(wanted, base, recipe, examples, seed_and_count, trained)
            entry = await register(done, run, registry, self.store)
            run.finish()
        result.adapter, result.state = entry.id, "candidate"
        await self._evaluate(registry, entry, split(examples, recipe.held_out), result)

    async def _evaluate(
        self, registry: Registry, entry: Entry, examples: tuple[list[Example], list[Example]], result: TrainingResult
    ) -> None:
        """Evaluate with the (learnt, held-out) examples. What interrupts it leaves a candidate to evaluate later."""
        learnt, held = examples
        judging = self.progress.judging
        _, verdict = await evaluate_adapter(self.settings, registry, entry, held, training=learnt, progress=judging)
        result.gate = verdict.as_json()
        if not verdict.passed:
            result.state = "rejected"
            result.next = "More or better examples help; `--dry-run` shows its examples."
        elif self.job.promote:
            registry.promote(entry.id)
            result.state, result.next = "active", f"Take it back with `netgpt adapters rollback {entry.card.name}`."
        else:
            result.next = f"Make it active with `netgpt adapters promote {entry.id}`."

    def _base(self) -> EdgeWeights:
        """The weights to train for: the served ones, or what --base names."""
        catalog = Catalog(self.settings.models_dir, self.store.files)
        edge, base = self.settings.edge, self.job.base
        if base is not None:
            folder = Path(base).expanduser()
            return EdgeWeights(folder.name, "0" * 64, folder) if folder.is_dir() else edge_weights(catalog, base)
        if self.job.recipe.full:
            raise SettingsError("--full trains a whole model: name it with --base FOLDER")
        if edge.base_url is not None:
            raise SettingsError(
                "adapters are for the built-in engine; [edge] base_url names another server. Leave base_url out, or "
                "name the weights with --base and serve the result yourself."
            )
        served = edge_weights(catalog, edge.model)
        catalog.resolve(edge.model)  # its error says how to fetch missing weights
        return served


async def train_adapter(
    settings: Settings,
    job: TrainingJob,
    *,
    store: Store,
    detector: Detector,
    cloud: RemoteModel | None = None,
    progress: TrainingProgress | None = None,
) -> TrainingResult:
    """Run a job: gather, train, register and evaluate; a dry run stops after gathering.

    `cloud` is needed for `self_instruct` only. The caller closes what is passed in. An interrupted run continues,
    unless the job is `fresh`. Raises NetGPTError with the cure: too few examples, no weights, another training of the
    same name, a person who withdrew meanwhile.
    """
    return await _Training(settings, job, store, detector, cloud, progress or TrainingProgress()).run()
